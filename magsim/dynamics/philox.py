"""Normal numbers from a counter: Philox4x32-10 and Box-Muller, the same on every device.

Salmon, Moraes, Dror and Shaw, SC11, doi:10.1145/2063384.2063405. One block of four 32-bit words, from the
counter (site, 0, step, 0) under the key of a replica, makes the three normals of a site,

    z_0 + i z_1 = sqrt(-2 ln u_0) exp(2 pi i u_1) ,   z_2 = sqrt(-2 ln u_2) cos(2 pi u_3) ,

``u_0 = (w_0 + 1/2) / 2^32`` and ``u_1 = w_1 / 2^32`` of the words w: no normal exceeds 6.8, a deviation with
probability 1e-11. The CPU has them in a compiled loop, other devices in torch operations; they differ by
rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import extending, njit
from numba.core import types

OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
GENERATOR = "philox4x32-10, Box-Muller"
ROUNDS = 10
LOW = 0xFFFFFFFF
M0, M1 = 0xD2511F53, 0xCD9E8D57  # multipliers
W0, W1 = 0x9E3779B9, 0xBB67AE85  # what the key grows by in a round
WORD = 2.0**-32

# Horner, highest first: atanh(f)/f in f^2 up to f = .1716, sine and cosine in r^2 up to r = pi/4; to rounding
ATANH = np.array([1.0 / (2 * k + 1) for k in range(10, -1, -1)])
SINE = np.array([(-1) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1)])
COSINE = np.array([(-1) ** k / math.factorial(2 * k) for k in range(8, -1, -1)])


def words(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """The four words of a block, as int64; counters and keys are int64 tensors or numbers, all below 2^32. A
    product that passes 2^63 wraps, its bits are right."""
    for _ in range(ROUNDS):
        p, q = c0 * M0, c2 * M1
        c0, c1, c2, c3 = ((q >> 32) & LOW) ^ c1 ^ k0, q & LOW, ((p >> 32) & LOW) ^ c3 ^ k1, p & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3


def normals(
    keys: torch.Tensor, step: int | torch.Tensor, first: int | torch.Tensor, n_sites: int
) -> torch.Tensor:
    """``(R, 3, n_sites)`` float64 of the sites from ``first`` on, by torch operations where the keys lie.

    Args:
        keys: ``(R, 2)`` int64.
        step: a number, or an int64 ``()`` whose content a recorded graph reads anew.
        first: the same. In code that is to be compiled it must lie in a tensor: a number that is read keeps
            its 64 bits, an index that is only counted is made one of 32, which the products do not fit.
    """
    site = torch.arange(n_sites, dtype=torch.int64, device=keys.device) + first
    w = words(site, 0, step & LOW, step >> 32, keys[:, :1], keys[:, 1:])
    radius = [((w[k].double() + 0.5) * WORD).log().mul(-2.0).sqrt() for k in (0, 2)]
    angle = [w[k].double() * (2 * math.pi * WORD) for k in (1, 3)]
    parts = [radius[0] * angle[0].cos(), radius[0] * angle[0].sin(), radius[1] * angle[1].cos()]
    return torch.stack(parts, dim=1)


def _bits(kind: Any, llvm: Any) -> Any:
    """The same 64 bits as another type."""

    def function(typing: Any, a: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], llvm)

        return kind(a), code

    intrinsic: Any = extending.intrinsic
    return intrinsic(function)


_as_int = _bits(types.int64, ir.IntType(64))
_as_float = _bits(types.float64, ir.DoubleType())


@njit(forceinline=True, **OPTIONS)
def _radius(w: Any) -> Any:
    """``sqrt(-2 ln u)``: ln by exponent and mantissa m in [.707, 1.414), ``ln m = 2 atanh((m-1)/(m+1))``."""
    bits = _as_int((np.float64(np.int64(w)) + 0.5) * WORD)
    exponent = (bits >> 52) - 1023
    m = _as_float((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000)
    large = m > 1.4142135623730951
    m = 0.5 * m if large else m
    e = np.float64(exponent) + (1.0 if large else 0.0)
    f = (m - 1.0) / (m + 1.0)
    f2, series = f * f, ATANH[0]
    for k in range(1, len(ATANH)):
        series = series * f2 + ATANH[k]
    return math.sqrt(-2.0 * (e * 0.6931471805599453 + 2.0 * f * series))


@njit(forceinline=True, **OPTIONS)
def _direction(w: Any) -> Any:
    """``cos 2 pi u, sin 2 pi u``: the quadrant is exact, the rest within pi/4."""
    quadrant = (w + np.uint64(1 << 29)) >> np.uint64(30)
    r = np.float64(np.int64(w) - np.int64(quadrant << np.uint64(30))) * (2 * math.pi * WORD)
    r2, s, c = r * r, SINE[0], COSINE[0]
    for k in range(1, len(SINE)):
        s, c = s * r2 + SINE[k], c * r2 + COSINE[k]
    s = s * r
    odd, second = quadrant & np.uint64(1), (quadrant >> np.uint64(1)) & np.uint64(1)
    a, b = (s, c) if odd else (c, s)
    a = -a if odd != second else a
    b = -b if second else b
    return a, b


@njit(**OPTIONS)
def fill(
    key0: Any,
    key1: Any,
    step: Any,
    first: int,
    stride: int,
    count: int,
    scale: float,
    out: Any,
    o: int,
    plane: int,
) -> None:
    """``scale`` times the normals of the sites ``first, first + stride, ...`` into ``out[o:]``,
    ``out[o + plane:]`` and ``out[o + 2 plane:]``; key and step are uint64."""
    low, shift = np.uint64(LOW), np.uint64(32)
    x, y, z = out[o:], out[o + plane :], out[o + 2 * plane :]
    for j in range(count):
        c0, c1 = np.uint64(first + stride * j), np.uint64(0)
        c2, c3 = step & low, step >> shift
        k0, k1 = key0, key1
        for _ in range(ROUNDS):
            p, q = c0 * np.uint64(M0), c2 * np.uint64(M1)
            c0, c1, c2, c3 = (q >> shift) ^ c1 ^ k0, q & low, (p >> shift) ^ c3 ^ k1, p & low
            k0, k1 = (k0 + np.uint64(W0)) & low, (k1 + np.uint64(W1)) & low
        r = scale * _radius(c0)
        a, b = _direction(c1)
        x[j] = r * a
        y[j] = r * b
        z[j] = scale * _radius(c2) * _direction(c3)[0]


@njit(**OPTIONS)
def fill_rows(
    key0: Any, key1: Any, step: Any, low: int, high: int, grid: Any, n_basis: int, scale: float, out: Any
) -> None:
    """``scale`` times the normals of the sites of rows low..high, laid out as
    :class:`magsim.hamiltonian.stencil.Stencil` says."""
    length, start, width, plane, _, _ = grid
    for row in range(low, high):
        first = row // n_basis * length * n_basis + row % n_basis
        fill(key0, key1, step, first, n_basis, length, scale, out, row * width + start, plane)
