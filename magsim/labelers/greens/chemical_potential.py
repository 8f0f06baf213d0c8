"""The chemical potential at which Green's functions give the wanted number of electrons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, toms748

from magsim.labelers.ensemble import fermi
from magsim.labelers.greens.electrons import Solution

MOST = 12  # refinements; two are usual
FAR = 64.0  # in a gap this wide, in units of T, mu is put so far from the levels that they are full or empty
WHOLE = 1e-9  # where a part of an electron is left over, mu lies on a level
# The levels next to mu are located to this part of T: those within 2T are some among many, but levels beyond
# are all that mu depends on, so weakly that solutions in single precision would not tell.
NEAR, BEYOND = 1 / 4, 1 / 256


@dataclass(frozen=True)
class Canonical:
    """A solution at fixed filling, and the error of occupations that the search for mu leaves."""

    solution: Solution
    error: float


def solve_mu(
    below: Callable[[float], int],
    precise: Callable[[float], Solution],
    electrons: float,
    bracket: tuple[float, float],
    T: float,
    tolerance: float,
) -> Canonical:
    """Find mu with N(mu) = ``electrons``: a start from counts of levels, refined by secants.

    The last two solutions, at distances d and d' from the root, give density matrix and mu at the root by a
    straight line, with an error of an occupation of at most about ``d d'/T`` times 1/T or dN/dmu, whichever
    is smaller (the sum of ``|f''|`` over the levels is below ``(dN/dmu)/T``).

    Args:
        below: number of levels below an energy; much cheaper than a solution.
        precise: the full solution at mu.
        electrons: wanted number.
        bracket: no level lies below the first energy, every one below the second.
        T: scale on which N changes.
        tolerance: of occupations. Where mu lies in a gap, every mu with N that close is as good.
    """
    start, slope = _start(below, electrons, bracket, T)
    last = precise(start)
    enough = tolerance * len(last.elements)
    for _ in range(MOST):
        missing = electrons - last.count
        if abs(missing) <= enough or slope <= 0.0:
            break
        shift = max(-T, min(T, missing / slope))
        new = precise(last.mu + shift)
        slope = (new.count - last.count) / shift
        if slope > 0.0:
            root = new.mu + (electrons - new.count) / slope
            left = abs((root - last.mu) * (root - new.mu)) * min(1 / T, slope) / T
            if left < tolerance or abs(electrons - new.count) <= enough:
                return Canonical(_interpolate(last, new, electrons), left)
        last = new
    return Canonical(last, abs(electrons - last.count))  # one level may lack all of it


def _start(
    below: Callable[[float], int], electrons: float, bracket: tuple[float, float], T: float
) -> tuple[float, float]:
    """A mu within a part of T of the root, and dN/dmu there.

    In a gap wider than ``FAR T`` mu is put far from the levels on both sides, and dN/dmu is zero. Else counts
    around the Fermi level say how many levels lie between the energies where they were made; N(mu) is
    that of levels spread evenly in between.
    """
    counted: dict[float, int] = {}

    def count(energy: float) -> int:
        if energy not in counted:
            counted[energy] = below(energy)
        return counted[energy]

    middle = float(toms748(lambda energy: count(energy) - electrons, *bracket, xtol=T / 2, k=1))
    down, up = (_next_level(count, middle, side, T) for side in (-1, 1))
    if max(down, up) >= FAR * T and abs(count(middle) - electrons) < WHOLE:
        return middle + 0.5 * (up - down), 0.0
    levels, full = _levels(counted, middle, T)

    def excess(mu: float) -> float:
        return full + float(fermi(levels, np.array([mu]), T).sum()) - electrons

    low, high = middle - FAR * T, middle + FAR * T
    mu = float(brentq(excess, low, high, xtol=T / 100)) if excess(low) < 0.0 < excess(high) else middle
    occupation = fermi(levels, np.array([mu]), T)
    return mu, float((occupation * (1 - occupation)).sum()) / T


def _next_level(count: Callable[[float], int], middle: float, side: int, T: float) -> float:
    """Count on one side of the Fermi level until its next level there is located; its distance, or ``FAR T``
    if it is farther than that."""
    here, empty, distance = count(middle), 0.0, 0.5 * T
    while count(middle + side * distance) == here:
        if distance >= FAR * T:
            return distance
        empty, distance = distance, 2 * distance
    while distance - empty > T * (NEAR if empty < 2 * T else BEYOND):
        half = 0.5 * (empty + distance)
        if count(middle + side * half) == here:
            empty = half
        else:
            distance = half
    for far in (1, 2, 4, 8):  # how dense the levels are beyond
        count(middle + side * (distance + far * T))
    return distance


def _levels(counted: dict[float, int], middle: float, T: float) -> tuple[np.ndarray, int]:
    """``(1, n)`` levels within reach of mu as the counts know them, and how many lie below."""
    energies = [e for e in sorted(counted) if abs(e - middle) <= 1.5 * FAR * T]
    first, last = counted[energies[0]], counted[energies[-1]]
    levels = np.interp(np.arange(first, last) + 0.5, [counted[e] for e in energies], energies)
    return levels[None], first


def _interpolate(a: Solution, b: Solution, electrons: float) -> Solution:
    """The straight line through two solutions at the wanted number of electrons."""
    x = (electrons - a.count) / (b.count - a.count)
    mu = a.mu + x * (b.mu - a.mu)
    omega = b.grand_potential - 0.5 * (b.count + electrons) * (mu - b.mu)  # dOmega/dmu = -N
    elements = a.elements + x * (b.elements - a.elements)
    return Solution(mu=mu, elements=elements, grand_potential=omega, count=electrons)
