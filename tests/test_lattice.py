"""Sites, shells, symmetries and triangles of the lattices, against what is known of the crystals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magsim.errors import ConfigError
from magsim.lattice import (
    UNIT_CELLS,
    Lattice,
    crystal_operations,
    make_lattice,
    site_permutations,
    site_symmetries,
)
from magsim.spins import neel, order_120, spiral, tetrahedral

SQRT3 = np.sqrt(3)
SHAPES = {
    "chain": (12,),
    "square": (6, 6),
    "triangular": (6, 6),
    "honeycomb": (4, 4),
    "kagome": (4, 4),
    "cubic": (4, 4, 4),
}
TWO_DIMENSIONAL = ("square", "triangular", "honeycomb", "kagome")

# distances and numbers of neighbours of the first shells
SHELLS = {
    "chain": [(1, 2), (2, 2), (3, 2)],
    "square": [(1, 4), (np.sqrt(2), 4), (2, 4), (np.sqrt(5), 8), (np.sqrt(8), 4)],
    "triangular": [(1, 6), (SQRT3, 6), (2, 6), (np.sqrt(7), 12), (3, 6)],
    "honeycomb": [(1, 3), (SQRT3, 6), (2, 3), (np.sqrt(7), 6), (3, 6)],
    "kagome": [(1, 4), (SQRT3, 4), (2, 6), (np.sqrt(7), 8), (3, 4)],
    "cubic": [(1, 6), (np.sqrt(2), 12), (SQRT3, 8), (2, 6), (np.sqrt(5), 24)],
}
# order of the point group of a site; of the space group modulo translations per site of the cell
SITE_GROUPS = {"chain": 2, "square": 8, "triangular": 12, "honeycomb": 6, "kagome": 4, "cubic": 48}

small_lattices = st.sampled_from(sorted(SHAPES)).flatmap(
    lambda name: st.builds(
        make_lattice,
        st.just(name),
        st.tuples(*[st.integers(1, 5)] * len(SHAPES[name])),
        st.tuples(*[st.sampled_from(["periodic", "open"])] * len(SHAPES[name])),
    )
)


@pytest.mark.parametrize("name", SHAPES)
class TestCrystals:
    def test_shells_have_the_known_distances_and_coordination(self, name: str) -> None:
        lattice = make_lattice(name, (8,) * len(SHAPES[name]))
        for shell, (distance, neighbours) in zip(
            lattice.shells(len(SHELLS[name])), SHELLS[name], strict=True
        ):
            assert shell.distance == pytest.approx(distance, abs=1e-12)
            assert (np.bincount(shell.i, minlength=lattice.n_sites) == neighbours).all()
            np.testing.assert_allclose(np.linalg.norm(shell.displacement, axis=1), distance, atol=1e-12)

    def test_shells_within_a_cutoff_are_the_first_shells(self, name: str) -> None:
        lattice = make_lattice(name, SHAPES[name])
        within = [shell.distance for shell in lattice.shells_within(2.0)]
        np.testing.assert_allclose(within, [d for d, _ in SHELLS[name] if d < 2.0 + 1e-9], atol=1e-12)

    def test_the_site_group_has_the_known_order(self, name: str) -> None:
        lattice = make_lattice(name, SHAPES[name])
        for sublattice in range(lattice.n_basis):
            matrices = np.array(site_symmetries(lattice, sublattice))
            assert len(matrices) == SITE_GROUPS[name]
            products = np.einsum("gij,hjk->ghik", matrices, matrices).reshape(-1, *matrices.shape[1:])
            distance = np.abs(products[:, None] - matrices[None]).max(axis=(-1, -2))
            assert distance.min(axis=1).max() < 1e-9  # a group: closed

    def test_every_site_is_equivalent(self, name: str) -> None:
        operations = crystal_operations(make_lattice(name, SHAPES[name]))
        assert {int(op.basis_map[0]) for op in operations} == set(range(len(UNIT_CELLS[name][1])))
        assert len(operations) == SITE_GROUPS[name] * len(UNIT_CELLS[name][1])

    def test_permutations_are_symmetries_of_every_shell(self, name: str) -> None:
        lattice = make_lattice(name, SHAPES[name])
        permutations = site_permutations(lattice)
        n = lattice.n_sites
        # every operation survives on a periodic piece of equal sides, plus one translation per axis
        assert len(permutations) == len(crystal_operations(lattice)) + lattice.dim
        for shell in lattice.shells(5):
            bonds = np.sort(shell.i * n + shell.j)
            for p in permutations:
                np.testing.assert_array_equal(np.sort(p[shell.i] * n + p[shell.j]), bonds)

    def test_the_index_runs_over_cells_row_by_row_and_the_basis_fastest(self, name: str) -> None:
        shape = tuple(range(3, 3 + len(SHAPES[name])))
        lattice = make_lattice(name, shape)
        for i, index in enumerate(np.ndindex(*shape, lattice.n_basis)):
            np.testing.assert_allclose(
                lattice.positions[i], np.array(index[:-1]) @ lattice.vectors + lattice.basis[index[-1]]
            )
            assert lattice.sublattice[i] == index[-1]
            assert lattice.site_index(np.array(index[:-1]), np.array(index[-1])) == i

    def test_reciprocal_vectors(self, name: str) -> None:
        lattice = make_lattice(name, SHAPES[name])
        np.testing.assert_allclose(
            lattice.vectors @ lattice.reciprocal.T, 2 * np.pi * np.eye(lattice.dim), atol=1e-12
        )


@given(small_lattices)
def test_every_bond_appears_in_both_directions_with_its_displacement(lattice: Lattice) -> None:
    for shell in lattice.shells(3):
        forward = np.column_stack([shell.i, shell.j, np.round(shell.displacement, 6) + 0.0])
        backward = np.column_stack([shell.j, shell.i, np.round(-shell.displacement, 6) + 0.0])
        assert sorted(map(tuple, forward)) == sorted(map(tuple, backward))


@given(small_lattices)
def test_displacements_join_positions_up_to_whole_periods(lattice: Lattice) -> None:
    for shell in lattice.shells(2):
        jump = lattice.positions[shell.j] - lattice.positions[shell.i] - shell.displacement
        periods = jump @ np.linalg.inv(lattice.vectors) / np.array(lattice.shape)
        np.testing.assert_allclose(periods, np.round(periods), atol=1e-9)
        # nothing crosses an open boundary
        assert np.abs(periods[:, ~np.array(lattice.periodic)]).max(initial=0) < 1e-9


@given(small_lattices)
def test_permutations_are_permutations_and_keep_the_nearest_bonds(lattice: Lattice) -> None:
    permutations = site_permutations(lattice)
    n = lattice.n_sites
    assert np.array_equal(permutations[0], np.arange(n)) or any(
        np.array_equal(p, np.arange(n)) for p in permutations
    )
    shell = lattice.shells(1)[0]
    for p in permutations:
        assert sorted(p) == list(range(n))
        np.testing.assert_array_equal(np.sort(p[shell.i] * n + p[shell.j]), np.sort(shell.i * n + shell.j))


def test_an_open_square_lacks_the_bonds_across_its_edges() -> None:
    lattice = make_lattice("square", (4, 5), ["open", "periodic"])
    nearest = lattice.shells(1)[0]
    coordination = np.bincount(nearest.i, minlength=20).reshape(4, 5)
    np.testing.assert_array_equal(coordination, [[3] * 5, [4] * 5, [4] * 5, [3] * 5])
    assert len(nearest.i) == 2 * (3 * 5 + 4 * 5)


def test_an_open_square_keeps_the_symmetries_of_its_outline() -> None:
    assert len(site_permutations(make_lattice("square", (4, 4), "open"))) == 8
    assert len(site_permutations(make_lattice("square", (4, 5), "open"))) == 4
    strip = site_permutations(make_lattice("square", (4, 4), ["open", "periodic"]))
    assert len(strip) == 4 + 1  # two mirrors, their product, the identity; one translation


def test_a_rectangle_has_no_fourfold_axis() -> None:
    assert len(site_permutations(make_lattice("square", (4, 6)), translations=False)) == 4


def test_triangular_neighbours_of_a_site_are_those_of_the_index_convention() -> None:
    lattice = make_lattice("triangular", (5, 6))
    shell = lattice.shells(1)[0]
    x, y = 2, 3
    expected = [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1), (x - 1, y + 1), (x + 1, y - 1)]
    assert sorted(shell.j[shell.i == 6 * x + y]) == sorted(6 * a + b for a, b in expected)


def signed_areas(lattice: Lattice, triangles: np.ndarray) -> np.ndarray:
    corners = lattice.triangle_corners(triangles)
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


@pytest.mark.parametrize("name", TWO_DIMENSIONAL)
@pytest.mark.parametrize("shape", [(4, 4), (5, 7)])
class TestTriangles:
    def test_the_triangulation_is_counter_clockwise_and_covers_the_plane_once(
        self, name: str, shape: tuple[int, int]
    ) -> None:
        lattice = make_lattice(name, shape)
        triangles = lattice.triangulation()
        assert len(triangles) == 2 * lattice.n_sites  # Euler: two triangles a site on a torus
        areas = signed_areas(lattice, triangles)
        assert (areas > 0).all()
        assert areas.sum() == pytest.approx(lattice.n_cells * abs(np.linalg.det(lattice.vectors)))
        # every edge has a triangle on either side, once in each direction
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        directed = edges[:, 0] * lattice.n_sites + edges[:, 1]
        reverse = edges[:, 1] * lattice.n_sites + edges[:, 0]
        np.testing.assert_array_equal(np.sort(directed), np.sort(reverse))

    def test_the_triangulation_of_an_open_sample_has_no_triangle_across_the_edge(
        self, name: str, shape: tuple[int, int]
    ) -> None:
        lattice = make_lattice(name, shape, "open")
        corners = lattice.positions[lattice.triangulation()]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max()
        assert longest < 2.1  # a diagonal of a hexagon of unit sides at most
        assert (signed_areas(lattice, lattice.triangulation()) > 0).all()

    def test_elementary_triangles(self, name: str, shape: tuple[int, int]) -> None:
        lattice = make_lattice(name, shape)
        triangles = lattice.triangles()
        per_cell = {"triangular": 2, "kagome": 2, "square": 2, "honeycomb": 4}[name]
        assert len(triangles) == per_cell * lattice.n_cells
        assert (signed_areas(lattice, triangles) > 0).all()
        if name in ("triangular", "kagome"):
            corners = lattice.triangle_corners(triangles)
            sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
            np.testing.assert_allclose(sides, 1.0, atol=1e-9)
            assert len({tuple(sorted(t)) for t in triangles}) == len(triangles)

    def test_centres_lie_inside(self, name: str, shape: tuple[int, int]) -> None:
        lattice = make_lattice(name, shape, "open")
        triangles = lattice.triangulation()
        np.testing.assert_allclose(
            lattice.triangle_centres(triangles), lattice.positions[triangles].mean(axis=1), atol=1e-12
        )


class TestTextures:
    def test_neel_order_is_antiparallel_on_every_bond(self) -> None:
        for name in ("chain", "square", "honeycomb", "cubic"):
            lattice = make_lattice(name, SHAPES[name])
            shell, spins = lattice.shells(1)[0], neel(lattice)
            np.testing.assert_array_equal((spins[shell.i] * spins[shell.j]).sum(-1), -1)

    def test_120_degree_order_has_minus_one_half_on_every_bond(self) -> None:
        lattice = make_lattice("triangular", (6, 9))
        shell, spins = lattice.shells(1)[0], order_120(lattice)
        np.testing.assert_allclose((spins[shell.i] * spins[shell.j]).sum(-1), -0.5, atol=1e-12)

    def test_tetrahedral_order_has_minus_one_third_on_every_bond(self) -> None:
        lattice = make_lattice("triangular", (4, 6))
        shell, spins = lattice.shells(1)[0], tetrahedral(lattice)
        np.testing.assert_allclose((spins[shell.i] * spins[shell.j]).sum(-1), -1 / 3, atol=1e-12)

    def test_a_spiral_turns_by_its_wavevector(self) -> None:
        lattice = make_lattice("square", (6, 4))
        shell, q = lattice.shells(1)[0], np.array([2 * np.pi / 6, 0.0])
        spins = spiral(lattice, q)
        np.testing.assert_allclose(
            (spins[shell.i] * spins[shell.j]).sum(-1), np.cos(shell.displacement @ q), atol=1e-12
        )

    @pytest.mark.parametrize(
        ("texture", "name", "shape"),
        [
            (tetrahedral, "square", (4, 4)),
            (tetrahedral, "triangular", (5, 4)),
            (order_120, "triangular", (4, 6)),
            (neel, "square", (5, 4)),
            (neel, "triangular", (4, 4)),
        ],
    )
    def test_a_texture_refuses_a_lattice_that_it_does_not_fit(self, texture, name, shape) -> None:
        with pytest.raises(ConfigError, match=r"^lattice\."):
            texture(make_lattice(name, shape))


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("diamond", (4,)), "lattice.name"),
        (("square", (4,)), "lattice.shape"),
        (("square", (4, 0)), "lattice.shape"),
        (("square", (4, 2.5)), "lattice.shape"),
        (("square", (4, 4), ["open"]), "lattice.boundary"),
        (("square", (4, 4), "closed"), "lattice.boundary"),
    ],
)
def test_a_wrong_lattice_is_refused_by_key(arguments: tuple, key: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        make_lattice(*arguments)
    assert refusal.value.key == key


def test_another_size_is_the_same_crystal() -> None:
    lattice = make_lattice("kagome", (3, 4), ["open", "periodic"]).with_shape((6, 5))
    assert (lattice.name, lattice.shape, lattice.boundary) == ("kagome", (6, 5), ("open", "periodic"))
    assert lattice.n_sites == 90
    with pytest.raises(ConfigError, match="needs 2 numbers"):
        lattice.with_shape((6,))
