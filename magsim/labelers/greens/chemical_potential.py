"""The chemical potential at which Green's functions give the wanted number of electrons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import toms748

from magsim.labelers.greens.electrons import Solution

ROUGH = 1e-5  # relative error of a cheap count
MOST = 12  # refinements; two are usual


@dataclass(frozen=True)
class Canonical:
    """A solution at fixed filling, and the error of occupations that the search for mu leaves."""

    solution: Solution
    error: float


def solve_mu(
    rough: Callable[[float], float],
    precise: Callable[[float], Solution],
    electrons: float,
    bracket: tuple[float, float],
    T: float,
    tolerance: float,
) -> Canonical:
    """Find mu with N(mu) = ``electrons``: bracketed with cheap counts, refined by secants with precise ones.

    The last two solutions, at distances d and d' from the root, give density matrix and mu at the root by a
    straight line, with an error of about ``d d'/T^2`` of an occupation.

    Args:
        rough: number of electrons at mu, to a few digits.
        precise: the full solution at mu.
        electrons: wanted number.
        bracket: N is below it at the first mu and above it at the second.
        T: scale on which N changes.
        tolerance: of occupations. Where mu lies in a gap, every mu with N that close is as good.
    """
    start, slope = _start(rough, electrons, bracket, T)
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
            left = abs((root - last.mu) * (root - new.mu)) / T**2
            if left < tolerance:
                return Canonical(_interpolate(last, new, electrons), left)
        last = new
    return Canonical(last, abs(electrons - last.count) / len(last.elements))


def _start(
    rough: Callable[[float], float], electrons: float, bracket: tuple[float, float], T: float
) -> tuple[float, float]:
    """A mu within a small part of T of the root, and dN/dmu there."""

    def excess(mu: float) -> float:
        difference = rough(mu) - electrons
        return 0.0 if abs(difference) < ROUGH * electrons else difference

    mu, step = float(toms748(excess, *bracket, xtol=T / 8, k=1)), T / 8
    below, above = rough(mu - step), rough(mu + step)
    slope = (above - below) / (2 * step)
    if slope > 0.0:
        mu += max(-step, min(step, (electrons - 0.5 * (above + below)) / slope))
    return mu, slope


def _interpolate(a: Solution, b: Solution, electrons: float) -> Solution:
    """The straight line through two solutions at the wanted number of electrons."""
    x = (electrons - a.count) / (b.count - a.count)
    mu = a.mu + x * (b.mu - a.mu)
    omega = b.grand_potential - 0.5 * (b.count + electrons) * (mu - b.mu)  # dOmega/dmu = -N
    elements = a.elements + x * (b.elements - a.elements)
    return Solution(mu=mu, elements=elements, grand_potential=omega, count=electrons)
