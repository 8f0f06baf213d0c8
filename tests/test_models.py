"""Learned fields: gradients, symmetries, the closed form, statistics, files."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from effective_field_checks import Case, EffectiveFieldChecks, moved, tangent_directions

import magsim
from magsim.config import compose
from magsim.dynamics import ClassicalField, LearnedField
from magsim.errors import ConfigError, DataError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import Lattice, make_lattice
from magsim.learning.checkpoint import load_checkpoint, load_model, model_facts, save_model
from magsim.learning.module import ClosedFormModule
from magsim.models import EnergyModel, LinearModel, build_model
from magsim.models.linear import tangent_frame
from magsim.spins import random_spins, transverse

BISPECTRUM: dict[str, Any] = {"name": "bispectrum", "cutoff": 1.8, "references": 2}
BP: dict[str, Any] = {"name": "bp", "hidden": [16, 8], "activation": "silu"}
LINEAR: dict[str, Any] = {"name": "linear"}


def trained(
    lattice: Lattice,
    kind: Mapping[str, Any] = BP,
    dtype: torch.dtype = torch.float64,
    **descriptor: Any,
) -> EnergyModel:
    """A model with random weights of the size that training gives them, and real statistics."""
    torch.manual_seed(3)
    model = build_model(lattice, BISPECTRUM | descriptor, kind).double()
    rng = np.random.default_rng(0)
    spins = torch.tensor(random_spins(lattice.n_sites, rng, (6,)))
    model.fit_statistics(spins, 0.1 * torch.tensor(rng.normal(size=spins.shape)))
    with torch.no_grad():
        for parameter in model.parameters():
            width = parameter.shape[-1] if parameter.ndim > 1 else len(parameter)
            parameter.normal_(std=2 * width**-0.5)
    model.energy_shift.fill_(-0.3)
    return model.to(dtype).eval()


SMALL = make_lattice("triangular", (5, 5))
LEARNED = {
    "bp triangular": (SMALL, BP, {}),
    "bp with chiralities": (SMALL, BP, {"chirality_cutoff": 1.0}),
    "bp with bispectrum": (SMALL, BP, {"bispectrum": True, "references": 1, "chirality_cutoff": 1.0}),
    "bp square open": (make_lattice("square", (4, 5), "open"), BP, {"cutoff": 2.0}),
    "bp kagome half open": (make_lattice("kagome", (3, 3), ["open", "periodic"]), BP, {}),
    "bp honeycomb": (make_lattice("honeycomb", (3, 3)), BP, {}),
    "bp cubic": (make_lattice("cubic", (3, 3, 3)), BP, {"cutoff": 1.0}),
    "bp chain": (make_lattice("chain", (9,)), BP, {"cutoff": 3.0}),
    "linear triangular": (SMALL, LINEAR, {"chirality_cutoff": 1.0}),
    "linear kagome open": (make_lattice("kagome", (3, 3), "open"), LINEAR, {}),
}


class TestLearnedFields(EffectiveFieldChecks):
    @pytest.fixture(params=LEARNED)
    def case(self, request: pytest.FixtureRequest) -> Case:
        lattice, kind, descriptor = LEARNED[request.param]
        return Case(lattice, LearnedField(trained(lattice, kind, **descriptor)))


class TestSinglePrecision(EffectiveFieldChecks):
    @pytest.fixture(params=[BP, LINEAR], ids=["bp", "linear"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        field = LearnedField(trained(SMALL, request.param, torch.float32))
        return Case(SMALL, field, gradient=1e-3, exact=1e-5, step=0.03)


class TestSumWithClassicalTerms(EffectiveFieldChecks):
    @pytest.fixture
    def case(self) -> Case:
        terms = ClassicalHamiltonian(SMALL, heisenberg=(0.3, -0.1), easy_axis=0.2, zeeman=(0.1, 0.0, 0.2))
        field = LearnedField(trained(SMALL)) + ClassicalField(terms)
        return Case(SMALL, field, rotations=False, time_reversal=False)


@pytest.mark.parametrize("kind", [BP, LINEAR], ids=["bp", "linear"])
def test_a_single_precision_field_is_the_finite_difference_to_one_in_ten_thousand(kind: dict) -> None:
    """Energies of the same weights in float64, so that rounding of the difference does not count."""
    coarse, fine = (LearnedField(trained(SMALL, kind, dtype)) for dtype in (torch.float32, torch.float64))
    spins, h = random_spins(25, np.random.default_rng(7)), 1e-3
    field = coarse(spins)[1]
    rms = np.sqrt(np.mean(field**2))
    for direction in tangent_directions(spins, np.random.default_rng(1), 5):
        energy = fine(np.stack([moved(spins, direction, k * h) for k in (-2, -1, 1, 2)]))[0]
        slope = energy @ np.array([1, -8, 8, -1]) / (12 * h)
        assert abs((field * direction).sum() + slope) < 1e-4 * rms


def test_the_field_has_no_part_along_the_spins() -> None:
    spins = random_spins(25, np.random.default_rng(0))
    field = LearnedField(trained(SMALL))(spins)[1]
    np.testing.assert_allclose((field * spins).sum(-1), 0, atol=1e-14)


def test_a_repeated_configuration_has_the_repeated_field_on_a_larger_lattice() -> None:
    small, large = make_lattice("triangular", (12, 12)), make_lattice("triangular", (24, 24))
    model = trained(small, cutoff=2.0)
    spins = random_spins(144, np.random.default_rng(0))
    energy, field = LearnedField(model)(spins)
    index = (large.cells % 12) @ [12, 1]
    large_energy, large_field = LearnedField(model.bind(large))(spins[index])
    assert large_energy == pytest.approx(4 * energy, rel=1e-12)
    np.testing.assert_allclose(large_field, field[index], rtol=0, atol=1e-12)


def test_a_far_spin_has_no_influence() -> None:
    """A spin beyond twice the cutoff is in no environment that the first one is in."""
    lattice = make_lattice("square", (11, 11))
    field = LearnedField(trained(lattice, cutoff=2.0))
    spins = random_spins(121, np.random.default_rng(0))
    changed = spins.copy()
    changed[5 * 11 + 5] *= -1
    difference = np.abs(field(changed)[1] - field(spins)[1]).max(axis=-1).reshape(11, 11)
    assert difference[0, 5] == difference[5, 0] == 0.0
    assert difference[3, 5] > 1e-6


class TestStatistics:
    lattice = make_lattice("triangular", (5, 5))

    def test_the_training_invariants_have_mean_zero_and_variance_one(self) -> None:
        rng = np.random.default_rng(0)
        model = build_model(self.lattice, BISPECTRUM, BP).double()
        spins = torch.tensor(random_spins(25, rng, (40,)))
        field = torch.tensor(rng.normal(size=spins.shape))
        model.fit_statistics(spins, field)
        q = ((model.descriptor(spins) - model.mean) / model.scale).flatten(0, 1)
        np.testing.assert_allclose(q.mean(0), 0, atol=1e-10)
        np.testing.assert_allclose(q.var(0, unbiased=False), 1, rtol=1e-6)
        rms = transverse(field, spins).pow(2).mean().sqrt()
        assert float(model.energy_scale) == pytest.approx(float(rms))

    def test_an_invariant_that_is_constant_stays_small(self) -> None:
        """At a cutoff of half the side both ends of a bond are one spin: its product is 1 up to rounding."""
        lattice = make_lattice("square", (4, 4))
        model = build_model(lattice, BISPECTRUM | {"cutoff": 2.0, "bond_cutoff": 4.0}, LINEAR).float()
        spins = torch.tensor(random_spins(16, np.random.default_rng(0), (10,)), dtype=torch.float32)
        model.fit_statistics(spins, torch.ones_like(spins))
        q = (model.descriptor(spins) - model.mean) / model.scale
        deviation = model.descriptor(spins).double().flatten(0, 1).std(0)
        constant = deviation < 1e-5
        assert constant.any()
        assert q[..., constant].abs().max() < 1e-4

    def test_the_shift_removes_the_mean_error_of_the_energy(self) -> None:
        model = trained(self.lattice)
        spins = torch.tensor(random_spins(25, np.random.default_rng(1), (20,)))
        energy = torch.linspace(-30, -20, 20, dtype=torch.float64)
        model.fit_shift(spins, energy)
        with torch.no_grad():
            assert float((model.energy(spins) - energy).mean()) == pytest.approx(0, abs=1e-10)


class TestLinear:
    def test_two_tangent_directions_are_orthonormal_and_transverse(self) -> None:
        spins = torch.tensor(
            np.concatenate([random_spins(50, np.random.default_rng(0)), np.eye(3), -np.eye(3)])
        )
        frame = torch.cat([tangent_frame(spins), spins[:, None]], dim=1)
        identity = torch.eye(3, dtype=torch.float64).expand(56, 3, 3)
        torch.testing.assert_close(frame @ frame.mT, identity, atol=1e-14, rtol=0)

    @pytest.mark.parametrize("name", ["linear triangular", "linear kagome open"])
    def test_the_design_matrix_times_the_weights_is_the_field(self, name: str) -> None:
        lattice, kind, descriptor = LEARNED[name]
        model = trained(lattice, kind, **descriptor)
        assert isinstance(model, LinearModel)
        spins = torch.tensor(random_spins(lattice.n_sites, np.random.default_rng(5), (2,)))
        design = model.design(spins)
        assert design.shape == (2, lattice.n_sites, 2, model.n_features)
        field = torch.einsum("bnac,bnc->bna", tangent_frame(spins), model(spins)[1])
        torch.testing.assert_close(design @ model.weight, field, atol=1e-12, rtol=0)

    @pytest.mark.parametrize("name", ["triangular", "kagome"])
    def test_the_closed_form_recovers_a_heisenberg_model_of_two_shells(self, name: str) -> None:
        lattice = make_lattice(name, (5, 5))
        terms = ClassicalHamiltonian(lattice, heisenberg=(1.0, -0.37))
        spins = torch.tensor(random_spins(lattice.n_sites, np.random.default_rng(0), (24,)))
        exact_energy, field = terms.energy_and_field(spins)
        model = build_model(lattice, BISPECTRUM | {"references": 0}, LINEAR).double()
        assert isinstance(model, LinearModel)
        model.fit_statistics(spins, field)
        module = ClosedFormModule(model, 1e-12, ("random",), {})
        weight = torch.ones(len(spins), dtype=torch.float64)
        module.training_step({"spins": spins[:20], "field": field[:20], "weight": weight[:20]}, 0)
        module.on_validation_epoch_start()
        model.fit_shift(spins[:20], exact_energy[:20])
        energy, predicted = (answer.detach() for answer in model(spins[20:]))
        predicted, exact = (transverse(f, spins[20:]) for f in (predicted, field[20:]))
        error = (predicted - exact).pow(2).mean().sqrt() / exact.pow(2).mean().sqrt()
        assert float(error) < 1e-6
        torch.testing.assert_close(energy, exact_energy[20:], atol=1e-5, rtol=0)


class TestFiles:
    lattice = make_lattice("triangular", (6, 6))

    @pytest.fixture(params=[BP, LINEAR], ids=["bp", "linear"])
    def saved(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[EnergyModel, Path, str]:
        model = trained(self.lattice, request.param, torch.float32)
        facts = model_facts(self.lattice, BISPECTRUM, request.param, dataset="abc")
        digest = save_model(tmp_path / "model.ckpt", model, facts)
        return model, tmp_path / "model.ckpt", digest

    def test_a_saved_model_comes_back_bit_by_bit(self, saved: tuple[EnergyModel, Path, str]) -> None:
        model, path, digest = saved
        again = load_model(path)
        assert again.state_dict().keys() == model.state_dict().keys()
        for name, tensor in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor), name
        spins = torch.tensor(random_spins(36, np.random.default_rng(0), (3,)), dtype=torch.float32)
        for mine, theirs in zip(model(spins), again(spins), strict=True):
            assert torch.equal(mine, theirs)
        assert load_checkpoint(path)[1]["hash"] == digest
        assert not again.training
        assert sorted(file.name for file in path.parent.iterdir()) == ["model.ckpt"]

    def test_the_statistics_are_in_the_file(self, saved: tuple[EnergyModel, Path, str]) -> None:
        model, path, _ = saved
        weights, _ = load_checkpoint(path)
        for name in ("mean", "scale", "energy_scale", "energy_shift"):
            assert torch.equal(weights[name], getattr(model, name))
        assert float(weights["scale"].std()) > 0

    def test_the_file_holds_no_pickled_classes(self, saved: tuple[EnergyModel, Path, str]) -> None:
        content = torch.load(saved[1], weights_only=True)
        assert set(content) == {"magsim", "state_dict"}

    def test_another_precision_can_be_asked_for(self, saved: tuple[EnergyModel, Path, str]) -> None:
        model, path, _ = saved
        spins = random_spins(36, np.random.default_rng(0))
        fine = magsim.load_field(path, dtype=torch.float64)
        assert fine.dtype == torch.float64
        energy, field = LearnedField(model)(spins)
        np.testing.assert_allclose(fine(spins)[1], field, atol=1e-5)
        assert fine(spins)[0] == pytest.approx(energy, abs=1e-3)

    def test_load_field_takes_a_file_or_its_folder_and_another_size(
        self, saved: tuple[EnergyModel, Path, str]
    ) -> None:
        _, path, _ = saved
        spins = random_spins(64, np.random.default_rng(0), (2, 3))
        fields = [
            magsim.load_field(path, shape=(8, 8)),
            magsim.load_field(str(path.parent), lattice=self.lattice.with_shape((8, 8))),
        ]
        answers = [field(spins) for field in fields]
        np.testing.assert_array_equal(answers[0][1], answers[1][1])
        energy, field = answers[0]
        assert (energy.shape, field.shape) == ((2, 3), (2, 3, 64, 3))
        tensor_energy, tensor_field = fields[0](torch.tensor(spins))
        np.testing.assert_array_equal(tensor_field.numpy(), field)
        np.testing.assert_array_equal(tensor_energy.numpy(), energy)

    def test_another_kind_of_lattice_is_refused(self, saved: tuple[EnergyModel, Path, str]) -> None:
        with pytest.raises(ConfigError, match=r"trained on lattice triangular; lattice\.name=square"):
            magsim.load_field(saved[1], lattice=make_lattice("square", (6, 6)))

    def test_a_lattice_smaller_than_twice_the_cutoff_is_refused(
        self, saved: tuple[EnergyModel, Path, str]
    ) -> None:
        with pytest.raises(ConfigError, match=r"half the .*periodic side"):
            magsim.load_field(saved[1], shape=(3, 3))

    def test_a_missing_checkpoint_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"has no model\.ckpt"):
            magsim.load_field(tmp_path)
        with pytest.raises(ConfigError, match="does not exist"):
            magsim.load_field(tmp_path / "nowhere")

    def test_a_corrupt_checkpoint_is_refused(
        self, saved: tuple[EnergyModel, Path, str], tmp_path: Path
    ) -> None:
        good = saved[1].read_bytes()
        content = torch.load(saved[1], weights_only=True)

        def changed(**parts: Any) -> dict[str, Any]:
            return content | parts

        def without(node: str, *keys: str) -> dict[str, Any]:
            return changed(**{node: {k: v for k, v in content[node].items() if k not in keys}})

        bad: dict[str, Any] = {
            "truncated": good[: len(good) // 2],
            "no file of torch": b"spins, field\n1, 2\n",
            "empty": b"",
            "a list": [1, 2, 3],
            "without facts": {"state_dict": content["state_dict"]},
            "facts of another kind": changed(magsim=3),
            "another format": changed(magsim=content["magsim"] | {"format_version": 99}),
            "without a lattice": without("magsim", "lattice"),
            "without statistics": without("state_dict", "model.mean"),
            "keys of another version": changed(
                magsim=content["magsim"] | {"model": content["magsim"]["model"] | {"depth": 3}}
            ),
            "without a weight": without("state_dict", "model.descriptor.adapt"),
            "other weights": changed(state_dict=content["state_dict"] | {"model.scale": torch.ones(7)}),
        }
        path = tmp_path / "bad.ckpt"
        for name, what in bad.items():
            if isinstance(what, bytes):
                path.write_bytes(what)
            else:
                torch.save(what, path)
            with pytest.raises(DataError) as refusal:
                magsim.load_field(path)
            assert str(path) in str(refusal.value), name

    def test_a_pickle_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple:
                return (Path(tmp_path / "sprung").touch, ())

        torch.save({"magsim": Trap(), "state_dict": {}}, tmp_path / "trap.ckpt")
        (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Trap(), protocol=2))
        for name in ("trap.ckpt", "plain.ckpt"):
            with pytest.raises(DataError, match="not a readable checkpoint"):
                magsim.load_field(tmp_path / name)
        assert not (tmp_path / "sprung").exists()


def test_the_exact_effective_field_of_a_configuration_takes_arrays_and_tensors() -> None:
    cfg = compose(["lattice.shape=[4,4]", "hamiltonian.T=0.2", "classical.zeeman=[0,0,0.5]", "compute=cpu"])
    field = magsim.effective_field(cfg)
    spins = random_spins(16, np.random.default_rng(0), (2,))
    energy, exact = field(spins)
    assert (energy.shape, exact.shape) == ((2,), (2, 16, 3))
    np.testing.assert_array_equal(field(torch.tensor(spins))[1].numpy(), exact)
    bare = magsim.effective_field(compose(["lattice.shape=[4,4]", "hamiltonian.T=0.2", "compute=cpu"]))
    np.testing.assert_allclose(exact - bare(spins)[1], np.broadcast_to([0, 0, 0.5], exact.shape), atol=1e-12)
    assert magsim.effective_field(cfg, shape=(5, 4)).n_sites == 20


@pytest.mark.gpu
@pytest.mark.parametrize("name", LEARNED)
def test_the_field_on_the_gpu_equals_that_on_the_cpu(name: str) -> None:
    lattice, kind, descriptor = LEARNED[name]
    model = trained(lattice, kind, **descriptor)
    spins = random_spins(lattice.n_sites, np.random.default_rng(0), (3,))
    energy, field = LearnedField(model)(spins)
    gpu_energy, gpu_field = LearnedField(model.to("cuda"))(spins)
    np.testing.assert_allclose(gpu_field, field, rtol=0, atol=1e-10)
    np.testing.assert_allclose(gpu_energy, energy, rtol=1e-12)
