"""Triangles of two-dimensional lattices, for chiralities and topological charge."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from magsim.errors import ConfigError

if TYPE_CHECKING:
    from magsim.lattice.crystal import Lattice

# An affine shear far below every distance makes the Delaunay triangulation of squares and hexagons unique
# and the same in every cell, without changing which sites are corners of which plaquette.
SHEAR = np.array([[1.0, 3e-4], [1e-4, 1.0]])


def triangulation(lattice: Lattice) -> np.ndarray:
    """``(M, 3)`` counter-clockwise triangles that cover the plane exactly once.

    Delaunay triangulation of the infinite crystal, taken per unit cell and repeated; ``2 n_basis`` triangles
    per cell. Triangles that cross an open boundary are left out.

    Raises:
        ConfigError: the lattice is not two-dimensional.
    """
    if lattice.dim != 2:
        raise ConfigError("lattice.name", lattice.name, "triangles need a two-dimensional lattice.")
    from scipy.spatial import Delaunay

    reach = range(-3, 4)
    cells = np.array(list(product(reach, reach)))
    cell_of = np.repeat(cells, lattice.n_basis, axis=0)
    basis_of = np.tile(np.arange(lattice.n_basis), len(cells))
    points = cell_of @ lattice.vectors + lattice.basis[basis_of]
    simplices = Delaunay(points @ SHEAR).simplices
    # one copy of each: the triangles whose (cell) centre lies in the home cell
    kept = {}
    for simplex in simplices:
        origin = min((tuple(cell_of[k]), basis_of[k]) for k in simplex)[0]
        corners = sorted((tuple(cell_of[k] - np.array(origin)), int(basis_of[k])) for k in simplex)
        if np.abs(cell_of[simplex]).max() <= 1:  # away from the rim of the patch
            kept[tuple(corners)] = corners
    return _repeat(lattice, [_counter_clockwise(lattice, corners) for corners in kept.values()])


def elementary_triangles(lattice: Lattice) -> np.ndarray:
    """``(M, 3)`` counter-clockwise triangles of three nearest-neighbour bonds, else the triangulation."""
    if lattice.dim != 2:
        raise ConfigError("lattice.name", lattice.name, "triangles need a two-dimensional lattice.")
    found = {}
    for b in range(lattice.n_basis):
        offsets, sub, displacement = lattice.offsets_within(1.0, b)
        for p, q in product(range(len(sub)), repeat=2):
            if p < q and abs(np.linalg.norm(displacement[p] - displacement[q]) - 1.0) < 1e-6:
                corners = [((0, 0), b), (tuple(offsets[p]), int(sub[p])), (tuple(offsets[q]), int(sub[q]))]
                origin = np.array(min(corners)[0])
                corners = sorted((tuple(int(v) for v in np.array(c) - origin), s) for c, s in corners)
                found[tuple(corners)] = corners
    if not found:
        return triangulation(lattice)
    return _repeat(lattice, [_counter_clockwise(lattice, corners) for corners in found.values()])


def _counter_clockwise(lattice: Lattice, corners: list) -> list:
    p, q, r = (np.array(cell) @ lattice.vectors + lattice.basis[b] for cell, b in corners)
    u, v = q - p, r - p
    return corners if u[0] * v[1] - u[1] * v[0] > 0 else [corners[0], corners[2], corners[1]]


def _repeat(lattice: Lattice, prototypes: list) -> np.ndarray:
    """Site indices of prototype triangles in every cell, open boundaries respected."""
    triangles = []
    for corners in prototypes:
        columns = [
            lattice.site_index(lattice.cells + np.array(cell), np.full(lattice.n_cells, b))
            for cell, b in corners
        ]
        triangles.append(np.stack(columns, axis=1))
    # cell by cell, so that neighbouring rows are neighbouring triangles
    table = np.stack(triangles, axis=1).reshape(-1, 3)
    return table[(table >= 0).all(axis=1)]
