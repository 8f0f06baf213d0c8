"""Small loops that NumPy has no fast form for, compiled for the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def gauss_jordan(blocks: np.ndarray, logs: np.ndarray) -> None:
    """Inverse in place of ``(K, n, n)`` blocks, no row exchanges; adds ln of the pivots to ``logs``."""
    n = blocks.shape[1]
    for k in range(blocks.shape[0]):
        m = blocks[k]
        for p in range(n):
            logs[k] += np.log(np.complex128(m[p, p]))
            inverse = 1 / m[p, p]
            m[p, p] = 1
            for j in range(n):
                m[p, j] *= inverse
            for i in range(n):
                if i != p:
                    factor = m[i, p]
                    m[i, p] = 0
                    for j in range(n):
                        m[i, j] -= factor * m[p, j]


@njit(cache=True, nogil=True)
def scatter_add(buffer: np.ndarray, positions: np.ndarray, values: np.ndarray) -> None:
    """``buffer[p, positions[e]] += values[p, e]``."""
    for p in range(buffer.shape[0]):
        for e in range(len(positions)):
            buffer[p, positions[e]] += values[p, e]


@njit(cache=True, nogil=True)
def gather(buffer: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
    """``out[p, e] = buffer[p, positions[e]]``."""
    for p in range(buffer.shape[0]):
        for e in range(len(positions)):
            out[p, e] = buffer[p, positions[e]]
