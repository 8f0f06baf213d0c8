"""The bispectrum is complete up to its body order, without what is redundant; its derivatives are exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_models import BP, trained

from magsim.descriptors import DESCRIPTORS, BispectrumDescriptor, BispectrumOptions, Descriptor, RawDescriptor
from magsim.descriptors.bispectrum_terms import make_blocks
from magsim.descriptors.environment import Environment
from magsim.descriptors.prune import independent
from magsim.descriptors.sweep import AutogradSweep
from magsim.errors import ConfigError
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import load_model, model_facts, save_model
from magsim.models import BehlerParrinello, build_model
from magsim.models.bp import ACTIVATIONS
from magsim.spins import random_rotation, random_spins

LATTICES = {name: make_lattice(name, (6, 6)) for name in ("square", "triangular", "kagome")}
ALL: dict[str, Any] = {"references": None, "bispectrum_references": None}
# which polynomials of the spins of the first shell and the centre; all bonds among them count
ORDERS: dict[str, dict[str, Any]] = {
    "two": {"body_order": 2},
    "three": {"body_order": 3, "time_reversal": False, "chirality_cutoff": 2.0},
    "four": {"body_order": 4},
    "five": {"body_order": 5, "time_reversal": False, "chirality_cutoff": 2.0},
    "six": {"body_order": 6, "bispectrum": True},
}


def complete(lattice: str, **options: Any) -> BispectrumDescriptor:
    return BispectrumDescriptor(
        LATTICES[lattice], BispectrumOptions(cutoff=1.0, bond_cutoff=2.0, **(ALL | options))
    )


def invariants_of(descriptor: BispectrumDescriptor, seed: int, count: int) -> np.ndarray:
    """``(count, K)`` of independent random environments."""
    points = len(descriptor.environment.points)
    spins = torch.tensor(random_spins(points, np.random.default_rng(seed), (1, count)))
    with torch.no_grad():
        return descriptor.local(spins)[0].numpy()


def number_of_invariants(environment: Environment, order: int, time_reversal: bool) -> int:
    """Independent polynomials up to some degree on the spheres that rotations and the site group leave.

    Functions of one spin are irreps l = 0, 1, 2, ... of degree l. A rotation by an angle that goes along with
    a permutation has the trace ``sum_l t^(c l) chi_l(c angle)`` for each of its cycles of length c (Molien),
    and the average over rotations and permutations counts the invariants of each degree.
    """
    nodes = 4 * order + 8  # exact for trigonometric polynomials of lower degree
    count = np.zeros(order + 1)
    for angle in 2 * np.pi * np.arange(nodes) / nodes:
        for permutation in environment.permutations:
            series = np.eye(1, order + 1)[0]
            for length in cycles(permutation):
                factor = np.zeros(order + 1)
                for degree in range(order // length + 1):
                    m = np.arange(1, degree + 1)
                    factor[length * degree] = 1 + 2 * np.cos(m * length * angle).sum()
                series = np.convolve(series, factor)[: order + 1]
            count += (1 - np.cos(angle)) * series / (nodes * len(environment.permutations))
    return round(count[:: 2 if time_reversal else 1].sum())


def cycles(permutation: np.ndarray) -> list[int]:
    """Lengths of the cycles of a permutation."""
    left, lengths = set(range(len(permutation))), []
    while left:
        start = k = min(left)
        length = 0
        while k in left:
            left.remove(k)
            k, length = int(permutation[k]), length + 1
        assert k == start
        lengths.append(length)
    return lengths


class TestCompleteness:
    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("lattice", LATTICES)
    def test_as_many_invariants_are_independent_as_group_theory_counts(
        self, lattice: str, order: str
    ) -> None:
        """The constant is one of the polynomials too."""
        descriptor = complete(lattice, **ORDERS[order])
        options = descriptor.options
        expected = number_of_invariants(
            descriptor.environment, options.body_order or 0, options.time_reversal
        )
        values = invariants_of(descriptor, 0, 2 * expected + 20)
        values = np.concatenate([np.ones((len(values), 1)), values / np.abs(values).max(0)], axis=1)
        singular = np.linalg.svd(values, compute_uv=False)
        assert (singular > 1e-9 * singular[0]).sum() == expected
        if len(singular) > expected:  # a gap, not a slope
            assert singular[expected] < 1e-6 * singular[expected - 1]

    def test_the_body_order_bounds_the_degree(self) -> None:
        """On spins of another length, ``q(2 S) = 2^n q(S)``."""
        descriptor = complete(
            "square", body_order=5, time_reversal=False, chirality_cutoff=2.0, bispectrum=True
        )
        spins = torch.tensor(random_spins(5, np.random.default_rng(0), (1, 9)))
        ratio = (descriptor.local(2 * spins) / descriptor.local(spins))[0].median(dim=0).values
        degrees = torch.log2(ratio)
        torch.testing.assert_close(degrees, degrees.round(), atol=1e-9, rtol=0)
        assert set(degrees.round().int().tolist()) == {2, 4, 5}  # no invariant chirality within a square

    def test_a_body_order_without_any_invariant_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"descriptor\.body_order"):
            complete("square", body_order=1)


class TestPruning:
    @pytest.mark.parametrize(("lattice", "order"), [("square", 6), ("triangular", 4), ("kagome", 6)])
    def test_of_a_complete_set_nothing_can_go(self, lattice: str, order: int) -> None:
        descriptor = complete(lattice, body_order=order, bispectrum=True, prune=1e-7)
        expected = number_of_invariants(descriptor.environment, order, True) - 1
        assert descriptor.n_features == expected
        descriptor.prepare(None)
        assert descriptor.n_features == expected

    @pytest.mark.parametrize("name", ["square", "triangular"])
    def test_products_that_two_references_give_twice_are_found(self, name: str) -> None:
        """``f_ref . f_ref'`` is a combination of the products of all copies with either of the two."""
        descriptor = BispectrumDescriptor(
            LATTICES[name], BispectrumOptions(cutoff=2.0, references=3, prune=1e-7)
        )
        expected = descriptor.blocks[0].copies
        for copies in (block.copies for block in descriptor.blocks):
            expected += min(copies * (1 + 3) - 3, copies * (copies + 1) // 2)
        before = descriptor.n_features
        everything = invariants_of(descriptor, 1, 1500)
        descriptor.prepare(None)
        assert descriptor.n_features == expected < before
        assert unexplained(invariants_of(descriptor, 1, 1500), everything) < 1e-6

    @pytest.mark.parametrize("tolerance", [0.2, 0.4])
    def test_what_is_left_gives_the_rest_to_the_tolerance_on_new_environments(self, tolerance: float) -> None:
        descriptor = complete("triangular", body_order=6, bispectrum=True, prune=tolerance)
        everything = invariants_of(descriptor, 3, 3000)
        descriptor.prepare(torch.tensor(random_spins(36, np.random.default_rng(2), (300,))))
        kept = invariants_of(descriptor, 3, 3000)
        assert kept.shape[1] < everything.shape[1]
        # residual of a regression on other samples than those that chose
        assert 0.5 * tolerance < unexplained(kept, everything) < 1.25 * tolerance

    def test_copies_combinations_and_constants_are_found(self) -> None:
        rng = np.random.default_rng(0)
        q = rng.normal(size=(500, 6))
        columns = [q[:, 0], q[:, 1], 3 * q[:, 0] + 1, q[:, 2], q[:, 1] - q[:, 2], np.full(500, 2.0), q[:, 3]]
        kept = independent(torch.tensor(np.stack(columns, axis=1)).split(200), 1e-6)
        assert len(kept) == 4
        assert 5 not in kept
        assert 6 in kept

    def test_a_checkpoint_keeps_what_its_training_kept(self, tmp_path: Path) -> None:
        lattice = make_lattice("triangular", (6, 6))
        options = {"name": "bispectrum", "cutoff": 1.8, "references": 8, "prune": 0.1}
        spins = torch.tensor(random_spins(36, np.random.default_rng(0), (4,)))
        aligned = spins + 3 * torch.eye(3)[2]
        aligned = aligned / aligned.norm(dim=-1, keepdim=True)
        model = build_model(lattice, options, BP, aligned)
        assert model.n_features != build_model(lattice, options, BP).n_features  # the training had its say
        path = tmp_path / "model.ckpt"
        save_model(path, model.double().eval(), model_facts(lattice, options, BP))
        again = load_model(path)
        assert again.n_features == model.n_features
        for a, b in zip(again(spins), model(spins), strict=True):
            assert torch.equal(a, b)


def unexplained(kept: np.ndarray, everything: np.ndarray) -> float:
    """Largest rms residual over deviation of a column that the kept ones (and a constant) do not give."""
    everything = everything[:, everything.std(0) > 1e-9]
    basis = np.concatenate([np.ones((len(kept), 1)), kept / kept.std(0)], axis=1)
    normalised = (everything - everything.mean(0)) / everything.std(0)
    residual = normalised - basis @ np.linalg.lstsq(basis, normalised, rcond=1e-12)[0]
    return float(np.sqrt((residual**2).mean(0)).max())


DERIVATIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "references": ("triangular", {"references": 3}),
    "all copies": ("kagome", {"references": None}),
    "channels": ("square", {"channels": 5, "bispectrum": True, "bispectrum_references": 2}),
    "three bonds": ("triangular", {"cutoff": 1.0, "references": 2, "bispectrum": True}),
    "odd": ("kagome", {"chirality_cutoff": 1.0, "references": 2, "time_reversal": False, "bispectrum": True}),
    "odd channels": ("triangular", {"chirality_cutoff": 1.0, "channels": 3, "time_reversal": False}),
    "pruned": ("triangular", {"references": 4, "prune": 0.2}),
}


@pytest.mark.parametrize("name", ["square", "triangular", "kagome"])
def test_the_transform_of_each_orbit_is_the_whole_matrix(name: str) -> None:
    descriptor = BispectrumDescriptor.of(LATTICES[name], cutoff=1.8, chirality_cutoff=1.0)
    transform = descriptor.transform
    adapt = torch.tensor(make_blocks(descriptor.environment, descriptor.irreps)[1])
    elements = torch.tensor(np.random.default_rng(0).normal(size=(2, len(adapt), 5)))
    rows = adapt @ elements
    torch.testing.assert_close(transform(elements[:, transform.order]), rows, rtol=0, atol=1e-13)
    back = transform.pull(rows)  # the rows are orthonormal
    torch.testing.assert_close(back, elements[:, transform.order], rtol=0, atol=1e-13)
    torch.testing.assert_close(transform.dense(), adapt, rtol=0, atol=0)


def test_models_saved_with_the_whole_matrix_are_read() -> None:
    descriptor = BispectrumDescriptor.of(LATTICES["square"], cutoff=1.0, channels=3)
    weights = descriptor.state_dict()
    turned = {name: -block if "orbits_of" in name else block for name, block in weights.items()}
    descriptor.load_state_dict(turned)
    whole = {name: block for name, block in weights.items() if "orbits_of" not in name}
    descriptor.load_state_dict(whole | {"adapt": -descriptor.transform.dense()})
    for name, block in descriptor.state_dict().items():
        torch.testing.assert_close(block, weights[name], rtol=0, atol=0)


class TestDerivatives:
    @pytest.mark.parametrize("boundary", ["periodic", "open"])
    @pytest.mark.parametrize("name", [*DERIVATIVES, "raw"])
    def test_those_written_by_hand_are_those_of_autograd(self, name: str, boundary: str) -> None:
        kind, options = DERIVATIVES.get(name, ("square", {"cutoff": 2.3, "pair_cutoff": 1.5}))
        lattice = make_lattice(kind, (5, 6), boundary)
        made = DESCRIPTORS["raw" if name == "raw" else "bispectrum"](lattice, **({"cutoff": 1.8} | options))
        made = made.double()
        made.prepare(None)
        spins = torch.tensor(random_spins(lattice.n_sites, np.random.default_rng(0), (2,)))
        parts = [slice(0, 11), slice(11, lattice.n_sites)]
        weights = torch.tensor(np.random.default_rng(1).normal(size=(2, lattice.n_sites, made.n_features)))
        answers = []
        for sweep in (made.sweep(spins), AutogradSweep(made, spins)):
            values = []
            for sites in parts:
                values.append(sweep.invariants(sites).detach())
                sweep.add(weights[:, sites])
            answers.append((torch.cat(values, dim=1), sweep.gradient()))
        (values, gradient), (expected, exact) = answers
        assert type(made.sweep(spins)) is not AutogradSweep
        taken = made.vectors(made.elements.take(made.elements.values(spins)))
        if name != "raw":
            assert made.n_vectors == sum(x.shape[2] * x.shape[3] for x in taken)
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-13 * float(expected.abs().max()))
        torch.testing.assert_close(gradient, exact, rtol=0, atol=1e-13 * float(exact.abs().max()))
        torch.testing.assert_close(made(spins).detach(), expected, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_those_of_every_activation_are_those_of_autograd(self, activation: str) -> None:
        model = trained(LATTICES["square"], BP | {"activation": activation})
        assert isinstance(model, BehlerParrinello)
        q = torch.tensor(np.random.default_rng(0).normal(size=(2, 9, model.n_features)))
        energies, gradient = model.with_gradient(q)
        leaf = q.clone().requires_grad_(True)
        expected = model.site_energies(leaf)
        (exact,) = torch.autograd.grad(expected.sum(), leaf)
        torch.testing.assert_close(energies.detach(), expected.detach(), rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(gradient.detach(), exact, rtol=1e-13, atol=1e-13)


class TestRaw:
    lattice = make_lattice("square", (12, 12))

    def raw(self, lattice: Any = lattice, **options: Any) -> RawDescriptor:
        return RawDescriptor(lattice, **options)

    def test_the_published_inputs_are_88_bonds_378_pairs_and_88_chiralities(self) -> None:
        descriptor = self.raw()
        assert (descriptor.bond_index[0] == 0).sum() == 88
        assert (descriptor.bond_index[0] != 0).sum() == 378
        assert descriptor.triangle_index.shape[1] == 88
        assert descriptor.n_features == 554

    def test_they_are_the_bonds_and_chiralities_of_the_spins(self) -> None:
        descriptor: Descriptor = self.raw(cutoff=1.0, pair_cutoff=1.0)
        spins = random_spins(144, np.random.default_rng(0))
        values = descriptor(torch.tensor(spins)[None])[0, 0].numpy()
        centre, around = spins[0], spins[descriptor.table[0, 1:].numpy()]
        np.testing.assert_allclose(values[:4], around @ centre, atol=1e-14)
        np.testing.assert_allclose(
            np.sort(values[4:10]), np.sort((around @ around.T)[np.triu_indices(4, 1)]), atol=1e-14
        )
        right, up = spins[12], spins[1]  # sites (1, 0) and (0, 1)
        assert np.abs(values[10:] - centre @ np.cross(right, up)).min() < 1e-14

    def test_rotations_leave_them_and_time_reversal_flips_the_chiralities(self) -> None:
        descriptor = self.raw(cutoff=2.0, pair_cutoff=1.5)
        spins = random_spins(144, np.random.default_rng(1))
        rotation = random_rotation(np.random.default_rng(2))
        before, turned, reversed_ = descriptor(torch.tensor(np.stack([spins, spins @ rotation.T, -spins])))
        torch.testing.assert_close(turned, before, atol=1e-13, rtol=0)
        bonds = descriptor.bond_index.shape[1]
        torch.testing.assert_close(reversed_[:, :bonds], before[:, :bonds], atol=0, rtol=0)
        torch.testing.assert_close(reversed_[:, bonds:], -before[:, bonds:], atol=1e-15, rtol=0)

    def test_chiralities_need_a_plane(self) -> None:
        with pytest.raises(ConfigError, match=r"descriptor\.chiralities"):
            self.raw(make_lattice("cubic", (4, 4, 4)), cutoff=1.0, pair_cutoff=1.0)
