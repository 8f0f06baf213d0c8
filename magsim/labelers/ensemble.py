"""Occupations, chemical potential and energy of non-interacting electrons from their levels."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

# Levels closer than this to mu at T = 0 are one degenerate shell and share their electrons equally.
DEGENERATE = 1e-9
# Smeared over T, a level at distance x T from mu is wrongly filled by f(|x|), at most so many times
# f(x - 1) - f(x) (at x = 0): what a shift of mu by T shows.
ONE_LEVEL = 2.17


def fermi(levels: Any, mu: Any, T: float, xp: ModuleType = np) -> Any:
    """Occupation ``1/(exp((e - mu)/T) + 1)``; at T = 0 a step with 1/2 at levels within 1e-9 of mu.

    Args:
        levels: ``(B, M)`` energies.  mu: ``(B,)``.
    """
    x = levels - mu[:, None]
    if T == 0.0:
        return xp.where(xp.abs(x) < DEGENERATE, 0.5, (x < 0).astype(np.float64))
    return 0.5 * (1.0 - xp.tanh(x / (2.0 * T)))


def canonical_T0(levels: Any, electrons: float, xp: ModuleType = np) -> tuple[Any, Any]:
    """Occupations and mu of exactly ``electrons`` particles at T = 0.

    ``levels`` ``(B, M)`` ascending. The lowest levels are filled; a degenerate shell at the Fermi level
    (within 1e-9) takes its electrons equally in every state, which keeps the symmetry of the spins and makes
    the field unique.
    """
    m = levels.shape[1]
    whole = min(int(np.ceil(electrons - 1e-9)), m)
    highest = levels[:, whole - 1 : whole]
    shell = xp.abs(levels - highest) < DEGENERATE
    below = (levels < highest) & ~shell
    missing = electrons - below.sum(axis=1, keepdims=True)
    occupation = below + shell * (missing / shell.sum(axis=1, keepdims=True))
    partly = missing < shell.sum(axis=1, keepdims=True) - 1e-9
    above = xp.where(levels > highest + DEGENERATE, levels, xp.inf).min(axis=1, keepdims=True)
    middle = xp.where(xp.isfinite(above), 0.5 * (highest + above), highest)
    return occupation, xp.where(partly, highest, middle)[:, 0]


def solve_mu(levels: Any, electrons: float, T: float, xp: ModuleType = np) -> Any:
    """Chemical potential ``(B,)`` with ``sum_n f(e_n) = electrons`` at T > 0, by bisection to rounding.

    Each configuration stops when its own bracket has closed: mu does not depend on its company, bit by bit.
    """
    span = 40.0 * T + 1.0
    low, high = levels[:, 0] - span, levels[:, -1] + span
    for _ in range(200):
        closed = (high - low) <= 4e-16 * xp.maximum(1.0, xp.abs(high))
        if bool(xp.all(closed)):
            break
        middle = 0.5 * (low + high)
        above = fermi(levels, middle, T, xp).sum(axis=1) > electrons
        low = xp.where(above | closed, low, middle)
        high = xp.where(above & ~closed, middle, high)
    return 0.5 * (low + high)


def grand_potential(levels: Any, mu: Any, T: float, xp: ModuleType = np) -> Any:
    """``Omega = -T sum_n ln(1 + exp(-(e_n - mu)/T))``, ``(B,)``; at T = 0 ``sum_{e<mu} (e - mu)``."""
    x = levels - mu[:, None]
    if T == 0.0:
        return xp.minimum(x, 0.0).sum(axis=1)
    # ln(1 + exp(-x/T)) without overflow
    return (xp.minimum(x, 0.0) - T * xp.log1p(xp.exp(-xp.abs(x) / T))).sum(axis=1)
