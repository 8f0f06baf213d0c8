"""Chebyshev expansions of the grand potential: coefficients, moments, mu, truncation error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import dct
from scipy.optimize import brentq

from magsim.errors import ConfigError, RunError
from magsim.labelers.ensemble import fermi, grand_potential

LARGEST = 2**20  # moments that a tolerance may ask for
OVERSAMPLING = 4  # points of the grid per moment


@dataclass(frozen=True)
class Expansion:
    """``Tr g(H) ~ sum_{m<M} k_m c_m mu_m`` with ``mu_m = Tr T_m((H - a)/b)``.

    Attributes:
        a, b: centre and half width of an interval that holds the spectrum.
        n_moments: M, even.
        T: temperature of the occupations, > 0.
        jackson: damp the coefficients by the Jackson kernel (Weisse et al., Rev. Mod. Phys. 78, 275,
            doi:10.1103/RevModPhys.78.275). It makes the expanded density of states positive and its error
            fall as 1/M only; without it, k = 1, the error falls exponentially once M > b/T.
    """

    a: float
    b: float
    n_moments: int
    T: float
    jackson: bool = False

    @cached_property
    def levels(self) -> np.ndarray:
        """Energies of the Chebyshev-Gauss grid."""
        size = OVERSAMPLING * max(self.n_moments, 256)
        return self.a + self.b * np.cos(np.pi * (np.arange(size) + 0.5) / size)

    @cached_property
    def damping(self) -> np.ndarray:
        """``(M,)`` k_m."""
        return jackson_kernel(self.n_moments) if self.jackson else np.ones(self.n_moments)

    def coefficients(self, mu: float) -> np.ndarray:
        """``(M,)`` k_m c_m of ``g(e) = -T ln(1 + exp(-(e - mu)/T))``."""
        values = grand_potential_of(self.levels, mu, self.T)
        return self.damping * chebyshev_coefficients(values)[: self.n_moments]

    def grid_weights(self, moments: np.ndarray) -> np.ndarray:
        """Weights w with ``sum_k w_k f(e_k) = sum_m k_m c_m[f] mu_m`` for every function f: the expanded
        density of states on the grid."""
        padded = np.zeros(len(self.levels))
        padded[: self.n_moments] = self.damping * moments
        return _dual(padded)

    def electrons(self, weights: np.ndarray, mu: float) -> float:
        """Number of electrons, ``-d Omega/d mu`` of the same expansion."""
        return float(weights @ fermi(self.levels[None], np.array([mu]), self.T)[0])

    def solve_mu(self, moments: np.ndarray, electrons: float) -> float:
        """mu with the given number of electrons in the expansion, to rounding.

        With it ``F = Omega + mu N_e`` is stationary in mu, so the gradient of F is that of Omega at fixed mu.

        Raises:
            RunError: the moments are too noisy: no mu gives that number.
        """
        weights = self.grid_weights(moments)
        span = self.b + 40.0 * self.T + 1.0
        low, high = self.a - span, self.a + span
        if not self.electrons(weights, low) < electrons < self.electrons(weights, high):
            raise RunError(
                f"labeler=kpm: no chemical potential gives {electrons:g} electrons; with so few random "
                "columns the trace is too noisy. Use more labeler.columns."
            )
        root = brentq(lambda mu: self.electrons(weights, mu) - electrons, low, high, xtol=1e-15, rtol=1e-15)
        return float(root)


def grand_potential_of(levels: np.ndarray, mu: float, T: float) -> np.ndarray:
    """``-T ln(1 + exp(-(e - mu)/T))`` of each energy."""
    one = levels[:, None]
    return grand_potential(one, np.full(len(one), mu), T)


def chebyshev_coefficients(values: np.ndarray) -> np.ndarray:
    """Coefficients c_m of ``f = sum_m c_m T_m`` from f on the grid ``cos(pi (k + 1/2)/n)``."""
    c = dct(values, type=2) / len(values)
    c[0] *= 0.5
    return c


def _dual(moments: np.ndarray) -> np.ndarray:
    """The transpose of :func:`chebyshev_coefficients`."""
    return dct(moments, type=3) / len(moments)


def jackson_kernel(n: int) -> np.ndarray:
    """``(n,)`` Jackson factors."""
    m, angle = np.arange(n), np.pi / (n + 1)
    return ((n - m + 1) * np.cos(m * angle) + np.sin(m * angle) / np.tan(angle)) / (n + 1)


def pair_weights(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``E = sum_m c_m mu_m`` as ``sum_m p_m |alpha_m|^2 + q_m Re <alpha_{m+1}|alpha_m>``, both ``(M/2,)``.

    Two moments follow from each vector: ``mu_2m = 2 |alpha_m|^2 - mu_0``, ``mu_2m+1 = 2 Re <alpha_{m+1}|
    alpha_m> - mu_1``.
    """
    even, odd = coefficients[0::2], coefficients[1::2]
    p, q = 2.0 * even, 2.0 * odd
    p[0], q[0] = even[0] - even[1:].sum(), odd[0] - odd[1:].sum()
    return p, q


def moments_of_pairs(squares: np.ndarray, overlaps: np.ndarray) -> np.ndarray:
    """``(M,)`` moments from ``|alpha_m|^2`` and ``Re <alpha_{m+1}|alpha_m>``, m < M/2."""
    moments = np.empty(2 * len(squares))
    moments[0::2], moments[1::2] = 2.0 * squares - squares[0], 2.0 * overlaps - overlaps[0]
    moments[0], moments[1] = squares[0], overlaps[0]
    return moments


def truncation_errors(b: float, T: float, position: float, size: int) -> np.ndarray:
    """rms error of the occupation for each M below ``size``, over a semicircle of levels.

    The field is made of occupations ``f = g'``. Without the terms m >= M they are wrong by ``(1/b) sum m c_m
    U_{m-1}``, whose mean square over the weight of the U_m, a semicircle, is ``(1/b^2) sum (m c_m)^2``.

    Args:
        b: half the bandwidth.  T: temperature.  position: (mu - a)/b.
        size: a power of two.
    """
    grid = np.cos(np.pi * (np.arange(2 * size) + 0.5) / (2 * size))
    c = chebyshev_coefficients(grand_potential_of(b * grid, b * position, T))[:size]
    terms = (np.arange(size) * c / b) ** 2
    return np.sqrt(np.cumsum(terms[::-1])[::-1])


def truncation_error(expansion: Expansion, position: float) -> float:
    """The same for an expansion, with the damping of its kernel."""
    size = 1 << int(np.ceil(np.log2(4 * expansion.n_moments)))
    tail = truncation_errors(expansion.b, expansion.T, position, size)
    missing = float(tail[expansion.n_moments])
    if not expansion.jackson:
        return missing
    kept = np.sqrt(np.maximum(tail[:-1] ** 2 - tail[1:] ** 2, 0.0))[: expansion.n_moments]
    return float(np.hypot(missing, np.linalg.norm((1.0 - expansion.damping) * kept)))


def moments_for(b: float, T: float, position: float, tolerance: float) -> int:
    """The least even M whose :func:`truncation_errors` are below ``tolerance``.

    Raises:
        ConfigError: that takes more than 2^20.
    """
    size = 1024
    while size <= LARGEST:
        errors = truncation_errors(b, T, position, size)
        enough = int(np.argmax(errors <= tolerance))
        # beyond half the grid the coefficients are those of their aliases
        if errors[enough] <= tolerance and enough <= size // 2:
            return max(4, enough + enough % 2)
        size *= 2
    raise ConfigError(
        "labeler.tolerance",
        f"{tolerance:g}",
        f"takes more than {LARGEST} moments at T={T:g} and half bandwidth {b:g}; allow more, or raise T.",
    )
