"""The fused lattice kernel of the Chebyshev recursion on the CPU (numba).

One pass over the sites does the hopping (a table of neighbours with real amplitudes), the 2x2 coupling to
the local spin, the recursion and the moments, on eight columns in registers. Vectors lie as ``(N, 4, 8)``
float64: for each site the real and imaginary parts of spin up and of spin down, each eight columns wide, four
cache lines in all.

Sites are numbered by levels: the neighbours of a site lie in its own level or in the one before or after. So
several steps of the recursion run as a wave through the lattice, step k one level behind step k-1, in place
of ``alpha_{m-1}``: the vectors come from memory once in ``depth`` steps and from the cache otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from magsim.simd import LANES, fma, fnma, load, mul, splat, store, sub, total

OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
SITE = 4 * LANES  # numbers of one site


@njit(inline="always", **OPTIONS)
def _product(i: int, neighbours: Any, hopping: Any, onsite: Any, x: Any) -> Any:
    """``(H x)_i``; ``onsite`` holds H_uu, H_dd, Re H_ud and Im H_ud of the centred H."""
    o = SITE * i
    a, b, c, d = load(x, o), load(x, o + LANES), load(x, o + 2 * LANES), load(x, o + 3 * LANES)
    up, down = splat(onsite[i, 0]), splat(onsite[i, 1])
    real, imag = splat(onsite[i, 2]), splat(onsite[i, 3])
    p = fnma(imag, d, fma(real, c, mul(up, a)))
    q = fma(imag, c, fma(real, d, mul(up, b)))
    r = fma(imag, b, fma(real, a, mul(down, c)))
    s = fnma(imag, a, fma(real, b, mul(down, d)))
    for k in range(neighbours.shape[1]):
        n, t = SITE * np.int64(neighbours[i, k]), splat(hopping[i, k])
        p, q = fma(t, load(x, n), p), fma(t, load(x, n + LANES), q)
        r, s = fma(t, load(x, n + 2 * LANES), r), fma(t, load(x, n + 3 * LANES), s)
    return p, q, r, s


@njit(**OPTIONS)
def _forward_level(
    low: int, high: int, factor: float, neighbours: Any, hopping: Any, onsite: Any, x: Any, y: Any
) -> Any:
    """``y <- factor H x - y`` on sites low..high; returns ``|y|^2`` and ``Re <y|x>`` there."""
    square, overlap, scale = splat(0.0), splat(0.0), splat(factor)
    for i in range(low, high):
        p, q, r, s = _product(i, neighbours, hopping, onsite, x)
        o = SITE * i
        p, q = sub(mul(scale, p), load(y, o)), sub(mul(scale, q), load(y, o + LANES))
        r, s = sub(mul(scale, r), load(y, o + 2 * LANES)), sub(mul(scale, s), load(y, o + 3 * LANES))
        store(y, o, p)
        store(y, o + LANES, q)
        store(y, o + 2 * LANES, r)
        store(y, o + 3 * LANES, s)
        square = fma(s, s, fma(r, r, fma(q, q, fma(p, p, square))))
        overlap = fma(p, load(x, o), fma(q, load(x, o + LANES), overlap))
        overlap = fma(r, load(x, o + 2 * LANES), fma(s, load(x, o + 3 * LANES), overlap))
    return total(square), total(overlap)


@njit(**OPTIONS)
def forward(
    levels: Any, depth: int, neighbours: Any, hopping: Any, onsite: Any, b: float, vectors: Any, moments: Any
) -> None:
    """``alpha_{m+1} = 2 H~ alpha_m - alpha_{m-1}``, K steps, in place.

    Args:
        levels: ``(n_levels + 1,)`` first site of each level, and N.
        depth: steps in one wave.
        neighbours, hopping: ``(N, z)``; sites with fewer neighbours have amplitudes 0.
        onsite: ``(N, 4)`` H_uu, H_dd, Re H_ud, Im H_ud, centred.
        b: half the bandwidth.
        vectors: ``(2, N * 32)``: alpha_0 and zeros; at the end alpha_K lies in ``K % 2``, alpha_{K-1} in the
            other.
        moments: ``(K, 2)`` zeros; gets ``|alpha_{m+1}|^2`` and ``Re <alpha_{m+1}|alpha_m>``.
    """
    n_levels, steps = len(levels) - 1, len(moments)
    for first in range(0, steps, depth):
        many = min(depth, steps - first)
        for time in range(n_levels + many - 1):
            for k in range(max(0, time - n_levels + 1), min(many, time + 1)):
                m, level = first + k, time - k
                factor = (1.0 if m == 0 else 2.0) / b
                x, y = vectors[m % 2], vectors[(m + 1) % 2]
                low, high = levels[level], levels[level + 1]
                square, overlap = _forward_level(low, high, factor, neighbours, hopping, onsite, x, y)
                moments[m, 0] += square
                moments[m, 1] += overlap


@njit(inline="always", **OPTIONS)
def _correlate(i: int, weight: float, bar: Any, x: Any, density: Any) -> None:
    """Add ``weight`` times the Hermitian part of the on-site block of ``|x><bar|``: uu, dd, Re ud, Im ud."""
    o = SITE * i
    a, b, c, d = load(x, o), load(x, o + LANES), load(x, o + 2 * LANES), load(x, o + 3 * LANES)
    e, f, g, h = load(bar, o), load(bar, o + LANES), load(bar, o + 2 * LANES), load(bar, o + 3 * LANES)
    density[i, 0] += weight * total(fma(a, e, mul(b, f)))
    density[i, 1] += weight * total(fma(c, g, mul(d, h)))
    density[i, 2] += 0.5 * weight * total(fma(a, g, fma(b, h, fma(e, c, mul(f, d)))))
    density[i, 3] += 0.5 * weight * total(fnma(a, h, fnma(e, d, fma(b, g, mul(f, c)))))


@njit(**OPTIONS)
def _backward_level(
    low: int,
    high: int,
    factor: float,
    weights: Any,
    neighbours: Any,
    hopping: Any,
    onsite: Any,
    x: Any,
    y: Any,
    u: Any,
    v: Any,
    density: Any,
) -> None:
    """alpha_m (x), alpha_{m+1} (y) -> alpha_{m-1} in y; abar_{m+1} (u), abar_{m+2} (v) -> abar_m in v."""
    scale = splat(factor)
    p, q, r = splat(weights[0]), splat(weights[1]), splat(weights[2])
    for i in range(low, high):
        _correlate(i, factor, u, x, density)
        alpha = _product(i, neighbours, hopping, onsite, x)
        bar = _product(i, neighbours, hopping, onsite, u)
        for c in range(4):
            o = SITE * i + c * LANES
            later = load(y, o)
            earlier = sub(mul(scale, alpha[c]), later)
            source = fma(p, load(x, o), fma(q, later, mul(r, earlier)))
            store(v, o, fma(scale, bar[c], sub(source, load(v, o))))
            store(y, o, earlier)


@njit(**OPTIONS)
def backward(
    levels: Any,
    depth: int,
    neighbours: Any,
    hopping: Any,
    onsite: Any,
    b: float,
    weights: Any,
    vectors: Any,
    bars: Any,
    density: Any,
) -> None:
    """The gradient of ``E = sum_m p_m |alpha_m|^2 + q_m Re <alpha_{m+1}|alpha_m>`` by the adjoint recursion,

        abar_m = 2 p_m alpha_m + q_m alpha_{m+1} + q_{m-1} alpha_{m-1} + 2 H~ abar_{m+1} - abar_{m+2} ,

    while the alpha run backwards, ``alpha_{m-1} = 2 H~ alpha_m - alpha_{m+1}``: nothing is stored.

    Args:
        levels, depth, neighbours, hopping, onsite, b: as in :func:`forward`.
        weights: ``(K, 3)`` 2 p_m, q_m, q_{m-1}.
        vectors: ``(2, N * 32)`` alpha_K and alpha_{K-1} as :func:`forward` leaves them; at the end alpha_0 in
            0 and alpha_1 in 1.
        bars: ``(2, N * 32)`` work space.
        density: ``(N, 4)``; uu, dd, Re ud, Im ud of ``rho_ba = dE/dH_ab`` are added.
    """
    n_levels, last = len(levels) - 1, len(weights)
    bars[last % 2] = weights[last - 1, 1] * vectors[(last - 1) % 2]
    bars[(last - 1) % 2] = 0.0
    for first in range(last - 1, 0, -depth):
        many = min(depth, first)
        for time in range(n_levels + many - 1):
            for k in range(max(0, time - n_levels + 1), min(many, time + 1)):
                m, level = first - k, time - k
                low, high = levels[level], levels[level + 1]
                x, y = vectors[m % 2], vectors[(m + 1) % 2]
                u, v = bars[(m + 1) % 2], bars[m % 2]
                _backward_level(
                    low, high, 2.0 / b, weights[m], neighbours, hopping, onsite, x, y, u, v, density
                )
    for i in range(levels[n_levels]):
        _correlate(i, 1.0 / b, bars[1], vectors[0], density)
