"""Generalised potentials: symmetries of a driven strip, what each form can be, the bias as an input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from biased_labeler import BiasedLabeler, Strip
from effective_field_checks import Case, EffectiveFieldChecks
from random_models import DRIVEN, STRIP, driven
from short_training import fit
from test_equivariant import WithoutEnergy

from magsim.config import compose
from magsim.datasets.store import open_dataset
from magsim.descriptors import BispectrumDescriptor
from magsim.descriptors.around import AutogradAround
from magsim.descriptors.sweep import AutogradSweep
from magsim.dynamics import LearnedField, Quench, evolve, load_field, make_integrator
from magsim.errors import ConfigError
from magsim.lattice import make_lattice, site_permutations
from magsim.learning.checkpoint import model_facts, save_model
from magsim.learning.metrics import torque_metrics
from magsim.models import PotentialModel, build_model
from magsim.models.linear import tangent_frame
from magsim.spins import random_spins, transverse
from magsim.tasks.simulation.setup import build_field
from magsim.tasks.training.errors import predict, response_errors

BIASED = ("summed", "sitewise", "direct")
SPINS = torch.tensor(random_spins(STRIP.n_sites, np.random.default_rng(1), (1,)))


def at(model: PotentialModel, spins: torch.Tensor, voltage: float) -> torch.Tensor:
    """Transverse field ``(B, N, 3)``."""
    return transverse(
        model(spins, **model.given(torch.full((len(spins),), voltage, dtype=torch.float64)))[1], spins
    )


def response(model: PotentialModel, voltage: float) -> torch.Tensor:
    """``(N, 2, N, 2)`` derivatives of the field by the other spins, along tangent frames."""
    frame, h = tangent_frame(SPINS)[0], 1e-4
    n = STRIP.n_sites
    moved = SPINS.expand(2 * 2 * n, n, 3).clone().unflatten(0, (2, n, 2))
    for k, sign in enumerate((1, -1)):
        for j in range(n):
            moved[k, j, :, j] = np.cos(h) * SPINS[0, j] + sign * np.sin(h) * frame[j]
    fields = model(moved.flatten(0, 2), **model.given(torch.full((4 * n,), voltage, dtype=torch.float64)))[1]
    change = fields.unflatten(0, (2, n, 2))
    slope = torch.einsum("jbic,iac->iajb", (change[0] - change[1]) / (2 * h), frame)
    slope[range(n), :, range(n)] = 0.0
    return slope


def curl(model: PotentialModel, voltage: float) -> torch.Tensor:
    """``C_ij = dF_i/dS_j - (dF_j/dS_i)^T``."""
    slope = response(model, voltage)
    return slope - slope.permute(2, 3, 0, 1)


def field_of(voltage: float | None = None, **options: Any) -> Any:
    model = driven(**options)
    field = LearnedField(model)
    if voltage is not None:
        field.set_voltage(voltage)
    return field if field.conservative else WithoutEnergy(field)


CASES: dict[str, tuple[float | None, dict[str, Any]]] = {
    "energy": (None, {"form": "energy"}),
    "summed": (None, {"form": "summed"}),
    "sitewise": (0.8, {"form": "sitewise", "voltage_input": True}),
    "sitewise alone": (None, {"form": "sitewise", "summed_energy": False}),
    "direct": (-0.5, {"form": "direct", "voltage_input": True, "summed_energy": False}),
}


class TestPotentials(EffectiveFieldChecks):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest) -> Case:
        voltage, options = CASES[request.param]
        return Case(STRIP, field_of(voltage, **options), time_reversal=False, mirror_x=False)


@pytest.mark.parametrize("form", BIASED)
class TestBias:
    def test_at_zero_bias_there_is_no_curl_and_time_reversal_holds(self, form: str) -> None:
        model = driven(form=form, voltage_input=True)
        scale = float(response(model, 0.0).abs().max())
        assert float(curl(model, 0.0).abs().max()) < 1e-7 * scale
        torch.testing.assert_close(at(model, -SPINS, 0.0), -at(model, SPINS, 0.0), rtol=0, atol=1e-14)
        (energy,) = torch.autograd.grad(
            model.energy(leaf := SPINS.clone().requires_grad_(), torch.zeros(1).double()).sum(), leaf
        )
        torch.testing.assert_close(at(model, SPINS, 0.0), -transverse(energy, SPINS), rtol=0, atol=1e-13)

    def test_the_curl_is_linear_in_a_small_bias(self, form: str) -> None:
        model = driven(form=form, voltage_input=True)
        small, double = curl(model, 1e-3), curl(model, 2e-3)
        assert float(curl(model, 1.0).abs().max()) > 1e-3
        assert float((double - 2 * small).abs().max()) < 0.02 * float(double.abs().max())

    def test_neither_time_reversal_nor_the_mirror_of_x_is_imposed(self, form: str) -> None:
        model = driven(form=form, voltage_input=True)
        field = at(model, SPINS, 1.0)
        scale = float(field.abs().max())
        assert float((at(model, -SPINS, 1.0) + field).abs().max()) > 0.01 * scale
        x = STRIP.positions[:, 0]
        mirror = next(p for p in site_permutations(STRIP) if np.array_equal(x[p], x[::-1]))
        image = torch.empty_like(SPINS)
        image[:, mirror] = SPINS
        assert float((at(model, image, 1.0)[:, mirror] - field).abs().max()) > 0.01 * scale

    def test_replicas_at_their_own_voltages_are_what_each_is_alone(self, form: str) -> None:
        field = LearnedField(driven(form=form, voltage_input=True))
        spins = SPINS.expand(3, -1, -1)
        voltages = np.array([0.0, 0.7, -1.2])
        field.set_voltage(voltages)
        energy, together = field(spins)
        assert bool(energy.isnan().all())
        for k, voltage in enumerate(voltages):
            field.set_voltage(voltage)
            torch.testing.assert_close(field(spins[k])[1], together[k], rtol=0, atol=1e-14)


def test_a_site_wise_field_alone_is_a_gradient_of_each_spin_at_zero_bias() -> None:
    """What is left of it without a bias: no curl on the sphere of one spin, but one between two spins."""
    model = driven(form="sitewise", summed_energy=False, voltage_input=True)
    assert float(curl(model, 0.0).abs().max()) > 1e-3
    site, h = 7, 1e-4
    frame = tangent_frame(SPINS)[0, site]
    around = []  # a small square on the sphere: the work along its sides
    for a, b in ((0, 1), (1, 0)):
        moved = SPINS.expand(2, -1, -1).clone()
        moved[:, site] = torch.stack([np.cos(h) * SPINS[0, site] + s * np.sin(h) * frame[b] for s in (1, -1)])
        field = at(model, moved, 0.0)[:, site]
        around.append(float((field[0] - field[1]) @ frame[a]) / (2 * h))
    assert around[0] == pytest.approx(around[1], abs=1e-7)


def test_a_site_wise_field_is_the_slope_of_the_functions_of_the_site_by_its_own_spin() -> None:
    model = driven(form="sitewise", summed_energy=False)
    assert model.of_drive is not None
    field, frame, h = at(model, SPINS, 0.0), tangent_frame(SPINS), 1e-4

    def functions(spins: torch.Tensor, site: int) -> torch.Tensor:
        q = (model.descriptor(spins) - model.mean) / model.scale
        return model.energy_scale * model.of_drive(q, model.conditions(None))[0, site].detach()

    for site in (0, 6, 19):
        slopes = []
        for a in range(2):
            ends = []
            for sign in (1, -1):
                spins = SPINS.clone()
                spins[0, site] = np.cos(h) * SPINS[0, site] + sign * np.sin(h) * frame[0, site, a]
                ends.append(functions(spins, site))
            slopes.append((ends[0] - ends[1]) / (2 * h))
        e, g = torch.stack(slopes, dim=-1)
        # S x along the tangent frame (t1, t2): t1 -> t2, t2 -> -t1
        expected = torch.stack([-e[0] + g[1], -e[1] - g[0]])
        torch.testing.assert_close(frame[0, site] @ field[0, site], expected, rtol=0, atol=1e-7)


def test_summed_potentials_reach_only_the_curl_that_commutes_with_precession() -> None:
    """``J_i C = C J_j`` with J = S x in the tangent frames; site-wise functions know no such bound."""
    J = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double()
    for form, bound in (("summed", True), ("sitewise", False)):
        C = curl(driven(form=form), 0.0)
        missing = torch.einsum("ab,ibjc->iajc", J, C) - torch.einsum("iajb,bc->iajc", C, J)
        share = float(missing.norm() / C.norm())
        assert (share < 1e-6) == bound
        assert bound or share > 0.3


def test_what_is_written_by_hand_is_what_automatic_differentiation_gives() -> None:
    descriptor = BispectrumDescriptor.of(STRIP, **{k: v for k, v in DRIVEN.items() if k != "name"}).double()
    sites = slice(3, 11)
    coefficients = torch.randn(1, 8, descriptor.n_features, dtype=torch.float64)
    around = [descriptor.around(SPINS, sites), AutogradAround(descriptor, SPINS, sites)]
    sweeps = [descriptor.sweep(SPINS), AutogradSweep(descriptor, SPINS)]
    invariants = [one.invariants for one in around] + [sweep.invariants(sites) for sweep in sweeps]
    sets = torch.stack([coefficients, coefficients.roll(1)], dim=1)
    by_centre = [one.by_centre(sets) for one in (*around, *sweeps)]
    for number in range(2):  # energies are kept apart
        for sweep in sweeps:
            sweep.add((1 + number) * coefficients, number)
    by_all = [one.by_all(coefficients) for one in around] + [sweep.gradient(0) for sweep in sweeps]
    by_all += [sweep.gradient(1) / 2 for sweep in sweeps]
    for ways in (invariants, by_centre, by_all):
        for way in ways[1:]:
            torch.testing.assert_close(way, ways[0])


def test_training_and_evaluation_give_the_same_field_in_parts_of_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for form in ("energy", *BIASED):
        model = driven(form=form, voltage_input=True)
        whole = at(model, SPINS, 0.6)
        monkeypatch.setattr(model, "_part", lambda batch: 3)
        torch.testing.assert_close(at(model, SPINS, 0.6), whole, rtol=0, atol=1e-14)
        torch.testing.assert_close(at(model.train(), SPINS, 0.6).detach(), whole, rtol=0, atol=1e-14)


def test_any_descriptor_will_do() -> None:
    for descriptor in (
        {"name": "equivariant", "cutoff": 1.0},
        {"name": "raw", "cutoff": 1.5, "pair_cutoff": 1.5},
    ):
        model = driven(descriptor=descriptor, form="sitewise")
        assert float(at(model, SPINS, 0.0).abs().max()) > 0.01
        assert int(model.odd.sum()) == (0 if descriptor["name"] == "equivariant" else 8)


def test_a_site_knows_the_column_it_is_in_on_strips_of_any_length() -> None:
    """The same environments at the left lead and in the middle have different fields; next to a lead the
    field does not change much with the length of the strip."""
    model = driven(form="sitewise")
    uniform = torch.zeros_like(SPINS) + torch.tensor([0.0, 0.0, 1.0])
    site = torch.tensor(random_spins(1, np.random.default_rng(2), (1,)))
    columns = []
    for x in (2, 3):
        spins = uniform.clone()
        spins[0, 4 * x] = site
        columns.append(at(model, spins, 0.0)[0, 4 * x])
    assert float((columns[0] - columns[1]).abs().max()) > 1e-3 * float(columns[0].abs().max())
    blind = driven(form="sitewise", position_input=False, lattice=make_lattice("square", (6, 4)))
    spins = uniform.new_tensor(random_spins(24, np.random.default_rng(3), (1,)))
    torch.testing.assert_close(at(blind, spins.roll(4, 1), 0.0), at(blind, spins, 0.0).roll(4, 1))


def test_a_model_of_a_range_of_voltages_is_saved_with_it(tmp_path: Path) -> None:
    model = driven(form="sitewise", voltage_input=True)
    kind = {"name": "potential", "hidden": [16, 8], "form": "sitewise", "voltage_input": True}
    save_model(tmp_path / "model.safetensors", model, model_facts(STRIP, DRIVEN, kind))
    again = load_field(tmp_path / "model.safetensors", shape=(7, 6))
    assert isinstance(again, LearnedField)
    assert not again.conservative
    assert again.takes_voltage
    again.bind(STRIP)
    with pytest.raises(ConfigError, match=r"model\.voltage_input.*set_voltage"):
        again(SPINS)
    again.set_voltage(0.4)
    torch.testing.assert_close(again(SPINS)[1], at(model, SPINS, 0.4), rtol=0, atol=1e-14)


def test_what_it_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.form"):
        driven(form="other")
    with pytest.raises(ConfigError, match=r"model\.position_input.*periodic"):
        driven(lattice=make_lattice("square", (6, 4)))
    with pytest.raises(ConfigError, match=r"model\.position_input.*perpendicular"):
        driven(lattice=make_lattice("triangular", (6, 4), ["open", "periodic"]))
    with pytest.raises(ConfigError, match=r"descriptor\.point_group.*kagome"):
        build_model(make_lattice("kagome", (3, 3)), DRIVEN, {"name": "potential", "position_input": False})
    with pytest.raises(ConfigError, match=r"descriptor\.point_group"):
        driven(descriptor=DRIVEN | {"point_group": "C4v"})


def driven_labels(path: Path) -> Path:
    """Exchange, a torque linear in the bias that no energy gives, at three voltages of the same spins."""
    lattice = make_lattice("square", (6, 4), ("open", "periodic"))
    spins, parts = random_spins(24, np.random.default_rng(0), (24,)), []
    for voltage in (0.0, 0.5, 1.0):
        field = BiasedLabeler(Strip(lattice, voltage)).label(spins).field
        parts.append({"spins": spins, "field": field, "voltage": np.full(24, voltage)})
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.savez(path, **arrays, shape=np.array([6, 4]), trajectory=np.tile(np.arange(24), 3))
    return path


STRIP_OF_LABELS = ("lattice=square", "lattice.shape=[6,4]", "lattice.boundary=[open,periodic]")
BIASED_MODEL = ("model=potential", "model.voltage_input=true", "descriptor.cutoff=1", "descriptor.channels=8")


@pytest.mark.slow
def test_a_site_wise_model_learns_what_an_energy_cannot(tmp_path: Path) -> None:
    data = driven_labels(tmp_path / "driven.npz")
    how = [
        *STRIP_OF_LABELS,
        *BIASED_MODEL,
        "trainer.optimizer=soap",
        "trainer.lr=0.01",
        "trainer.weight_decay=0",
    ]
    how += ["trainer.max_epochs=12", "trainer.batch_size=4", "trainer.ema=0.9"]
    errors = {}
    for form in ("energy", "sitewise"):
        trained = fit(tmp_path / form, data, *how, f"model.form={form}")
        index, dataset = trained.split.test, trained.dataset
        assert dataset.voltage is not None
        _, field = predict(trained.model, dataset.spins[index], dataset.voltage[index])
        for voltage in (0.0, 1.0):
            chosen = dataset.voltage[index] == voltage
            spins, exact = dataset.spins[index][chosen], dataset.field[index][chosen]
            errors[form, voltage] = torque_metrics(exact, field[chosen], spins)["torque_error"]
    assert errors["energy", 1.0] > 0.3
    assert errors["sitewise", 1.0] < 0.5 * errors["energy", 1.0]
    assert max(errors["energy", 0.0], errors["sitewise", 0.0]) < 0.2


def test_the_largest_voltage_of_the_training_is_the_unit_of_the_bias(tmp_path: Path) -> None:
    data = driven_labels(tmp_path / "driven.npz")
    trained = fit(tmp_path / "run", data, *STRIP_OF_LABELS, *BIASED_MODEL, "trainer.max_epochs=1")
    assert float(trained.model.state_dict()["conditions.voltage_scale"]) == 1.0
    assert trained.model.takes_voltage


def test_a_bias_cannot_be_learned_from_data_that_know_none(tmp_path: Path) -> None:
    known = np.load(driven_labels(tmp_path / "driven.npz"))
    np.savez(tmp_path / "bare.npz", **{name: known[name] for name in known if name != "voltage"})
    with pytest.raises(ConfigError, match=r"model\.voltage_input=True"):
        fit(tmp_path / "run", tmp_path / "bare.npz", *STRIP_OF_LABELS, *BIASED_MODEL)


def test_the_response_is_the_change_of_the_field_of_the_same_spins(tmp_path: Path) -> None:
    data = open_dataset(driven_labels(tmp_path / "driven.npz"))
    index = np.r_[0:6, 24:27, 50:60]  # 50 to 53 are the spins 2 to 5 at eV = 1
    undriven = np.tile(data.field[:24], (3, 1, 1))[index]
    errors = response_errors(data, index, undriven + 0.25 * (data.field[index] - undriven))
    assert set(errors) == {"response eV=0.5", "response eV=1"}
    for found in errors.values():
        assert found["torque_error"] == pytest.approx(0.75)
    assert errors["response eV=1"]["torque_rms"] > 1.5 * errors["response eV=0.5"]["torque_rms"]
    assert response_errors(data, np.arange(24, 40), data.field[24:40]) == {}


def test_a_simulation_with_a_learned_field_takes_the_bias_of_the_strip(tmp_path: Path) -> None:
    model = driven(form="sitewise", voltage_input=True)
    kind = {"name": "potential", "hidden": [16, 8], "form": "sitewise", "voltage_input": True}
    save_model(tmp_path / "model.safetensors", model, model_facts(STRIP, DRIVEN, kind))
    job = ["task=simulate", "compute=cpu", f"checkpoint={tmp_path / 'model.safetensors'}", "lattice=square"]
    job += ["lattice.shape=[7,4]", "lattice.boundary=[open,periodic]", "hamiltonian=driven", "labeler=negf"]
    start = torch.tensor(random_spins(28, np.random.default_rng(5), (2,)))
    ends = []
    for voltage in (0.0, 1.0):
        cfg = compose([*job, f"hamiltonian.voltage={voltage}", "compute.precision=float64"])
        field, identity, _ = build_field(cfg, STRIP.with_shape((7, 4)))
        assert identity["voltage"] == voltage
        *_, last = evolve(field, start, make_integrator("heun", 0.05, 0.3), Quench(4, 2), seed=0)
        assert bool(last.energy.isnan().all())
        ends.append(last.spins)
    assert 1e-5 < float((ends[1] - ends[0]).abs().max()) < 0.5
