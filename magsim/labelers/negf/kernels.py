"""Loops of the slice recursion that NumPy would take several passes for, compiled for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# sums may be taken in any order, so that they use the vector units
FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}


@njit(**FAST)
def subtracted(
    out: np.ndarray, blocks: np.ndarray, owner: np.ndarray, z: np.ndarray, factor: float, behind: np.ndarray
) -> None:
    """``out_p = z_p - blocks[owner_p] - factor behind_p`` for ``(P, a, a)``."""
    for p in range(out.shape[0]):
        block = blocks[owner[p]]
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                out[p, i, j] = -block[i, j] - factor * behind[p, i, j]
            out[p, i, i] += z[p]


@njit(**FAST)
def add_products(
    out: np.ndarray,
    owner: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    others: np.ndarray,
    shift: int,
) -> None:
    """``out[owner_p, y] += w_p R_py S_p,y+shift+`` with the pairs of rows R, S of ``(P, 2 Ly, a)``."""
    width = rows.shape[1] // 2
    for p in range(rows.shape[0]):
        target = out[owner[p]]
        for y in range(width):
            other = (y + shift) % width
            for r in range(2):
                for s in range(2):
                    total = 0j
                    for k in range(rows.shape[2]):
                        total += rows[p, 2 * y + r, k] * np.conj(others[p, 2 * other + s, k])
                    target[y, r, s] += weights[p] * total


@njit(**FAST)
def add_elements(
    out: np.ndarray, owner: np.ndarray, weights: np.ndarray, green: np.ndarray, shift: int
) -> None:
    """``out[owner_p, y] += w_p [G_y,y+shift + (G_y+shift,y)+]``, the spin blocks of ``(P, 2 Ly, 2 Ly)``."""
    width = green.shape[1] // 2
    for p in range(green.shape[0]):
        target = out[owner[p]]
        for y in range(width):
            other = (y + shift) % width
            for r in range(2):
                for s in range(2):
                    there = np.conj(green[p, 2 * other + s, 2 * y + r])
                    target[y, r, s] += weights[p] * (green[p, 2 * y + r, 2 * other + s] + there)


@njit(**FAST)
def add_bonds(
    out: np.ndarray,
    owner: np.ndarray,
    weights: np.ndarray,
    forward: np.ndarray,
    behind: np.ndarray,
    full: np.ndarray,
    factor: float,
) -> None:
    """``out[owner_p, y] += w_p [F_yy + (factor (g G)_yy)+]``, the spin blocks at equal y of ``forward`` F and
    of the product of ``behind`` g and ``full`` G, all ``(P, 2 Ly, 2 Ly)``."""
    width = full.shape[1] // 2
    product = np.empty((2, 2), dtype=full.dtype)
    for p in range(full.shape[0]):
        target = out[owner[p]]
        for y in range(width):
            product[:] = 0
            for k in range(full.shape[1]):
                for r in range(2):
                    for s in range(2):
                        product[r, s] += behind[p, 2 * y + r, k] * full[p, k, 2 * y + s]
            for r in range(2):
                for s in range(2):
                    back = np.conj(factor * product[s, r])
                    target[y, r, s] += weights[p] * (forward[p, 2 * y + r, 2 * y + s] + back)
