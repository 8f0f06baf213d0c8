"""Neighbours of a regular lattice as shifts of rows: no table of sites, no gather.

A row holds the sites of one sublattice that differ in the last cell coordinate, contiguous, component by
component. The neighbours of all sites of a row by one bond of the crystal are another row, shifted by a fixed
number of sites. Each row has halos at its ends, copies of its other end (periodic) or zeros (open), so that a
shift needs no care; rows beyond an open boundary are one row of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from magsim.lattice import Lattice
from magsim.simd import LANES, aligned, load, splat, store, total

OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
SAME_DISTANCE = 1e-5
PAGE, APART = 512, 200  # numbers: addresses that differ by a page share their line of the cache


@dataclass(frozen=True, eq=False)
class Bond:
    """A bond of the crystal: from each site of a sublattice to one in another cell.

    Attributes:
        source: sublattice of the site.
        target: sublattice of its neighbour.
        cell: ``(d,)`` cells from the site to the neighbour.
        exchange: J.
        dm: ``(3,)`` D.
    """

    source: int
    target: int
    cell: np.ndarray
    exchange: float
    dm: np.ndarray


def bonds_of(lattice: Lattice, exchange: tuple[float, ...], dm: Any = None) -> list[Bond]:
    """Directed bonds with couplings: ``exchange`` by shell, ``dm(directions (M, 3)) -> (M, 3)`` on the
    nearest neighbours."""
    n_shells = max(len(exchange), int(dm is not None))
    one = lattice.with_shape([1] * lattice.dim)
    distances = [shell.distance for shell in one.shells(n_shells)]
    bonds = []
    for b in range(lattice.n_basis if distances else 0):
        cells, targets, displacement = lattice.offsets_within(distances[-1], b)
        length = np.linalg.norm(displacement, axis=1)
        for shell, distance in enumerate(distances):
            J = exchange[shell] if shell < len(exchange) else 0.0
            for k in np.flatnonzero(np.abs(length - distance) < SAME_DISTANCE):
                direction = np.zeros((1, 3))
                direction[0, : lattice.dim] = displacement[k] / length[k]
                D = dm(direction)[0] if dm is not None and shell == 0 else np.zeros(3)
                if J or D.any():
                    bonds.append(Bond(b, int(targets[k]), cells[k], J, D))
    return bonds


class Stencil:
    """The layout of spins on a lattice in rows, and where the neighbours of each row lie.

    Attributes:
        grid: ``(length, start, width, plane, halo, periodic)`` of the kernels: sites of a row, where the
            first of them stands, numbers from row to row and from component to component, width of the halos,
            whether a row closes on itself.
        terms: ``(offsets (rows, K), exchange (rows, K), dm (rows, K or 0, 3), onsite (7,))`` of the kernels;
            onsite: B, n, 2K.
    """

    def __init__(self, lattice: Lattice, bonds: list[Bond], onsite: np.ndarray) -> None:
        self.lattice = lattice
        length = lattice.shape[-1]
        halo = max((abs(int(bond.cell[-1])) for bond in bonds), default=0)
        start = -(-halo // LANES) * LANES
        blocks = -(-length // LANES) * LANES
        width = -(-(start + max(blocks, length + halo)) // LANES) * LANES
        self.n_rows = lattice.n_cells // length * lattice.n_basis
        self.grid = (length, start, width, (self.n_rows + 1) * width, halo, lattice.periodic[-1])
        self.terms = (*self._neighbours(bonds), np.asarray(onsite, dtype=np.float64))

    def _neighbours(self, bonds: list[Bond]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lattice, (_, start, width, *_) = self.lattice, self.grid
        n_basis, outer = lattice.n_basis, np.array(lattice.shape[:-1], dtype=np.int64)
        cells = lattice.cells[:: lattice.shape[-1], :-1]  # of the rows
        most = max((sum(bond.source == b for bond in bonds) for b in range(n_basis)), default=0)
        offsets = np.full((len(cells), n_basis, most), self.n_rows * width + start)
        exchange, dm = np.zeros(offsets.shape), np.zeros((*offsets.shape, 3))
        for b in range(n_basis):
            for k, bond in enumerate(bond for bond in bonds if bond.source == b):
                c = cells + bond.cell[:-1]
                inside = np.all((c >= 0) & (c < outer) | np.array(lattice.periodic[:-1], dtype=bool), axis=1)
                row = np.zeros(len(c), dtype=np.int64)
                for axis, n in enumerate(outer):
                    row = row * n + c[:, axis] % n
                place = (row * n_basis + bond.target) * width + start + int(bond.cell[-1])
                offsets[inside, b, k] = place[inside]
                exchange[inside, b, k], dm[inside, b, k] = bond.exchange, bond.dm
        return (
            offsets.reshape(self.n_rows, most),
            exchange.reshape(self.n_rows, most),
            dm.reshape(self.n_rows, most, 3) if dm.any() else np.zeros((self.n_rows, 0, 3)),
        )

    def empty(self, replicas: int) -> np.ndarray:
        """``(R, 3 * plane)`` zeros in the layout of the rows."""
        return aligned((replicas, 3 * self.grid[3]))

    def buffers(self, replicas: int, count: int) -> list[np.ndarray]:
        """Several of :meth:`empty`, placed such that the same site of two of them does not fall on the same
        line of the first-level cache (its address modulo 4096 bytes)."""
        size = replicas * 3 * self.grid[3]
        block = aligned((count, size + (APART - size) % PAGE))
        return [part[:size].reshape(replicas, -1) for part in block]

    def sites(self, rows: np.ndarray) -> np.ndarray:
        """View of the sites in an array of the layout, ``(R, 3, outer cells, n_basis, length)``."""
        length, start, width, *_ = self.grid
        n_basis = self.lattice.n_basis
        planes = rows.reshape(len(rows), 3, self.n_rows + 1, width)[:, :, :-1, start : start + length]
        return planes.reshape(len(rows), 3, -1, n_basis, length)

    def pack(self, spins: np.ndarray, rows: np.ndarray) -> None:
        """Write vectors ``(R, N, 3)`` with their halos into an array of the layout."""
        length = self.grid[0]
        parts = spins.reshape(len(spins), -1, length, self.lattice.n_basis, 3)
        self.sites(rows)[...] = parts.transpose(0, 4, 1, 3, 2)
        halos(self.n_rows, self.grid, rows)

    def unpack(self, rows: np.ndarray) -> np.ndarray:
        """Vectors ``(R, N, 3)``, new, in the memory order x of all sites, y of all, z of all."""
        found = np.ascontiguousarray(self.sites(rows).transpose(0, 1, 2, 4, 3))
        return found.reshape(len(rows), 3, self.lattice.n_sites).transpose(0, 2, 1)

    def energy_and_field(self, spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energy ``(R,)`` and field ``(R, N, 3)`` of spins ``(R, N, 3)`` in float64."""
        x, out = self.empty(len(spins)), self.empty(len(spins))
        self.pack(spins, x)
        energy = [
            field_rows(0, self.n_rows, self.grid, self.terms, source, target)
            for source, target in zip(x, out, strict=True)
        ]
        return np.array(energy), self.unpack(out)


@njit(forceinline=True, **OPTIONS)
def local_field(row: int, j: int, plane: int, terms: Any, x: Any, sx: Any, sy: Any, sz: Any) -> Any:
    """F of the eight sites from ``j`` on of a row, whose own spins are ``sx, sy, sz``:

    F_i = B + 2 K (S_i.n) n - sum_j [J_ij S_j + S_j x D_ij] .
    """
    offsets, exchange, dm, onsite = terms
    fx, fy, fz = splat(onsite[0]), splat(onsite[1]), splat(onsite[2])
    for k in range(offsets.shape[1]):
        at, J = offsets[row, k] + j, splat(exchange[row, k])
        fx = fx - J * load(x, at)
        fy = fy - J * load(x, at + plane)
        fz = fz - J * load(x, at + 2 * plane)
    for k in range(dm.shape[1]):
        at = offsets[row, k] + j
        a, b, c = load(x, at), load(x, at + plane), load(x, at + 2 * plane)
        dx, dy, dz = splat(dm[row, k, 0]), splat(dm[row, k, 1]), splat(dm[row, k, 2])
        fx = fx - (b * dz - c * dy)
        fy = fy - (c * dx - a * dz)
        fz = fz - (a * dy - b * dx)
    if onsite[6] != 0.0:
        nx, ny, nz = splat(onsite[3]), splat(onsite[4]), splat(onsite[5])
        along = onsite[6] * (sx * nx + sy * ny + sz * nz)
        fx, fy, fz = fx + along * nx, fy + along * ny, fz + along * nz
    return fx, fy, fz


@njit(**OPTIONS)
def field_rows(low: int, high: int, grid: Any, terms: Any, x: Any, out: Any) -> Any:
    """F of rows low..high of one replica; returns their energy, ``-sum S.(F + B)/2``."""
    length, start, width, plane, _, _ = grid
    bx, by, bz = splat(terms[3][0]), splat(terms[3][1]), splat(terms[3][2])
    work, inside = splat(0.0), np.zeros(LANES)
    for row in range(low, high):
        for j in range(0, length, LANES):
            o = row * width + start + j
            sx, sy, sz = load(x, o), load(x, o + plane), load(x, o + 2 * plane)
            fx, fy, fz = local_field(row, j, plane, terms, x, sx, sy, sz)
            store(out, o, fx)
            store(out, o + plane, fy)
            store(out, o + 2 * plane, fz)
            for lane in range(LANES):
                inside[lane] = 1.0 if j + lane < length else 0.0  # the halo is not counted
            work = work + load(inside, 0) * (sx * (fx + bx) + sy * (fy + by) + sz * (fz + bz))
    return -0.5 * total(work)


@njit(**OPTIONS)
def close_row(row: int, grid: Any, x: Any) -> None:
    """Write the halos of a row of one replica."""
    length, start, width, plane, halo, periodic = grid
    for component in range(3):
        first = component * plane + row * width + start
        for c in range(halo):
            x[first + length + c] = x[first + c % length] if periodic else 0.0
            x[first - 1 - c] = x[first + length - 1 - c % length] if periodic else 0.0


@njit(**OPTIONS)
def halos(n_rows: int, grid: Any, x: Any) -> None:
    """Write the halos of all rows and replicas."""
    for r in range(len(x)):
        for row in range(n_rows):
            close_row(row, grid, x[r])
