"""Finite lattices with periodic or open boundaries, and their neighbour shells.

Site index (row-major cells, basis fastest): ``i = (x*Ly + y)*n_basis + b`` for ``shape = (Lx, Ly)``.
The nearest-neighbour distance of every lattice is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from magsim.errors import ConfigError

SQRT3 = np.sqrt(3.0)

# name -> (primitive vectors as rows, basis positions); distances in units of the nearest-neighbour distance
UNIT_CELLS: dict[str, tuple[list[list[float]], list[list[float]]]] = {
    "chain": ([[1.0]], [[0.0]]),
    "square": ([[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0]]),
    "triangular": ([[1.0, 0.0], [0.5, SQRT3 / 2]], [[0.0, 0.0]]),
    "honeycomb": ([[SQRT3, 0.0], [SQRT3 / 2, 1.5]], [[0.0, 0.0], [SQRT3 / 2, 0.5]]),
    "kagome": ([[2.0, 0.0], [1.0, SQRT3]], [[0.0, 0.0], [1.0, 0.0], [0.5, SQRT3 / 2]]),
    "cubic": ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]),
}

DISTANCE_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Shell:
    """All directed pairs of one neighbour distance.

    Attributes:
        distance: length of the bonds.
        i, j: ``(M,)`` site indices; every bond appears as i -> j and as j -> i.
        displacement: ``(M, d)`` vector from i to j (across the boundary where the bond crosses it).
    """

    distance: float
    i: np.ndarray
    j: np.ndarray
    displacement: np.ndarray


@dataclass(frozen=True, eq=False)
class Lattice:
    """A finite piece of a crystal.

    Attributes:
        name: one of ``UNIT_CELLS`` or the user's own.
        vectors: ``(d, d)`` primitive vectors as rows.
        basis: ``(n_basis, d)`` positions in the unit cell.
        shape: number of cells along each primitive vector.
        periodic: per axis, whether it closes on itself.
    """

    name: str
    vectors: np.ndarray
    basis: np.ndarray
    shape: tuple[int, ...]
    periodic: tuple[bool, ...]

    @property
    def dim(self) -> int:
        return len(self.vectors)

    @property
    def n_basis(self) -> int:
        return len(self.basis)

    @property
    def n_cells(self) -> int:
        return int(np.prod(self.shape))

    @property
    def n_sites(self) -> int:
        return self.n_cells * self.n_basis

    @property
    def boundary(self) -> tuple[str, ...]:
        return tuple("periodic" if p else "open" for p in self.periodic)

    @property
    def reciprocal(self) -> np.ndarray:
        """``(d, d)`` reciprocal vectors as rows, ``a_i . b_j = 2 pi delta_ij``."""
        return 2 * np.pi * np.linalg.inv(self.vectors).T

    @cached_property
    def cells(self) -> np.ndarray:
        """``(n_cells, d)`` integer cell coordinates in site order."""
        return np.array(list(product(*(range(n) for n in self.shape))), dtype=np.int64).reshape(-1, self.dim)

    @cached_property
    def sublattice(self) -> np.ndarray:
        """``(N,)`` basis index of each site."""
        return np.tile(np.arange(self.n_basis), self.n_cells)

    @cached_property
    def positions(self) -> np.ndarray:
        """``(N, d)`` site positions."""
        return ((self.cells @ self.vectors)[:, None, :] + self.basis[None]).reshape(-1, self.dim)

    def with_shape(self, shape: Sequence[int]) -> Lattice:
        """The same crystal and boundaries with another number of cells."""
        if len(shape) != self.dim:
            raise ConfigError("lattice.shape", list(shape), f"{self.name} needs {self.dim} numbers.")
        return replace(self, shape=tuple(int(n) for n in shape))

    def site_index(self, cells: np.ndarray, sublattice: np.ndarray) -> np.ndarray:
        """Site index of integer cell coordinates ``(..., d)``, -1 beyond an open boundary."""
        inside = np.ones(cells.shape[:-1], dtype=bool)
        index = np.zeros(cells.shape[:-1], dtype=np.int64)
        for axis, (n, periodic) in enumerate(zip(self.shape, self.periodic, strict=True)):
            c = cells[..., axis]
            inside &= periodic | ((c >= 0) & (c < n))
            index = index * n + c % n
        return np.where(inside, index * self.n_basis + sublattice, -1)

    def offsets_within(self, cutoff: float, sublattice: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neighbours of one basis site of the infinite crystal, by distance, itself excluded.

        Returns:
            cell offsets ``(M, d)`` int, sublattices ``(M,)``, displacements ``(M, d)``.
        """
        # a sphere of radius R reaches at most R |b_i| / 2 pi cells along axis i
        reach = cutoff + np.ptp(self.basis, axis=0).max(initial=0.0) * self.dim
        n_max = np.ceil(reach * np.linalg.norm(self.reciprocal, axis=1) / (2 * np.pi)).astype(int) + 1
        cells = np.array(list(product(*(range(-n, n + 1) for n in n_max))), dtype=np.int64)
        shift = cells @ self.vectors
        displacement = shift[:, None, :] + (self.basis - self.basis[sublattice])[None]
        distance = np.linalg.norm(displacement, axis=-1)
        c, b = np.nonzero((distance < cutoff + DISTANCE_TOLERANCE) & (distance > DISTANCE_TOLERANCE))
        order = np.argsort(np.round(distance[c, b] / DISTANCE_TOLERANCE), kind="stable")
        return cells[c[order]], b[order], displacement[c[order], b[order]]

    def shells_within(self, cutoff: float) -> list[Shell]:
        """All neighbour shells up to a distance, nearest first."""
        found: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
        for b in range(self.n_basis):
            offsets, sub, displacement = self.offsets_within(cutoff, b)
            i = np.arange(self.n_cells) * self.n_basis + b
            for offset, s, d in zip(offsets, sub, displacement, strict=True):
                j = self.site_index(self.cells + offset, np.full(self.n_cells, s))
                keep = j >= 0
                key = round(float(np.linalg.norm(d)) / DISTANCE_TOLERANCE)
                found.setdefault(key, []).append(
                    (i[keep], j[keep], np.broadcast_to(d, (keep.sum(), self.dim)))
                )
        shells = []
        for key in sorted(found):
            i, j, d = (np.concatenate(part) for part in zip(*found[key], strict=True))
            order = np.lexsort((j, i))
            distance = float(np.linalg.norm(d[0])) if len(d) else key * DISTANCE_TOLERANCE
            shells.append(Shell(distance, i[order], j[order], d[order]))
        return shells

    def shells(self, n: int) -> list[Shell]:
        """The first ``n`` neighbour shells of the infinite crystal on this lattice."""
        cutoff = 1.0
        while n > 0:
            shells = self.shells_within(cutoff)
            if len(shells) >= n:
                return shells[:n]
            cutoff *= 1.3
        return []

    def triangulation(self) -> np.ndarray:
        """``(M, 3)`` counter-clockwise triangles that tile a two-dimensional lattice once."""
        from magsim.lattice.plaquettes import triangulation

        return triangulation(self)

    def triangles(self) -> np.ndarray:
        """``(M, 3)`` counter-clockwise elementary triangles: nearest-neighbour triangles where the
        lattice has them (triangular, kagome), else the triangles of :meth:`triangulation`."""
        from magsim.lattice.plaquettes import elementary_triangles

        return elementary_triangles(self)

    def triangle_corners(self, triangles: np.ndarray) -> np.ndarray:
        """``(M, 3, d)`` corner positions, each triangle kept whole across periodic boundaries."""
        corners = self.positions[triangles]
        fractional = (corners - corners[:, :1]) @ np.linalg.inv(self.vectors)
        size = np.array(self.shape, dtype=float)
        wrap = np.where(np.array(self.periodic), np.round(fractional / size) * size, 0.0)
        return corners[:, :1] + (fractional - wrap) @ self.vectors

    def triangle_centres(self, triangles: np.ndarray) -> np.ndarray:
        """``(M, d)`` centres of mass of triangles."""
        return self.triangle_corners(triangles).mean(axis=1)


def make_lattice(name: str, shape: Sequence[int], boundary: Sequence[str] | str | None = None) -> Lattice:
    """Build one of the known lattices.

    Args:
        name: chain, square, triangular, honeycomb, kagome or cubic.
        shape: number of unit cells along each primitive vector.
        boundary: ``"periodic"`` or ``"open"`` per axis, or one word for all; default periodic.

    Raises:
        ConfigError: unknown name, wrong number of axes, sizes below 1, unknown boundary.
    """
    if name not in UNIT_CELLS:
        raise ConfigError("lattice.name", name, f"known lattices are {', '.join(UNIT_CELLS)}.")
    vectors, basis = (np.array(part, dtype=float) for part in UNIT_CELLS[name])
    dim = len(vectors)
    if len(shape) != dim or any(int(n) != n or n < 1 for n in shape):
        raise ConfigError("lattice.shape", list(shape), f"{name} needs {dim} positive whole numbers.")
    words = (
        [boundary or "periodic"] * dim if boundary is None or isinstance(boundary, str) else list(boundary)
    )
    if len(words) != dim or any(word not in ("periodic", "open") for word in words):
        raise ConfigError("lattice.boundary", words, f"{name} needs {dim} times 'periodic' or 'open'.")
    periodic = tuple(word == "periodic" for word in words)
    return Lattice(name, vectors, basis, tuple(int(n) for n in shape), periodic)
