"""The lattice as the fused kernel sees it, and the recursion of one configuration on the CPU."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from magsim.hamiltonian.electronic import SDHamiltonian

CACHE = 1.25 * 2**20  # bytes of a core's own cache that a wave may fill
DEEPEST = 8  # steps in one wave; more gain nothing
LEAST = 3  # where the own cache is too small: the shared one, too, is faster than memory


class Recursion(Protocol):
    """``H~ = (H - a)/b`` of one configuration, applied to a few columns at a time.

    A vector's history is not kept: ``forward`` returns where it ended, and ``backward`` retraces it.
    """

    @property
    def width(self) -> int:
        """Columns that are done together."""
        ...

    def forward(self, columns: np.ndarray, steps: int) -> tuple[np.ndarray, Any]:
        """From ``(n_states, w)`` columns ``(K, 2)`` ``|alpha_m|^2`` and ``Re <alpha_{m+1}|alpha_m>``, m < K,
        and the last two vectors."""
        ...

    def backward(self, columns: np.ndarray, state: Any, p: np.ndarray, q: np.ndarray) -> tuple[Any, float]:
        """``rho_ba = dE/dH_ab`` on the pattern of the Hamiltonian, ``(len(pattern),)``, of ``E = sum_m p_m
        |alpha_m|^2 + q_m Re <alpha_{m+1}|alpha_m>``, and how far the way back missed the start."""
        ...


class Stencil:
    """Neighbours and amplitudes of a lattice, its sites in the order of levels.

    Levels are the distances, in hoppings, from the sites with the first coordinate zero. Neighbours are at
    most one level apart for any range of the hopping, also across a periodic boundary.

    Attributes:
        order: ``(N,)`` site at each place.
        levels: ``(n_levels + 1,)`` first place of each level, and N.
        neighbours, hopping: ``(N, z)`` places and amplitudes ``-t``; missing neighbours have amplitude 0.
    """

    def __init__(self, hamiltonian: SDHamiltonian) -> None:
        matrix = hamiltonian.hopping_matrix.tocsr()
        n = matrix.shape[0]
        level = _levels(
            matrix,
            np.flatnonzero(np.repeat(hamiltonian.lattice.cells[:, 0] == 0, n // hamiltonian.lattice.n_cells)),
        )
        self.order = np.argsort(level, kind="stable")
        self.levels = np.concatenate([[0], np.cumsum(np.bincount(level))]).astype(np.int64)
        place = np.empty(n, dtype=np.int64)
        place[self.order] = np.arange(n)
        counts = np.diff(matrix.indptr)
        self.neighbours = np.repeat(np.arange(n, dtype=np.int32)[:, None], max(counts.max(), 1), axis=1)
        self.hopping = np.zeros(self.neighbours.shape)
        rows = np.repeat(np.arange(n), counts)
        slot = np.arange(len(rows)) - matrix.indptr[rows]
        self.neighbours[place[rows], slot] = place[matrix.indices]
        self.hopping[place[rows], slot] = matrix.data

    def depth(self, vectors: int) -> int:
        """Steps of a wave whose ``vectors`` arrays stay in the cache."""
        widest = int(np.diff(self.levels).max()) * vectors * 256
        return int(np.clip(CACHE // widest - 2, LEAST, DEEPEST))


def _levels(matrix: sparse.csr_matrix, start: np.ndarray) -> np.ndarray:
    """Distance of every site from ``start``; sites out of reach join level 0."""
    level = np.full(matrix.shape[0], -1)
    level[start] = 0
    front, distance = start, 0
    while len(front):
        distance += 1
        reached = np.unique(matrix[front].indices)
        front = reached[level[reached] < 0]
        level[front] = distance
    return level


class LatticeRecursion:
    """The recursion of one configuration of the s-d model by the fused kernel.

    Args:
        hamiltonian: the model.  stencil: of its lattice.
        spins: ``(N, 3)``.  a, b: centre and half width of the spectrum.
    """

    width = 8

    def __init__(
        self, hamiltonian: SDHamiltonian, stencil: Stencil, spins: np.ndarray, a: float, b: float
    ) -> None:
        self.stencil, self.b = stencil, b
        x, y, z = (-hamiltonian.J * spins[stencil.order, k] for k in range(3))
        self.onsite = np.stack([z - a, -z - a, x, -y], axis=1)

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        return self.stencil.neighbours, self.stencil.hopping, self.onsite, self.b

    def forward(self, columns: np.ndarray, steps: int) -> tuple[np.ndarray, Any]:
        from magsim.labelers.kpm import kernel
        from magsim.simd import aligned

        vectors = aligned((2, len(columns) * 16))
        vectors[0] = self._packed(columns)
        start = float(vectors[0] @ vectors[0])
        pairs = np.zeros((steps, 2))
        kernel.forward(self.stencil.levels, self.stencil.depth(2), *self._tables, vectors, pairs)
        squares = np.concatenate([[start], pairs[:-1, 0]])
        return np.stack([squares, pairs[:, 1]], axis=1), vectors

    def backward(self, columns: np.ndarray, state: Any, p: np.ndarray, q: np.ndarray) -> tuple[Any, float]:
        from magsim.labelers.kpm import kernel
        from magsim.simd import aligned

        density = np.zeros((len(columns) // 2, 4))
        weights = np.stack([2 * p, q, np.concatenate([[0.0], q[:-1]])], axis=1)
        bars = aligned(state.shape)
        kernel.backward(
            self.stencil.levels, self.stencil.depth(4), *self._tables, weights, state, bars, density
        )
        drift = float(np.abs(state[0] - self._packed(columns)).max())
        sites = np.empty_like(density)
        sites[self.stencil.order] = density
        up, down, flip = sites[:, 0], sites[:, 1], sites[:, 2] + 1j * sites[:, 3]
        return np.stack([up + 0j, down + 0j, flip], axis=1).ravel(), drift

    def _packed(self, columns: np.ndarray) -> np.ndarray:
        """``(n_states, w <= 8)`` complex as ``(N * 32,)`` real numbers in the order of the levels."""
        n, w = len(columns) // 2, columns.shape[1]
        packed = np.zeros((n, 2, 2, self.width))
        sites = columns.reshape(n, 2, w)[self.stencil.order]
        packed[:, :, 0, :w], packed[:, :, 1, :w] = sites.real, sites.imag
        return packed.ravel()
