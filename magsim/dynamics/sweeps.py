"""One stage of an integrator as one pass over the rows of a lattice (numba): neighbours, field, and motion of
eight spins at a time, all in registers.

Every sweep sees the spins ``s`` at the start of the step, the spins ``x`` that make the field, the thermal
field ``h`` (empty at T = 0), and something of its own that it keeps in ``kept`` from stage to stage; it
writes the spins of the next stage to ``out``. ``llg`` holds damping and sense. The formulae are those of the
integrators of the same names, which say where they come from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from magsim.hamiltonian.stencil import OPTIONS, close_row, local_field
from magsim.simd import LANES, largest, load, rint, splat, sqrt, store

INLINE = {**OPTIONS, "forceinline": True}
PI_HIGH, PI_LOW = 3.141592653589793, 1.2246467991473532e-16  # pi to twice the digits
TINY = 1e-300
# Taylor coefficients in r^2, highest first: exact to rounding for r up to pi/2
SINE = np.array([(-1) ** k / math.factorial(2 * k + 1) for k in range(11, -1, -1)])
COSINE = np.array([(-1) ** k / math.factorial(2 * k) for k in range(11, -1, -1)])


@njit(**INLINE)
def _at(x: Any, o: int, plane: int) -> Any:
    return load(x, o), load(x, o + plane), load(x, o + 2 * plane)


@njit(**INLINE)
def _put(x: Any, o: int, plane: int, v: Any) -> None:
    store(x, o, v[0])
    store(x, o + plane, v[1])
    store(x, o + 2 * plane, v[2])


@njit(**INLINE)
def _dot(a: Any, b: Any) -> Any:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(**INLINE)
def _cross(a: Any, b: Any) -> Any:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(**INLINE)
def _sum(p: Any, a: Any, q: Any, b: Any) -> Any:
    """``p a + q b``."""
    return p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]


@njit(**INLINE)
def _unit(a: Any) -> Any:
    scale = 1.0 / sqrt(_dot(a, a))
    return scale * a[0], scale * a[1], scale * a[2]


@njit(**INLINE)
def _force(row: int, j: int, o: int, plane: int, terms: Any, x: Any, h: Any, unit: Any) -> Any:
    """Part of F + h perpendicular to the spins ``unit`` that stand at ``o`` of x."""
    f = local_field(row, j, plane, terms, x, unit[0], unit[1], unit[2])
    if len(h):
        f = _sum(1.0, f, 1.0, _at(h, o, plane))
    return _sum(1.0, f, splat(0.0) - _dot(f, unit), unit)


@njit(**INLINE)
def _cayley(s: Any, b: Any) -> Any:
    b2, bs = _dot(b, b), _dot(b, s)
    turned = _sum(1.0 - b2, s, 2.0 * bs, b)
    turned = _sum(1.0, turned, 2.0, _cross(s, b))
    scale = 1.0 / (1.0 + b2)
    return scale * turned[0], scale * turned[1], scale * turned[2]


@njit(**INLINE)
def _sinc_cosine(x: Any) -> Any:
    """``sin(x)/x`` and ``cos(x)`` for x >= 0, both with the sign of ``cos(k pi)``, k = round(x/pi): it drops
    out of the products of two that a rotation is made of."""
    k = rint(x / PI_HIGH)
    r = (x - PI_HIGH * k) - PI_LOW * k
    r2 = r * r
    sine, cosine = splat(SINE[0]), splat(COSINE[0])
    for i in range(1, len(SINE)):
        sine, cosine = sine * r2 + SINE[i], cosine * r2 + COSINE[i]
    return sine * ((r + TINY) / (x + TINY)), cosine


@njit(**INLINE)
def _turn(s: Any, w: Any) -> Any:
    half = 0.5 * sqrt(_dot(w, w))
    sinc, cosine = _sinc_cosine(half)
    sine = half * sinc
    turned = _sum(cosine * cosine - sine * sine, s, sinc * cosine, _cross(s, w))
    return _sum(1.0, turned, 0.5 * sinc * sinc * _dot(s, w), w)


@njit(**OPTIONS)
def runge_kutta(
    low: int, high: int, grid: Any, terms: Any, llg: Any, c: Any, s: Any, x: Any, h: Any, kept: Any, out: Any
) -> float:
    """``k = f(x)``, ``out = |s + c0 kept + c1 k|``, ``kept <- c2 kept + c3 k``."""
    length, start, width, plane, _, _ = grid
    for row in range(low, high):
        for j in range(0, length, LANES):
            o = row * width + start + j
            unit = _at(x, o, plane)
            f = _force(row, j, o, plane, terms, x, h, unit)
            k = _sum(llg[0], f, llg[1], _cross(unit, f))
            before = _at(kept, o, plane)
            moved = _sum(1.0, _at(s, o, plane), 1.0, _sum(c[0], before, c[1], k))
            _put(out, o, plane, _unit(moved))
            _put(kept, o, plane, _sum(c[2], before, c[3], k))
        close_row(row, grid, out)
    return 0.0


@njit(**OPTIONS)
def semi_implicit(
    low: int, high: int, grid: Any, terms: Any, llg: Any, c: Any, s: Any, x: Any, h: Any, kept: Any, out: Any
) -> float:
    """``t`` = s turned by the Cayley form of ``c0 A(x)``, ``out = |c1 s + t|``."""
    length, start, width, plane, _, _ = grid
    for row in range(low, high):
        for j in range(0, length, LANES):
            o = row * width + start + j
            unit, spin = _at(x, o, plane), _at(s, o, plane)
            f = _force(row, j, o, plane, terms, x, h, unit)
            b = _sum(c[0] * llg[1], f, -c[0] * llg[0], _cross(unit, f))
            _put(out, o, plane, _unit(_sum(c[1], spin, 1.0, _cayley(spin, b))))
        close_row(row, grid, out)
    return 0.0


@njit(**OPTIONS)
def rotation(
    low: int, high: int, grid: Any, terms: Any, llg: Any, c: Any, s: Any, x: Any, h: Any, kept: Any, out: Any
) -> float:
    """``out`` = s turned by ``c0 kept + c1 A(x)``, ``kept <- A(x)``."""
    length, start, width, plane, _, _ = grid
    for row in range(low, high):
        for j in range(0, length, LANES):
            o = row * width + start + j
            unit = _at(x, o, plane)
            f = _force(row, j, o, plane, terms, x, h, unit)
            a = _sum(llg[1], f, -llg[0], _cross(unit, f))
            w = _sum(c[0], _at(kept, o, plane), c[1], a)
            _put(out, o, plane, _unit(_turn(_at(s, o, plane), w)))
            _put(kept, o, plane, a)
        close_row(row, grid, out)
    return 0.0


@njit(**OPTIONS)
def midpoint(
    low: int, high: int, grid: Any, terms: Any, llg: Any, c: Any, s: Any, x: Any, h: Any, kept: Any, out: Any
) -> float:
    """``t`` = s turned by the Cayley form of ``c0 A(x)/|s + kept|``, ``out = |s + t|``, ``kept <- t``.

    Returns:
        the largest change of ``kept``.
    """
    length, start, width, plane, _, _ = grid
    change, inside = 0.0, np.zeros(LANES)
    for row in range(low, high):
        for j in range(0, length, LANES):
            o = row * width + start + j
            unit, spin, before = _at(x, o, plane), _at(s, o, plane), _at(kept, o, plane)
            f = _force(row, j, o, plane, terms, x, h, unit)
            total = _sum(1.0, spin, 1.0, before)
            scale = c[0] / sqrt(_dot(total, total))
            turned = _cayley(spin, _sum(scale * llg[1], f, -llg[0] * scale, _cross(unit, f)))
            for lane in range(LANES):
                inside[lane] = 1.0 if j + lane < length else 0.0  # the halo is not counted
            moved = _sum(1.0, turned, -1.0, before)
            for component in moved:
                change = max(change, largest(load(inside, 0) * component))
            _put(kept, o, plane, turned)
            _put(out, o, plane, _unit(_sum(1.0, spin, 1.0, turned)))
        close_row(row, grid, out)
    return change


@njit(**OPTIONS)
def unit(low: int, high: int, grid: Any, x: Any, out: Any) -> None:
    """``out = |x|``."""
    length, start, width, plane, _, _ = grid
    for row in range(low, high):
        for j in range(0, length, LANES):
            o = row * width + start + j
            _put(out, o, plane, _unit(_at(x, o, plane)))
        close_row(row, grid, out)
