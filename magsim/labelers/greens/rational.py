"""The Fermi function as a sum over few poles, with a bound on what is left out."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.interpolate import AAA
from threadpoolctl import threadpool_limits

NEAR = 12.0  # |x| up to which f(x) has structure of its own, in units of T
GRIDS = (60, 150, 400)  # points that resolve f near zero; the finer ones where low temperatures need them
ROUNDING = 2e-12  # the least tolerance: further poles would only fit rounding


@dataclass(frozen=True, eq=False)
class FermiPoles:
    """``f(e) = 1/(exp((e - mu)/T) + 1)`` on an interval of energies as

        f(e) = c + sum_p [w_p/(z_p - e) + complex conjugate] ,   Im z_p > 0 ,

    and the integral of it, term by term, as the grand potential of one level,

        -T ln(1 + exp(-(e - mu)/T)) = k + c e - sum_p [w_p ln(z_p - e) + complex conjugate] ,

    so that the second is the exact antiderivative of the first: energies and fields made from them belong
    together to rounding, whatever the number of poles.

    Attributes:
        poles, weights: ``(P,)`` complex.
        constant: c.
        offset: k.
        error: largest error of f on the interval.
        energy_error: largest error of the grand potential of one level on the interval.
    """

    poles: np.ndarray
    weights: np.ndarray
    constant: float
    offset: float
    error: float
    energy_error: float


def fermi_poles(low: float, high: float, mu: float, T: float, tolerance: float) -> FermiPoles:
    """Poles for levels in ``[low, high]``: as few as reach ``tolerance``.

    The poles are those of a rational interpolant built by the AAA algorithm (Nakatsukasa, Sete and Trefethen,
    SIAM J. Sci. Comput. 40, A1494, doi:10.1137/16M1106122, arXiv:1612.00337), whose number grows as
    ``ln(width/T) ln(1/tolerance)``: about half that of Ozaki's continued fraction
    (doi:10.1103/PhysRevB.75.035123) at width/T = 300. The weights are then fitted by least squares, and the
    error is measured on a finer grid.

    Args:
        low, high: an interval that holds every level; mu may lie outside.
        mu: chemical potential.
        T: temperature, > 0.
        tolerance: of f, > 0; below 2e-12 nothing more is gained.
    """
    # the interval relative to mu, in units of T, slightly widened: near values share one set of poles
    start, stop = (_widened((edge - mu) / T, outward) for edge, outward in ((low, -1), (high, 1)))
    poles, weights, constant, offset, error, energy_error = _poles(start, stop, max(tolerance, ROUNDING))
    return FermiPoles(
        poles=mu + T * poles,
        weights=T * weights,
        constant=constant,
        offset=T * offset - constant * mu + 2 * math.log(T) * T * float(weights.sum().real),
        error=error,
        energy_error=T * energy_error,
    )


def _widened(x: float, outward: int) -> float:
    """``x`` or a little beyond, out of few values: 8 in every power of two."""
    if outward * x <= 1.0:
        return float(outward)
    return outward * 2.0 ** (math.ceil(8 * math.log2(outward * x)) / 8)


@lru_cache(maxsize=256)
def _poles(
    start: float, stop: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float, float, float, float]:
    """Poles, weights, constant, offset and errors in units of T at mu = 0."""
    fine = _grid(start, stop, 1200)
    # measured: this many poles are nearly enough, whatever width and tolerance
    fewest = max(2, int(0.08 * math.log(stop - start) * math.log(1 / tolerance)))
    best: tuple[np.ndarray, np.ndarray, float, float] | None = None
    for points, count in product(GRIDS, range(fewest, fewest + 14)):
        coarse = _grid(start, stop, points)
        poles = _aaa_poles(coarse, count)
        constant, weights = _fit(poles, coarse)
        error = _largest(constant + _sum(1 / (poles - fine[:, None]), weights) - _fermi(fine))
        if best is None or error < best[3]:
            best = (poles, weights, constant, error)
        if error <= tolerance:
            break
    assert best is not None
    upper, weights, constant, error = best
    residual = -np.logaddexp(0.0, -fine) - (constant * fine - _sum(np.log(upper - fine[:, None]), weights))
    offset = 0.5 * float(residual.max() + residual.min())
    return upper, weights, constant, offset, error, _largest(residual - offset)


def _aaa_poles(x: np.ndarray, count: int) -> np.ndarray:
    """About ``count`` poles above the real axis of a real interpolant; those on the axis or next to it are
    left out, the fit of the weights makes up for them."""
    # threads would only get into each other's way; that the number of terms is limited is no fault
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        poles = AAA(x, _fermi(x), rtol=0.0, max_terms=2 * count + 1, clean_up=False).poles()
    return poles[poles.imag > 1.0]


def _fermi(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 - np.tanh(0.5 * x))


def _grid(start: float, stop: float, n: int) -> np.ndarray:
    """Points that resolve f near zero and the decay of its poles far from it."""

    def side(length: float) -> np.ndarray:
        near = np.linspace(0.0, min(length, NEAR), n)
        return np.concatenate([near, np.geomspace(NEAR, length, 2 * n)]) if length > NEAR else near

    return np.unique(np.concatenate([-side(-start), side(stop)]))


def _fit(poles: np.ndarray, x: np.ndarray) -> tuple[float, np.ndarray]:
    """Constant and weights by least squares."""
    terms = 1 / (poles - x[:, None])
    design = np.concatenate([np.ones((len(x), 1)), 2 * terms.real, -2 * terms.imag], axis=1)
    scale = np.abs(design).max(axis=0)
    found = np.linalg.lstsq(design / scale, _fermi(x), rcond=1e-15)[0] / scale
    count = len(poles)
    return float(found[0]), found[1 : 1 + count] + 1j * found[1 + count :]


def _sum(terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return 2 * (terms @ weights).real


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())
