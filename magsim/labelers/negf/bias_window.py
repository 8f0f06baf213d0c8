"""Real energies at which the occupation of a lead differs from that of the bath."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from magsim.labelers.negf.leads import Lead

PANEL = 12  # Gauss-Legendre points of a panel
LONGEST = 32  # panels, in units of the narrowest half width
COARSEST = 16  # step of the trapezoidal rule, likewise: no level is missed by two steps in a row
SHARP = 0.25  # pi T below so many half widths: f is a step
NARROWEST = 2e-3  # half width that is looked for where there is no bath
FASTEST = 1.6  # power by which errors are taken to fall from one level to the next, at most


@dataclass(frozen=True, eq=False)
class Nodes:
    """``int dE/(2 pi) (f_l - f_b) Q(E) = keep * (sum of the level before) + sum_p w_p Q(E_p)``."""

    energies: np.ndarray
    weights: np.ndarray
    keep: float


def bias_levels(lead: Lead, accuracy: float, tail: float) -> Iterator[Nodes]:
    """Finer and finer rules for the window of one lead.

    With wide bands at T > 0 the integrand is analytic in a strip around the real axis and falls off at both
    ends: the trapezoidal rule with step h errs by ``exp(-2 pi d/h)``, where d is the least of pi T and of the
    half widths of the levels that count (>= Gamma_b/2); each level halves h and keeps what the one before has
    solved. Where f is a step, or nearly one, and where bands have edges: composite Gauss-Legendre, finer
    around the chemical potentials, each level with twice as many panels; at a band edge ``E - E_0 = s^2``
    takes the square root away.

    Args:
        lead: whose occupation it is.
        accuracy: of the integral, roughly.
        tail: occupations below are left out.
    """
    strip, bath = lead.strip, lead.strip.chemical_potentials[2]
    low, high = min(lead.mu, bath), max(lead.mu, bath)
    if low == high:
        return
    beyond, smooth = strip.T * math.log(1 / tail), math.pi * strip.T
    width = max(0.5 * strip.gamma_bath, NARROWEST)
    if strip.leads == "wide_band" and smooth > SHARP * width:
        # the third level is what f needs, where no level is narrower
        step = min(4 * FASTEST * math.pi * smooth / math.log(1 / accuracy), COARSEST * width)
        yield from _trapezoidal(lead, low - beyond, high + beyond, step)
        return
    yield from _legendre(lead, _pieces(lead, low, high, beyond, width, min(width, smooth or width)))


def remaining(lead: Lead, change: np.ndarray, before: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Estimated error of a level, ``4 scale (change/scale)^p``; beside band edges the change itself.

    Errors fall exponentially with the number of points, so that twice as many square them; less fast where
    the levels of the system have many widths. So p is measured, on three levels, and not trusted above 1.6.
    A resonance on an edge of a band is as narrow as it likes, and then no p can be trusted.

    Args:
        lead: whose window it is.
        change: ``(B,)`` difference to the level before.
        before: ``(B,)`` the same of the level before.
        scale: ``(B,)`` size of the integral.
    """
    if lead.strip.leads != "wide_band":
        return change
    relative, earlier = (np.clip(values / scale, 1e-16, 0.999) for values in (change, before))
    power = np.clip(np.log(relative) / np.log(earlier), 1.0, FASTEST)
    return 4 * scale * relative**power


def _weight(lead: Lead, energies: np.ndarray) -> np.ndarray:
    """``(f_l - f_b)/(2 pi)``."""
    strip = lead.strip

    def fermi(mu: float) -> np.ndarray:
        if strip.T == 0:
            return (energies < mu).astype(float)
        return 0.5 * (1 - np.tanh((energies - mu) / (2 * strip.T)))

    return (fermi(lead.mu) - fermi(strip.chemical_potentials[2])) / (2 * math.pi)


def _trapezoidal(lead: Lead, low: float, high: float, step: float) -> Iterator[Nodes]:
    count = max(4, math.ceil((high - low) / step))
    step = (high - low) / count
    energies, keep = low + step * np.arange(count + 1), 0.0
    while True:
        yield Nodes(energies, step * _weight(lead, energies), keep)
        energies, keep = low + step * (np.arange(count) + 0.5), 0.5
        step, count = step / 2, 2 * count


@dataclass(frozen=True)
class _Piece:
    """An interval, whether there is a band edge at its ends, and how wide its narrowest structure is."""

    start: float
    stop: float
    edge_at_start: bool
    edge_at_stop: bool
    width: float


def _pieces(lead: Lead, low: float, high: float, tail: float, width: float, sharp: float) -> list[_Piece]:
    """The window, cut at band edges and where f stops to vary."""
    edges = np.union1d(lead.band_edges, lead.other.band_edges)
    edges = edges[(edges > low - tail) & (edges < high + tail)]
    flat = (low + tail, high - tail) if low + tail < high - tail else ()
    bounds = np.unique([low - tail, *flat, high + tail, *edges])
    return [
        _Piece(a, b, a in edges, b in edges, width if flat and flat[0] <= a and b <= flat[1] else sharp)
        for a, b in pairwise(bounds)
    ]


def _legendre(lead: Lead, pieces: list[_Piece]) -> Iterator[Nodes]:
    panels = 1
    while True:
        rules = [_rule(piece, panels) for piece in pieces]
        energies, weights = (np.concatenate(column) for column in zip(*rules, strict=True))
        yield Nodes(energies, weights * _weight(lead, energies), 0.0)
        panels *= 2


def _rule(piece: _Piece, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Composite Gauss-Legendre with square roots at band edges taken away."""
    length = piece.stop - piece.start
    panels = factor * math.ceil(length / (LONGEST * piece.width))
    x, w = np.polynomial.legendre.leggauss(PANEL)
    s = ((np.arange(panels)[:, None] + 0.5 * (x + 1)) / panels).ravel()
    ds = np.tile(0.5 * w / panels, panels)
    # E = start + length p(s) with p' = 0 at band edges
    if piece.edge_at_start and piece.edge_at_stop:
        p, slope = s * s * (3 - 2 * s), 6 * s * (1 - s)
    elif piece.edge_at_start:
        p, slope = s * s, 2 * s
    elif piece.edge_at_stop:
        p, slope = 1 - (1 - s) ** 2, 2 * (1 - s)
    else:
        p, slope = s, np.ones_like(s)
    return piece.start + length * p, length * slope * ds
