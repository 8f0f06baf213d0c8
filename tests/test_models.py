"""Learned fields: gradients, symmetries, statistics, the closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from effective_field_checks import Case, EffectiveFieldChecks, moved, tangent_directions
from random_models import BISPECTRUM, BP, LEARNED, LINEAR, SMALL, trained
from torch.utils._python_dispatch import TorchDispatchMode

import magsim
from magsim.config import compose
from magsim.dynamics import ClassicalField, LearnedField
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.learning.closed_form import ClosedFormModule
from magsim.models import LinearModel, build_model
from magsim.models.linear import tangent_frame
from magsim.spins import random_spins, transverse


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


@pytest.mark.parametrize("point_group", ["lattice", "mirror_y"])
def test_a_model_with_larger_cutoffs_begins_with_the_field_of_one_with_smaller(point_group: str) -> None:
    lattice = make_lattice("square", (7, 7))
    own = {"channels": 3, "chirality_cutoff": 1.5, "point_group": point_group}
    descriptor = {**BISPECTRUM, **own, "cutoff": 1.5}
    spins = random_spins(49, np.random.default_rng(0))
    small = trained(lattice, BP, **own, cutoff=1.5)
    wider = {"cutoff": 2.3, "chirality_cutoff": 2.0}
    large = build_model(lattice, descriptor | wider, BP).double()
    large.adopt(small)
    np.testing.assert_allclose(LearnedField(large)(spins)[1], LearnedField(small)(spins)[1], atol=1e-12)
    for other in (descriptor | wider | {"channels": 4}, descriptor | {"cutoff": 1.0, "bond_cutoff": 1.0}):
        with pytest.raises(ValueError, match=r"cutoff"):
            build_model(lattice, other, BP).double().adopt(small)


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


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("sites", [1, 7])
def test_parts_of_the_sites_give_what_all_sites_give_at_once(
    name: str, sites: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice, kind, descriptor = LEARNED[name]
    model = trained(lattice, kind, **descriptor)
    spins = torch.tensor(random_spins(lattice.n_sites, np.random.default_rng(4), (2,)))
    assert model.part(2) >= lattice.n_sites
    energy, field = model(spins)
    monkeypatch.setattr(model, "part", lambda batch: sites)
    parts_energy, parts_field = model(spins)
    whole_energy, whole_field = (answer.detach() for answer in model.train()(spins))  # with a graph
    for answer in (energy, parts_energy):
        torch.testing.assert_close(answer, whole_energy, rtol=1e-13, atol=0)
    for answer in (field, parts_field):
        torch.testing.assert_close(answer, whole_field, rtol=0, atol=1e-13 * float(whole_field.abs().max()))


class Largest(TorchDispatchMode):
    """Bytes of the largest tensor that any operation makes."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("descriptor", ["bispectrum", "equivariant"])
def test_the_memory_of_an_evaluation_does_not_grow_with_the_lattice(descriptor: str) -> None:
    """The largest tensor beyond the bonds of the lattice itself is that of one part."""
    largest, bonds = [], []
    for size in (60, 120):
        options = {"references": 16} if descriptor == "bispectrum" else {"lmax": 2}
        kind = {"name": descriptor, "cutoff": 2.0} | options
        model = build_model(make_lattice("triangular", (12, 12)), kind, BP).float().eval()
        model.bind(make_lattice("triangular", (size, size)))
        spins = torch.tensor(random_spins(size**2, np.random.default_rng(0), (8,)), dtype=torch.float32)
        with Largest() as seen:
            model(spins)
        largest.append(seen.bytes)
        bonds.append(4 * 8 * 9 * 3 * size**2)  # nine a site, as vectors, of eight replicas
        assert 8 * size**2 > 2 * 8 * model.part(8)
    assert max(largest) <= max(*bonds, 2**25)


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
