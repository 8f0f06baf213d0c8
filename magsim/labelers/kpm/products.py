"""The recursion with a sparse matrix: for Hamiltonians without a kernel of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from magsim.hamiltonian.electronic import Electrons


class ProductRecursion:
    """The recursion of one configuration by products of a CSR matrix with complex columns.

    Args:
        hamiltonian: any.  spins: ``(N, 3)``.  a, b: centre and half width of the spectrum.
    """

    width = 16

    def __init__(self, hamiltonian: Electrons, spins: np.ndarray, a: float, b: float) -> None:
        n = hamiltonian.n_states
        self.pattern, self.b = hamiltonian.pattern, b
        self.matrix = ((hamiltonian.sparse(spins) - a * sparse.identity(n, format="csr")) / b).tocsr()

    def forward(self, columns: np.ndarray, steps: int) -> tuple[np.ndarray, Any]:
        earlier, now = columns, self.matrix @ columns
        pairs = np.empty((steps, 2))
        for m in range(steps):
            pairs[m] = _dot(earlier, earlier), _dot(now, earlier)
            if m < steps - 1:
                earlier, now = now, 2.0 * (self.matrix @ now) - earlier
        return pairs, (now, earlier)

    def backward(self, columns: np.ndarray, state: Any, p: np.ndarray, q: np.ndarray) -> tuple[Any, float]:
        later, now = state  # alpha_{m+1}, alpha_m
        rows, partners = self.pattern
        density = np.zeros(len(rows), dtype=np.complex128)
        bar, bar_later = q[-1] * now, np.zeros_like(now)
        for m in range(len(p) - 1, 0, -1):
            density += _elements(now, bar, rows, partners)
            earlier = 2.0 * (self.matrix @ now) - later
            source = 2.0 * p[m] * now + q[m] * later + q[m - 1] * earlier
            bar, bar_later = source + 2.0 * (self.matrix @ bar) - bar_later, bar
            later, now = now, earlier
        density += 0.5 * _elements(now, bar, rows, partners)
        return density / self.b, float(np.abs(now - columns).max())


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b).real)


def _elements(x: np.ndarray, bar: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Any:
    """The Hermitian part of ``2 |x><bar|`` at (rows, columns)."""
    return (x[rows] * bar[columns].conj() + bar[rows] * x[columns].conj()).sum(axis=1)
