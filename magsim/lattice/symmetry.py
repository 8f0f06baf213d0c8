"""Point-group operations of a crystal, found from its geometry.

An operation is an orthogonal matrix R and a translation t with R x + t a site for every site x. Candidates
for R map the primitive vectors onto lattice vectors of the same lengths; those that are orthogonal and carry
the basis onto itself are kept. Nothing is typed in per lattice.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from magsim.lattice.crystal import Lattice

TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class PointOperation:
    """x -> R x + t, with the basis site that each basis site is carried to.

    Attributes:
        matrix: ``(d, d)`` orthogonal matrix R.
        translation: ``(d,)`` vector t.
        basis_map: ``(n_basis,)`` sublattice of the image of each basis site.
    """

    matrix: np.ndarray
    translation: np.ndarray
    basis_map: np.ndarray


def _orthogonal_candidates(lattice: Lattice) -> list[np.ndarray]:
    """Orthogonal matrices that map the Bravais lattice onto itself."""
    vectors = lattice.vectors
    lengths = np.linalg.norm(vectors, axis=1)
    reach = range(-3, 4)
    points = np.array(list(product(reach, repeat=lattice.dim))) @ vectors
    norms = np.linalg.norm(points, axis=1)
    images = [points[np.abs(norms - length) < TOLERANCE] for length in lengths]
    found = []
    for choice in product(*images):
        # rows: a_i R^T = image_i
        matrix = np.linalg.solve(vectors, np.array(choice)).T
        if np.abs(matrix @ matrix.T - np.eye(lattice.dim)).max() < TOLERANCE:
            found.append(matrix)
    return found


def _sublattice_of(lattice: Lattice, points: np.ndarray) -> np.ndarray | None:
    """Sublattice of each point ``(n, d)``, or None if one of them is no site of the infinite crystal."""
    fractional = (points[:, None, :] - lattice.basis[None]) @ np.linalg.inv(lattice.vectors)
    hit = (np.abs(fractional - np.round(fractional)) < TOLERANCE).all(axis=-1)
    return np.argmax(hit, axis=1) if hit.any(axis=1).all() else None


def crystal_operations(lattice: Lattice) -> list[PointOperation]:
    """Every operation of the infinite crystal's space group, modulo lattice translations."""
    operations = []
    for matrix in _orthogonal_candidates(lattice):
        for target in range(lattice.n_basis):
            translation = lattice.basis[target] - matrix @ lattice.basis[0]
            basis_map = _sublattice_of(lattice, lattice.basis @ matrix.T + translation)
            if basis_map is not None and len(set(basis_map.tolist())) == lattice.n_basis:
                operations.append(PointOperation(matrix, translation, basis_map))
    return operations


def site_symmetries(lattice: Lattice, sublattice: int = 0) -> list[np.ndarray]:
    """Site point group: orthogonal matrices about a basis site that leave the infinite crystal unchanged."""
    return [op.matrix for op in crystal_operations(lattice) if op.basis_map[sublattice] == sublattice]


def site_permutations(lattice: Lattice, translations: bool = True) -> np.ndarray:
    """Symmetries of the finite lattice as permutations of its sites.

    Row p means: the site i is carried to ``p[i]``; a configuration S becomes S' with ``S'[p] = S``.
    Operations that the finite shape or an open boundary breaks are left out (a 4x6 square lattice has no
    fourfold axis).

    Args:
        translations: also the primitive translations along periodic axes (generators, not every power).

    Returns:
        ``(n_ops, N)`` int array, the identity included.
    """
    found: dict[bytes, np.ndarray] = {}

    def keep(positions: np.ndarray) -> None:
        permutation = _permutation(lattice, positions)
        if permutation is not None:
            found.setdefault(permutation.tobytes(), permutation)

    for op in crystal_operations(lattice):
        rotated = lattice.positions @ op.matrix.T + op.translation
        # along open axes the operation must act about the middle of the sample
        middle = lattice.positions.mean(axis=0)
        shift = np.linalg.solve(lattice.vectors.T, middle - (op.matrix @ middle + op.translation))
        shift = np.where(np.array(lattice.periodic), 0.0, np.round(shift)) @ lattice.vectors
        keep(rotated + shift)
    if translations:
        for axis, periodic in enumerate(lattice.periodic):
            if periodic:
                keep(lattice.positions + lattice.vectors[axis])
    return np.array(list(found.values()))


def _permutation(lattice: Lattice, points: np.ndarray) -> np.ndarray | None:
    """Site index of each point, or None unless they are all the sites, with all bonds kept."""
    sublattice = _sublattice_of(lattice, points)
    if sublattice is None:
        return None
    cells = np.round((points - lattice.basis[sublattice]) @ np.linalg.inv(lattice.vectors)).astype(np.int64)
    permutation = lattice.site_index(cells, sublattice)
    if (permutation < 0).any() or len(np.unique(permutation)) != lattice.n_sites:
        return None
    # the shape itself must be mapped onto itself: nearest-neighbour bonds go to nearest-neighbour bonds
    for shell in lattice.shells(2):
        before = np.sort(permutation[shell.i] * lattice.n_sites + permutation[shell.j])
        if not np.array_equal(before, np.sort(shell.i * lattice.n_sites + shell.j)):
            return None
    return permutation
