"""The equilibrium density matrix of an open system from few complex energies.

The poles of :mod:`magsim.labelers.greens.rational` fit the Fermi function on a real interval. The
levels of an open system are complex, and the tails of their Lorentzians leave every interval; what must be
fitted is the half of f that is analytic where they lie,

    f(e) = 1/2 + g(e) + g(e*)* ,   g(e) = (i/2 pi) digamma(1/2 + i (e - mu)/(2 pi T)) ,   Im e <= 0 ,

up to an imaginary constant, which drops out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import digamma, ellipj, ellipkm1

MOST = 400  # nodes; T/bandwidth of 1e-5
EXACT, TAIL = 3000, 240  # Matsubara frequencies taken one by one; points that stand for the rest


@dataclass(frozen=True, eq=False)
class FermiNodes:
    """``rho(mu) = 1/2 + sum_k [w_k G(z_k) + h.c.]``.

    Attributes:
        z: ``(K,)`` energies ``mu + i omega_k``.
        weights: ``(K,)`` real, positive.
        error: largest error of an occupation.
    """

    z: np.ndarray
    weights: np.ndarray
    error: float


@dataclass(frozen=True)
class Levels:
    """Where the complex levels of an open system lie.

    Attributes:
        reach: largest distance of their real part from 0.
        narrow, wide: least and largest ``-Im e``.
    """

    reach: float
    narrow: float
    wide: float


@lru_cache(maxsize=64)  # a bias that changes with time leaves the bath as it is
def fermi_nodes(levels: Levels, mu: float, T: float, tolerance: float) -> FermiNodes:
    """As few nodes as give every occupation to ``tolerance``, at most 400.

    Args:
        levels: of the system.
        mu: chemical potential.
        T: temperature, >= 0.
        tolerance: > 0; below 1e-12 nothing more is gained.
    """
    tolerance = max(tolerance, 1e-12)
    least = 8
    best: FermiNodes | None = None
    count = least
    while count <= MOST:
        omega, weights = matsubara_rule(count) if T > 0 else _elliptic_rule(*_distances(levels, mu), count)
        scale = T if T > 0 else 1.0
        z, w = mu + 1j * scale * omega, scale * weights
        error = _error(levels, mu, T, z, w)
        if best is None or error < best.error:
            best = FermiNodes(z, w, error)
        if error <= tolerance:
            break
        count += max(1, count // 12)
    assert best is not None
    return best


@lru_cache(maxsize=128)
def matsubara_rule(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss quadrature of the sum over Matsubara frequencies, in units of T:

        sum_m F(i pi (2m + 1)) = sum_k v_k F(i omega_k) ,   m = 0, 1, ... ,

    for F that fall as ``1/omega^2``: with ``x_m = 1/(2m + 1)`` the sum is that of ``x_m^2 phi(x_m)`` with a
    smooth ``phi = F/x^2``, a measure on (0, 1] that has orthogonal polynomials and a Gauss rule of its own.
    About ``1.2 sqrt(W/T) + 4`` nodes give 1e-10 where F has its structure below W.

    Returns:
        omega ``(count,)`` and v ``(count,)``, from the lowest frequency on.
    """
    m = np.arange(EXACT + 1)
    # beyond, by the midpoint rule with its end correction, x^2 dm = dx/2: uniform on (0, 1/(2 EXACT))
    share = np.ones(EXACT + 1)
    share[-2:] = 23 / 24, 1 / 24
    x, w = np.polynomial.legendre.leggauss(TAIL)
    x = np.concatenate([1 / (2 * m + 1.0), (x + 1) / (4 * EXACT)])
    w = np.concatenate([share / (2 * m + 1.0) ** 2, w / (8 * EXACT)])
    nodes, weights = _gauss(x, w, count)
    order = np.argsort(-nodes)
    return np.pi / nodes[order], (weights / nodes**2)[order]


def _gauss(x: np.ndarray, w: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss rule of a discrete measure by the Lanczos process, fully orthogonalised."""
    total = w.sum()
    basis = np.zeros((count, len(x)))
    basis[0] = np.sqrt(w / total)
    diagonal, off = np.zeros(count), np.zeros(count - 1)
    for k in range(count):
        v = x * basis[k]
        diagonal[k] = v @ basis[k]
        if k == count - 1:
            break
        for _ in range(2):
            v -= basis[: k + 1].T @ (basis[: k + 1] @ v)
        off[k] = np.linalg.norm(v)
        basis[k + 1] = v / off[k]
    nodes, vectors = eigh_tridiagonal(diagonal, off)
    return nodes, total * vectors[0] ** 2


def _distances(levels: Levels, mu: float) -> tuple[float, float]:
    """Least and largest distance of a level from mu."""
    beyond = max(abs(mu) - levels.reach, 0.0)
    near = math.hypot(beyond, max(levels.narrow, 1e-3 * levels.reach if beyond == 0 else 0.0))
    return near, math.hypot(abs(mu) + levels.reach, levels.wide)


def _elliptic_rule(near: float, far: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of ``int_0^oo d omega/(2 pi) F(i omega)`` for F whose poles lie at Re omega <= 0,
    between the distances ``near`` and ``far`` from 0.

    ``omega = near sc(u, k)``, ``k' = near/far``, maps the half plane onto a rectangle of height K' on both
    sides of (0, K) with the poles that come next to the path on its edges; Gauss-Legendre in u converges as
    if there were no scales between ``near`` and ``far``.
    """
    k1 = (near / far) ** 2
    K = ellipkm1(k1)
    x, w = np.polynomial.legendre.leggauss(count)
    u, w = 0.5 * K * (x + 1), 0.5 * K * w
    lower = u <= 0.5 * K
    sn, cn, dn, _ = ellipj(np.where(lower, u, K - u), 1 - k1)
    omega = np.where(lower, near * sn / cn, far * cn / sn)
    slope = np.where(lower, near * dn / cn**2, far * dn / sn**2)
    return omega, w * slope / (2 * np.pi)


def _error(levels: Levels, mu: float, T: float, z: np.ndarray, w: np.ndarray) -> float:
    """Largest error of an occupation over the rectangle that holds the levels: what is left out is analytic
    there, so it is largest on the rim."""
    R = levels.reach
    # as fine as f near mu
    fine = np.concatenate(
        [mu + s * np.geomspace(1e-3 * (T or levels.narrow or 1e-3), 2 * R, 300) for s in (-1, 1)]
    )
    real = np.concatenate([np.linspace(-R, R, 401), fine[np.abs(fine) <= R]])
    sides = np.linspace(levels.narrow, levels.wide, 41)
    rim = np.concatenate(
        [real - 1j * levels.narrow, real - 1j * levels.wide, R - 1j * sides, -R - 1j * sides]
    )
    if T == 0.0 and levels.narrow == 0.0:
        rim = rim[np.abs(rim - mu) > 1e-3 * R]
    left = (w / (z - rim[:, None])).sum(1) - half_fermi(rim, mu, T)
    return 2 * float(np.abs(left - 1j * left.imag.mean()).max())


def half_fermi(e: np.ndarray, mu: float, T: float) -> np.ndarray:
    """``g(e)``, see the head of this module; at T = 0 ``(i/2 pi) ln(i (e - mu))``."""
    x = 1j * (np.asarray(e, dtype=np.complex128) - mu)
    return 0.5j / np.pi * (digamma(0.5 + x / (2 * np.pi * T)) if T > 0 else np.log(x))
