"""Equivariant message passing: couplings, parities, symmetries, what it can see, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from effective_field_checks import Case, EffectiveFieldChecks
from random_models import BP

from magsim.descriptors import EquivariantDescriptor
from magsim.descriptors.spin_irreps import clebsch_gordan, rotation, spin_components
from magsim.dynamics import EffectiveField, LearnedField, load_field
from magsim.errors import ConfigError
from magsim.lattice import Lattice, make_lattice, site_permutations
from magsim.learning.checkpoint import model_facts, save_model
from magsim.models import EquivariantModel, Model, build_model
from magsim.models.equivariant.kinds import Kind, paths
from magsim.spins import random_rotation, random_spins, transverse

DESCRIPTOR: dict[str, Any] = {"name": "equivariant", "cutoff": 1.5, "lmax": 2}
MODEL: dict[str, Any] = {"name": "equivariant", "layers": 2, "channels": 3, "hidden": [6]}
SQUARE = make_lattice("square", (4, 4))
CASES: dict[str, tuple[Lattice, dict[str, Any], dict[str, Any]]] = {
    "square": (SQUARE, {}, {}),
    "triangular open": (make_lattice("triangular", (4, 3), "open"), {"pseudo": True}, {"cutoff": 1.0}),
    "kagome half open": (make_lattice("kagome", (2, 3), ["open", "periodic"]), {}, {"cutoff": 1.0}),
    "honeycomb vectors": (make_lattice("honeycomb", (3, 3)), {"pseudo": True}, {"lmax": 1, "cutoff": 1.0}),
    "cubic one layer": (make_lattice("cubic", (2, 2, 2)), {"layers": 1}, {"cutoff": 1.0}),
    "chain three layers": (make_lattice("chain", (7,)), {"layers": 3}, {"cutoff": 2.0}),
    "square of half the side": (SQUARE, {}, {"cutoff": 2.0}),
}


def random_model(
    lattice: Lattice,
    options: dict[str, Any],
    descriptor: dict[str, Any],
    dtype: torch.dtype = torch.float64,
) -> EquivariantModel:
    """Weights larger than at the start, so that gates and networks are far from linear."""
    torch.manual_seed(3)
    model = build_model(lattice, DESCRIPTOR | descriptor, MODEL | options).double()
    assert isinstance(model, EquivariantModel)
    rng = np.random.default_rng(0)
    spins = torch.tensor(random_spins(lattice.n_sites, rng, (6,)))
    model.fit_statistics(spins, 0.1 * torch.tensor(rng.normal(size=spins.shape)))
    with torch.no_grad():
        model.readout.weight.normal_()
    model.energy_shift.fill_(-0.3)
    field = transverse(model.eval()(spins)[1], spins)
    model.energy_scale /= field.square().mean().sqrt()
    return model.to(dtype)


def power_spectrum_model() -> Model:
    """A network of site energies on the invariants of the descriptor alone."""
    torch.manual_seed(3)
    model = build_model(SQUARE, DESCRIPTOR, BP).double()
    spins = torch.tensor(random_spins(16, np.random.default_rng(0), (6,)))
    model.fit_statistics(spins, spins.roll(1, 1))
    return model.eval()


class WithoutEnergy(EffectiveField):
    """A field whose energy is nan, with 0 in its place."""

    conservative = False

    def __init__(self, field: LearnedField) -> None:
        self.field, self.n_sites, self.name = field, field.n_sites, field.name

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        energy, field = self.field(spins)
        assert bool((energy != energy).all())
        return np.nan_to_num(energy) if isinstance(energy, np.ndarray) else torch.nan_to_num(energy), field


class TestEnergies(EffectiveFieldChecks):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest) -> Case:
        return Case(CASES[request.param][0], LearnedField(random_model(*CASES[request.param])))


class TestSinglePrecision(EffectiveFieldChecks):
    @pytest.fixture
    def case(self) -> Case:
        field = LearnedField(random_model(SQUARE, {"pseudo": True}, {}, torch.float32))
        return Case(SQUARE, field, gradient=1e-3, exact=1e-5, step=0.03)


class TestTorques(EffectiveFieldChecks):
    @pytest.fixture(params=["square", "triangular open", "kagome half open"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        lattice, options, descriptor = CASES[request.param]
        model = random_model(lattice, options | {"output": "torque"}, descriptor)
        field = LearnedField(model)
        assert not field.conservative
        return Case(lattice, WithoutEnergy(field))


class TestPowerSpectrum(EffectiveFieldChecks):
    """The descriptor alone, with another model on it."""

    @pytest.fixture
    def case(self) -> Case:
        return Case(SQUARE, LearnedField(power_spectrum_model()))


@pytest.mark.parametrize(
    "degrees", [(1, 1, 0), (1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (2, 2, 1), (2, 2, 2)]
)
def test_a_coupling_commutes_with_rotations(degrees: tuple[int, int, int]) -> None:
    left, right, degree = degrees
    table, R = clebsch_gordan(left, right, degree), random_rotation(np.random.default_rng(1))
    turned = np.einsum("cab,ad,be->cde", table, rotation(left, R), rotation(right, R))
    np.testing.assert_allclose(turned, np.einsum("cd,dab->cab", rotation(degree, R), table), atol=1e-13)
    assert np.linalg.norm(table) == pytest.approx((2 * degree + 1) ** 0.5)


def test_degrees_that_make_no_triangle_do_not_couple() -> None:
    with pytest.raises(ValueError, match="do not couple"):
        clebsch_gordan(0, 1, 2)


def test_the_quadrupole_of_a_spin_turns_as_an_irrep_and_is_even() -> None:
    spins = torch.tensor(random_spins(5, np.random.default_rng(0)))
    R = random_rotation(np.random.default_rng(1))
    quadrupole = spin_components(spins, 2)
    turned = spin_components(spins @ torch.tensor(R).T, 2)
    torch.testing.assert_close(turned, quadrupole @ torch.tensor(rotation(2, R)).T)
    torch.testing.assert_close(spin_components(-spins, 2), quadrupole)
    torch.testing.assert_close(quadrupole.norm(dim=-1), torch.ones(5, dtype=torch.float64))


def test_products_multiply_time_parities() -> None:
    kinds = [Kind(degree, odd) for degree in range(3) for odd in (False, True)]
    found = paths(kinds, kinds)
    assert found
    assert all(path.out.odd == (path.left.odd ^ path.right.odd) for path in found)
    natural = [Kind(degree, bool(degree % 2)) for degree in range(3)]
    assert not any(
        (p.left.degree, p.right.degree, p.out.degree) == (1, 1, 1) for p in paths(natural, natural)
    )


def test_every_lattice_irrep_of_every_shell_is_a_channel() -> None:
    """Four nearest neighbours of a square are A1 + B1 + E, four diagonal ones A1 + B2 + E."""
    descriptor = EquivariantDescriptor(make_lattice("square", (6, 6)), 1.5)
    assert [(block.dim, block.copies) for block in descriptor.blocks] == [(1, 3), (1, 1), (1, 1), (2, 2)]
    basis = descriptor.basis
    assert len(basis) == basis.shape[1] == 9
    torch.testing.assert_close(basis @ basis.T, torch.eye(9, dtype=torch.float64))


def test_a_site_sees_as_far_as_its_layers_carry() -> None:
    """Site energies reach two cutoffs, fields four: a spin five away moves nothing, one four away does."""
    lattice = make_lattice("square", (11, 11))
    field = LearnedField(random_model(lattice, {}, {"cutoff": 1.0}))
    spins = random_spins(121, np.random.default_rng(0))
    changed = spins.copy()
    changed[60] *= -1
    difference = np.abs(field(changed)[1] - field(spins)[1]).max(axis=-1).reshape(11, 11)
    assert difference[0, 5] == difference[5, 0] == 0.0
    assert difference[1, 5] > 1e-9


def test_the_statistics_make_the_invariants_of_every_layer_normal() -> None:
    model = build_model(SQUARE, DESCRIPTOR, MODEL).double()
    spins = torch.tensor(random_spins(16, np.random.default_rng(0), (12,)))
    model.fit_statistics(spins, spins)
    seen: list[torch.Tensor] = []
    for layer in model.layers:
        layer.network.register_forward_pre_hook(
            lambda module, inputs, n=layer.n_invariants: seen.append(inputs[0][..., :n])
        )
    model(spins)
    for q in seen:
        spread = q.detach().flatten(0, 1).std(0)
        assert float(q.detach().mean((0, 1)).abs().max()) < 1e-8
        assert bool(((spread - 1).abs() < 1e-6).logical_or(spread < 1e-6).all())


def test_a_saved_model_gives_the_same_field_again_on_any_size(tmp_path: Path) -> None:
    model = random_model(SQUARE, {}, {})
    save_model(tmp_path / "model.safetensors", model, model_facts(SQUARE, DESCRIPTOR, MODEL))
    spins = random_spins(16, np.random.default_rng(0))
    energy, field = LearnedField(model)(spins)
    again = load_field(tmp_path / "model.safetensors", shape=(8, 4))
    large_energy, large_field = again(np.tile(spins, (2, 1)))
    assert large_energy == pytest.approx(2 * energy, rel=1e-12)
    np.testing.assert_allclose(large_field, np.tile(field, (2, 1)), rtol=0, atol=1e-12)


def test_a_model_with_more_shells_begins_nearly_with_the_field_of_one_with_fewer() -> None:
    lattice = make_lattice("triangular", (6, 6))
    small = random_model(lattice, {"pseudo": True}, {"cutoff": 1.0}).double()
    large = build_model(lattice, DESCRIPTOR | {"cutoff": 2.0}, MODEL | {"pseudo": True}).double()
    spins = random_spins(36, np.random.default_rng(0))
    assert np.abs(LearnedField(large)(spins)[1] - LearnedField(small)(spins)[1]).max() > 1e-3
    large.adopt(small)
    known, first = LearnedField(small)(spins)[1], LearnedField(large)(spins)[1]
    assert np.square(first - known).mean() < 1e-3 * np.square(known).mean()
    with pytest.raises(ValueError, match="more than the cutoff"):
        build_model(lattice, DESCRIPTOR, MODEL | {"channels": 5}).adopt(small)


def test_training_moves_every_weight() -> None:
    model = random_model(SQUARE, {"pseudo": True}, {}).train()
    spins = torch.tensor(random_spins(16, np.random.default_rng(0), (2,)))
    model(spins)[1].square().sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert all(name.endswith("readout.bias") for name in still), still


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", 0),
        ("channels", 0),
        ("hidden", []),
        ("hidden", [0]),
        ("activation", "sine"),
        ("output", "spin"),
    ],
)
def test_options_out_of_range_are_refused_with_a_sentence(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{key}="):
        build_model(SQUARE, DESCRIPTOR, MODEL | {key: value})


def test_what_a_site_cannot_see_is_refused() -> None:
    for change, key in (({"lmax": 3}, "lmax"), ({"cutoff": 2.5}, "cutoff"), ({"cutoff": 0.5}, "cutoff")):
        with pytest.raises(ConfigError, match=rf"descriptor\.{key}="):
            build_model(SQUARE, DESCRIPTOR | change, MODEL)
    with pytest.raises(ConfigError, match="descriptor=equivariant"):
        build_model(SQUARE, {"name": "bispectrum"}, MODEL)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_the_equivariant_field_on_the_gpu_equals_that_on_the_cpu(name: str) -> None:
    model = random_model(*CASES[name])
    spins = random_spins(CASES[name][0].n_sites, np.random.default_rng(0), (3,))
    energy, field = LearnedField(model)(spins)
    gpu_energy, gpu_field = LearnedField(model.to("cuda"))(spins)
    np.testing.assert_allclose(gpu_field, field, rtol=0, atol=1e-10)
    np.testing.assert_allclose(gpu_energy, energy, rtol=1e-12)


def test_lattice_operations_are_those_of_the_open_sample() -> None:
    """The open cases above have operations besides the identity: their test is not empty."""
    assert len(site_permutations(CASES["triangular open"][0])) > 1
