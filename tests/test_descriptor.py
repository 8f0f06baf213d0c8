"""Irreps of the site groups, and invariance, smoothness and bookkeeping of the bispectrum descriptor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.descriptors.bispectrum import BispectrumDescriptor, BispectrumOptions
from magsim.descriptors.environment import make_environment, neighbour_table
from magsim.descriptors.irreps import invariant_tensors, irreps, symmetry_adapted
from magsim.errors import ConfigError
from magsim.lattice import Lattice, make_lattice, site_permutations, site_symmetries
from magsim.spins import random_rotation, random_spins, tetrahedral

SHAPES = {
    "chain": (9,),
    "square": (5, 5),
    "triangular": (5, 5),
    "honeycomb": (3, 3),
    "kagome": (3, 3),
    "cubic": (3, 3, 3),
}
CUTOFFS = {"chain": 3.0, "square": 2.0, "triangular": 2.0, "honeycomb": 2.0, "kagome": 2.0, "cubic": 1.0}
# longest side of the triangles whose chirality is used: nearest neighbours, diagonals where there are none
SIDES = {"chain": 2.0, "square": 1.5, "triangular": 1.0, "honeycomb": 1.8, "kagome": 1.0, "cubic": 1.5}
# dimensions of the irreps of C1v, D4, D6, D3, D2, Oh
DIMENSIONS = {
    "chain": [1, 1],
    "square": [1, 1, 1, 1, 2],
    "triangular": [1, 1, 1, 1, 2, 2],
    "honeycomb": [1, 1, 2],
    "kagome": [1, 1, 1, 1],
    "cubic": [1, 1, 1, 1, 2, 2, 3, 3, 3, 3],
}
FLAVOURS = {
    "bonds": {"references": 0},
    "references": {"references": 3},
    "chiralities": {"references": 2, "chiralities": True},
    "bispectrum": {"references": 1, "bispectrum": True, "chiralities": True},
    "time reversal broken": {"references": 1, "chiralities": True, "time_reversal": False},
}


def describe(
    lattice: Lattice, flavour: str = "references", cutoff: float | None = None
) -> BispectrumDescriptor:
    options = dict(FLAVOURS[flavour])
    chiralities = options.pop("chiralities", False)
    # the cubic environment with 48 operations stays small
    side = SIDES[lattice.name] if chiralities else 0.0
    return BispectrumDescriptor(
        lattice,
        BispectrumOptions(cutoff=cutoff or CUTOFFS[lattice.name], chirality_cutoff=side, **options),
    )


def state(lattice: Lattice, seed: int = 0) -> np.ndarray:
    return random_spins(lattice.n_sites, np.random.default_rng(seed))


def evaluate(descriptor: BispectrumDescriptor, spins: np.ndarray) -> np.ndarray:
    return descriptor(torch.tensor(spins)[None])[0].numpy()


@pytest.mark.parametrize("name", SHAPES)
class TestIrreps:
    def group(self, name: str) -> np.ndarray:
        return np.array(site_symmetries(make_lattice(name, SHAPES[name])))

    def test_great_orthogonality_theorem(self, name: str) -> None:
        """``sum_g D^a_ij(g) D^b_kl(g) = (|G|/d) delta_ab delta_ik delta_jl``."""
        group = self.group(name)
        found = irreps(group)
        stacked = np.concatenate([irrep.matrices.reshape(len(group), -1) for irrep in found], axis=1)
        dims = np.concatenate([[irrep.dim] * irrep.dim**2 for irrep in found])
        np.testing.assert_allclose(stacked.T @ stacked, np.diag(len(group) / dims), atol=1e-9)

    def test_the_irreps_are_all_there(self, name: str) -> None:
        group = self.group(name)
        found = irreps(group)
        assert [irrep.dim for irrep in found] == DIMENSIONS[name]
        assert sum(irrep.dim**2 for irrep in found) == len(group)
        np.testing.assert_allclose(found[0].matrices, 1.0, atol=1e-12)
        assert found[0].name == "A1"

    def test_every_irrep_is_a_homomorphism(self, name: str) -> None:
        group = self.group(name)
        products = np.einsum("gij,hjk->ghik", group, group)
        table = np.abs(products[:, :, None] - group[None, None]).max(axis=(-1, -2)).argmin(axis=-1)
        for irrep in irreps(group):
            left = np.einsum("gij,hjk->ghik", irrep.matrices, irrep.matrices)
            np.testing.assert_allclose(left, irrep.matrices[table], atol=1e-9)

    @pytest.mark.parametrize("odd", [False, True], ids=["bonds", "chiralities"])
    def test_symmetry_adapted_rows_are_orthonormal_complete_and_transform_as_their_irrep(
        self, name: str, odd: bool
    ) -> None:
        lattice = make_lattice(name, SHAPES[name])
        environment = make_environment(lattice, 1.5, 1.5, SIDES[name])
        tuples = environment.triangles if odd else environment.bonds
        if not len(tuples):
            pytest.skip("no triangles in this environment")
        representation = environment.representation(tuples, odd)
        rows = []
        for irrep in irreps(environment.group):
            adapted = symmetry_adapted(representation, irrep)
            rows.append(adapted.reshape(-1, len(tuples)))
            moved = np.einsum("rdm,gmn->grdn", adapted, representation)
            expected = np.einsum("gde,ren->grdn", irrep.matrices, adapted)
            np.testing.assert_allclose(moved, expected, atol=1e-9)
        complete = np.concatenate(rows)
        np.testing.assert_allclose(complete @ complete.T, np.eye(len(tuples)), atol=1e-9)

    def test_coupling_tensors_are_invariant_and_orthonormal(self, name: str) -> None:
        found = irreps(self.group(name))
        trivial, last = found[0], found[-1]
        pairs = invariant_tensors(trivial, last, last)
        assert len(pairs) == 1  # Schur: one invariant of a pair of equal irreps
        np.testing.assert_allclose(np.abs(pairs[0, 0]), np.eye(last.dim) / np.sqrt(last.dim), atol=1e-9)
        for third in found:
            for tensor in invariant_tensors(last, last, third):
                turned = np.einsum(
                    "gai,gbj,gck,ijk->gabc", last.matrices, last.matrices, third.matrices, tensor
                )
                np.testing.assert_allclose(turned, np.broadcast_to(tensor, turned.shape), atol=1e-9)
                assert np.linalg.norm(tensor) == pytest.approx(1.0)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", SHAPES)
class TestInvariance:
    def test_a_rotation_of_all_spins_changes_nothing(self, name: str, flavour: str, boundary: str) -> None:
        lattice = make_lattice(name, SHAPES[name], boundary)
        descriptor, spins = describe(lattice, flavour), state(lattice)
        R = random_rotation(np.random.default_rng(1))
        np.testing.assert_allclose(
            evaluate(descriptor, spins @ R.T), evaluate(descriptor, spins), rtol=0, atol=1e-10
        )

    def test_every_lattice_operation_moves_the_invariants_with_their_sites(
        self, name: str, flavour: str, boundary: str
    ) -> None:
        lattice = make_lattice(name, SHAPES[name], boundary)
        descriptor, spins = describe(lattice, flavour), state(lattice)
        before = evaluate(descriptor, spins)
        permutations = site_permutations(lattice)
        assert len(permutations) > 1
        carried = np.empty((len(permutations), *spins.shape))
        for k, p in enumerate(permutations):
            carried[k, p] = spins
        for p, after in zip(permutations, descriptor(torch.tensor(carried)).numpy(), strict=True):
            np.testing.assert_allclose(after[p], before, rtol=0, atol=1e-10)

    def test_time_reversal_changes_nothing_unless_it_may(
        self, name: str, flavour: str, boundary: str
    ) -> None:
        lattice = make_lattice(name, SHAPES[name], boundary)
        descriptor, spins = describe(lattice, flavour), state(lattice)
        change = np.abs(evaluate(descriptor, -spins) - evaluate(descriptor, spins)).max()
        even = {id(descriptor.irreps[0])} | {id(b.irrep) for b in descriptor.blocks if not b.odd}
        may = not descriptor.options.time_reversal and any(
            block.odd and id(block.irrep) in even for block in descriptor.blocks
        )
        assert (change > 1e-3) if may else (change < 1e-12)


class TestChiralities:
    lattice = make_lattice("triangular", (6, 6))

    def odd_coefficients(self, spins: np.ndarray) -> np.ndarray:
        descriptor = describe(self.lattice, "chiralities")
        values = descriptor.coefficients(descriptor.gather(torch.tensor(spins)[None]))[0].numpy()
        return np.concatenate([values[:, b.columns] for b in descriptor.blocks if b.odd], axis=1)

    def test_the_mirror_image_of_a_texture_has_the_opposite_chiralities_and_the_same_bonds(self) -> None:
        spins = state(self.lattice)
        mirrored = spins * [1.0, 1.0, -1.0]
        odd = self.odd_coefficients(spins)
        assert np.abs(odd).max() > 0.1
        np.testing.assert_allclose(self.odd_coefficients(mirrored), -odd, atol=1e-13)
        bonds = describe(self.lattice)
        np.testing.assert_allclose(evaluate(bonds, mirrored), evaluate(bonds, spins), atol=1e-13)

    def test_tetrahedral_order_has_the_same_invariants_on_every_site_and_in_both_domains(self) -> None:
        spins = tetrahedral(self.lattice)
        descriptor = describe(self.lattice, "chiralities")
        values = evaluate(descriptor, spins)
        np.testing.assert_allclose(values, np.broadcast_to(values[:1], values.shape), atol=1e-12)
        np.testing.assert_allclose(evaluate(descriptor, -spins), values, atol=1e-12)

    def test_coplanar_spins_have_none(self) -> None:
        flat = state(self.lattice) * [1.0, 1.0, 0.0]
        np.testing.assert_allclose(self.odd_coefficients(flat), 0, atol=1e-14)


class TestContent:
    def test_the_invariants_tell_a_random_environment_from_another(self) -> None:
        lattice = make_lattice("triangular", (5, 5))
        a, b = (evaluate(describe(lattice), state(lattice, seed)) for seed in (0, 1))
        assert np.abs(a - b).max() > 0.1

    def test_the_linear_invariants_are_the_shell_sums_of_bonds(self) -> None:
        """The trivial irrep of the bonds of the centre with one shell is their sum."""
        lattice = make_lattice("square", (5, 5))
        descriptor = describe(lattice, "bonds", cutoff=1.0)
        spins = state(lattice)
        values = evaluate(descriptor, spins)
        shell = lattice.shells(1)[0]
        sums = np.bincount(shell.i, (spins[shell.i] * spins[shell.j]).sum(-1))
        trivial = descriptor.blocks[0]
        assert trivial.irrep.name == "A1"
        linear = values[:, : trivial.copies]
        distance = np.abs(linear - sums[:, None] / 2).max(axis=0)  # orthonormal: four bonds, each 1/2
        assert distance.min() < 1e-12

    @pytest.mark.parametrize("flavour", FLAVOURS)
    def test_the_number_of_invariants_is_what_comes_out(self, flavour: str) -> None:
        lattice = make_lattice("triangular", (5, 5))
        descriptor = describe(lattice, flavour)
        assert evaluate(descriptor, state(lattice)).shape == (25, descriptor.n_features)

    @pytest.mark.parametrize("references", [0, 4, 100])
    def test_the_count_of_invariants_follows_from_the_copies_of_each_irrep(self, references: int) -> None:
        """Linear, power spectrum and reference products; with references enough, each pair of copies once."""
        lattice = make_lattice("triangular", (12, 12))
        descriptor = BispectrumDescriptor(lattice, BispectrumOptions(cutoff=2.0, references=references))
        assert len(descriptor.environment.points) == 19
        n_bonds = len(descriptor.environment.bonds)
        assert n_bonds == 99  # 42 nearest, 30 next, 27 of length two
        assert sum(block.copies * block.irrep.dim for block in descriptor.blocks) == n_bonds
        expected = descriptor.blocks[0].copies
        for c in (block.copies for block in descriptor.blocks):
            expected += c * (1 + references) if references < c else c * (c + 1) // 2
        assert descriptor.n_features == expected

    def test_invariants_are_smooth_along_any_path(self) -> None:
        """Polynomials of degree at most four in each spin: high differences along a great circle die out."""
        lattice = make_lattice("triangular", (5, 5))
        descriptor = describe(lattice, "chiralities")
        rng = np.random.default_rng(0)
        u, v = np.linalg.qr(rng.normal(size=(lattice.n_sites, 3, 2)))[0].transpose(2, 0, 1)
        angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None, None]
        path = torch.tensor(np.cos(angles) * u + np.sin(angles) * v)
        spectrum = np.abs(np.fft.rfft(descriptor(path)[:, 7].numpy(), axis=0))
        assert spectrum[:7].max() > 1.0
        assert spectrum[7:].max() < 1e-10  # three spins a chirality, squared: harmonics up to six

    def test_gradients_are_those_of_finite_differences(self) -> None:
        lattice = make_lattice("kagome", (3, 3), "open")
        descriptor = describe(lattice, "chiralities")
        spins = torch.tensor(state(lattice)[None], requires_grad=True)
        assert torch.autograd.gradcheck(lambda s: descriptor(s)[:, :2, ::20], (spins,), eps=1e-6, atol=1e-7)


class TestSizes:
    def test_a_repeated_configuration_has_repeated_invariants_on_the_larger_lattice(self) -> None:
        small, large = make_lattice("triangular", (6, 6)), make_lattice("triangular", (12, 12))
        descriptor, spins = describe(small, "chiralities"), state(small)
        before = evaluate(descriptor, spins)
        descriptor.bind(large)
        index = (large.cells % 6) @ [6, 1]
        np.testing.assert_allclose(evaluate(descriptor, spins[index]), before[index], rtol=0, atol=1e-12)

    def test_inside_an_open_sample_the_invariants_are_those_of_the_periodic_one(self) -> None:
        shape = (9, 9)
        periodic, opened = (make_lattice("square", shape, b) for b in ("periodic", "open"))
        spins = state(periodic)
        a, b = (evaluate(describe(lattice), spins).reshape(9, 9, -1) for lattice in (periodic, opened))
        np.testing.assert_allclose(a[2:-2, 2:-2], b[2:-2, 2:-2], atol=1e-13)
        assert np.abs(a[0] - b[0]).max() > 0.1

    @pytest.mark.parametrize(
        ("name", "shape", "cutoff"),
        [
            ("square", (4, 4), 2.3),
            ("square", (12, 3), 2.0),
            ("triangular", (4, 4), 2.0),
            ("chain", (5,), 3.0),
        ],
    )
    def test_a_cutoff_beyond_half_a_periodic_side_is_refused(
        self, name: str, shape: tuple[int, ...], cutoff: float
    ) -> None:
        with pytest.raises(ConfigError, match=r"descriptor\.cutoff.*half the .*periodic side"):
            describe(make_lattice(name, shape), cutoff=cutoff)

    def test_binding_to_a_lattice_that_is_too_small_is_refused(self) -> None:
        descriptor = describe(make_lattice("square", (6, 6)))
        with pytest.raises(ConfigError, match=r"half the .*periodic side"):
            descriptor.bind(make_lattice("square", (6, 3)))

    def test_an_open_side_may_be_shorter_than_the_cutoff(self) -> None:
        lattice = make_lattice("square", (3, 6), ["open", "periodic"])
        assert np.isfinite(evaluate(describe(lattice, cutoff=2.0), state(lattice))).all()

    def test_neighbours_of_every_sublattice_are_at_the_same_distances(self) -> None:
        lattice = make_lattice("kagome", (4, 4))
        environment = make_environment(lattice, 2.0, 2.0)
        table = neighbour_table(lattice, environment)
        np.testing.assert_array_equal(table[:, 0], np.arange(lattice.n_sites))
        for shell in lattice.shells_within(2.0):
            at = np.abs(np.linalg.norm(environment.points, axis=1) - shell.distance) < 1e-9
            for site in range(lattice.n_sites):
                assert sorted(table[site, at]) == sorted(shell.j[shell.i == site])


def test_a_state_dict_carries_the_invariants_to_a_machine_whose_lapack_picks_another_basis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Inside a degenerate eigenspace rounding decides the eigenvectors; a trained model must not notice."""
    lattice = make_lattice("triangular", (5, 5))
    spins = state(lattice)
    here = describe(lattice, "bispectrum")
    before = evaluate(here, spins)
    plain = np.linalg.eigh
    noise = np.random.default_rng(5)

    def rounded_differently(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        change = 1e-14 * np.abs(matrix).max() * noise.normal(size=matrix.shape)
        return plain(matrix + change + change.T)

    monkeypatch.setattr(np.linalg, "eigh", rounded_differently)
    there = describe(lattice, "bispectrum")
    assert np.abs(evaluate(there, spins) - before).max() > 1e-3  # the basis did change
    there.load_state_dict(here.state_dict())
    np.testing.assert_array_equal(evaluate(there, spins), before)
