"""Sites of one colour far from each other, on any lattice with any number of colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy.sparse.csgraph import connected_components

from magsim.hamiltonian.electronic import Electrons
from magsim.lattice import Lattice

POWER = 8.0  # nearby sites of one colour repel as r^-POWER: close to the largest smallest distance
SWEEPS = 40
TRIALS = 3000  # regular colourings that are tried
KEPT = 3  # of them, which are fitted to the boundaries
REACH = 4  # sites within the repulsion, in units of the number of colours


def colour_sites(hamiltonian: Electrons, n_colours: int) -> np.ndarray:
    """``(N,)`` colours such that sites of one colour are as far apart as n colours allow.

    Greedy colouring by distance: each site takes the colour that is the farthest away from it (least
    ``sum r^-8`` over the sites of that colour), sweep after sweep until none changes. It starts from an
    empty lattice and from the best regular colourings ``(p.x + q_b) mod n`` of the crystal, which are ideal
    where they fit the periodic box and leave seams to mend where they do not; the best result counts. Only
    sites that the hopping connects repel each other: nothing passes between the others.

    The result depends on lattice and hopping alone.
    """
    lattice = hamiltonian.lattice
    n = lattice.n_sites
    if n_colours >= n:
        return np.arange(n)
    if n_colours == 1:
        return np.zeros(n, dtype=np.int64)
    table = _Table(hamiltonian, n_colours)
    starts = [np.full(n, -1), *_regular(lattice, table, n_colours)]
    found = [table.settled(start) for start in starts]
    return min(found, key=lambda pair: pair[1])[0]


class _Table:
    """Offsets of the crystal and their repulsion, padded to one size and three dimensions."""

    def __init__(self, hamiltonian: Electrons, n_colours: int) -> None:
        lattice = hamiltonian.lattice
        dim = lattice.dim
        volume = abs(np.linalg.det(lattice.vectors)) / lattice.n_basis
        radius = 1.0 + (REACH * n_colours * volume) ** (1 / dim) * (0.5, 0.57, 0.62)[dim - 1]
        parts = [lattice.offsets_within(radius, b) for b in range(lattice.n_basis)]
        most = max(len(sub) for _, sub, _ in parts)
        self.n_colours = n_colours
        self.offsets = np.zeros((lattice.n_basis, most, 4), dtype=np.int64)
        self.repulsion = np.zeros((lattice.n_basis, most))
        for b, (cells, sub, displacement) in enumerate(parts):
            self.offsets[b, : len(sub), :dim], self.offsets[b, : len(sub), 3] = cells, sub
            self.repulsion[b, : len(sub)] = np.linalg.norm(displacement, axis=1) ** -POWER
        self.cells = np.zeros((lattice.n_cells, 3), dtype=np.int64)
        self.cells[:, :dim] = lattice.cells
        self.shape = np.array([*lattice.shape, 1, 1][:3])
        self.periodic = np.array([*lattice.periodic, True, True][:3])
        self.component = connected_components(hamiltonian.hopping_matrix, directed=False)[1].astype(np.int64)

    def settled(self, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Colours after the sweeps, and the repulsion that is left."""
        colour = start.astype(np.int64)
        best = np.inf
        for _ in range(SWEEPS):
            arguments = (self.cells, self.shape, self.periodic, self.offsets, self.repulsion, self.component)
            changed, total = _sweep(colour, self.n_colours, *arguments)
            if changed == 0 or not total < best * (1 - 1e-9):
                break
            best = total
        return colour, total


def _regular(lattice: Lattice, table: _Table, n_colours: int) -> list[np.ndarray]:
    """The colourings ``(p.x + q_b) mod n`` with the least repulsion in the infinite crystal, and those among
    them that fit the periodic box."""
    rng = np.random.default_rng(0)
    p = np.zeros((TRIALS, 3), dtype=np.int64)
    p[:, : lattice.dim] = rng.integers(n_colours, size=(TRIALS, lattice.dim))
    q = rng.integers(n_colours, size=(TRIALS, lattice.n_basis))
    cost = np.zeros(TRIALS)
    for b in range(lattice.n_basis):
        for offset, repulsion in zip(table.offsets[b], table.repulsion[b], strict=True):
            shift = p @ offset[:3] + q[:, offset[3]] - q[:, b]
            cost += repulsion * (shift % n_colours == 0)
    fits = ((p * table.shape * table.periodic) % n_colours == 0).all(axis=1)
    order = np.argsort(cost, kind="stable")
    chosen = [*order[:KEPT], *[k for k in order if fits[k]][:KEPT]]
    sites = lattice.sublattice
    return [
        (np.repeat(table.cells @ p[k], lattice.n_basis) + q[k][sites]) % n_colours
        for k in dict.fromkeys(chosen)
    ]


@njit(nogil=True, cache=True)
def _sweep(
    colour: Any,
    n_colours: int,
    cells: Any,
    shape: Any,
    periodic: Any,
    offsets: Any,
    repulsion: Any,
    component: Any,
) -> Any:
    """Every site in turn takes the colour with the least repulsion; returns the changes and the total."""
    n_basis, most = repulsion.shape
    load = np.empty(n_colours)
    changed, total = 0, 0.0
    for i in range(len(colour)):
        cell, b = i // n_basis, i % n_basis
        load[:] = 0.0
        for k in range(most):
            j, inside = 0, repulsion[b, k] > 0.0
            for axis in range(3):
                c = cells[cell, axis] + offsets[b, k, axis]
                inside = inside and (periodic[axis] or 0 <= c < shape[axis])
                j = j * shape[axis] + c % shape[axis]
            j = j * n_basis + offsets[b, k, 3]
            if inside and j != i and colour[j] >= 0 and component[j] == component[i]:
                load[colour[j]] += repulsion[b, k]
        best = np.argmin(load)
        if colour[i] < 0 or load[best] < load[colour[i]] * (1 - 1e-9):
            colour[i] = best
            changed += 1
        total += load[colour[i]]
    return changed, total
