"""Peaks of the structure factor: where order is, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from magsim.lattice import Lattice
from magsim.lattice.brillouin import symmetry_points
from magsim.observables.fourier import shortest_steps, wavevectors


@dataclass(frozen=True)
class Peak:
    """A local maximum of S(q).

    Attributes:
        q: wavevector ``(d,)`` in the first Brillouin zone, 1/a.
        intensity: S(q), mean over frames.
        weight: its share of the sum of S over all wavevectors; those of perfect order add up to 1.
        name: of the symmetry point that it lies at, or empty.
    """

    q: tuple[float, ...]
    intensity: float
    weight: float
    name: str

    @property
    def wavenumber(self) -> float:
        """|q| in 1/a."""
        return float(np.linalg.norm(self.q))


def structure_factor_peaks(
    lattice: Lattice, structure_factor: np.ndarray, count: int = 6, least: float = 0.05
) -> list[Peak]:
    """Largest local maxima of S(q), the largest first.

    A maximum is above all wavevectors next to it on the grid of the lattice (equal neighbours count once).

    Args:
        structure_factor: ``(..., *shape)`` periodic in the reciprocal lattice, order of the discrete Fourier
            transform; averaged over the leading axes. S(q) and S(-q) are both listed.
        count: at most so many.
        least: of the intensity of the largest, for another to be listed.
    """
    values = np.asarray(structure_factor, dtype=float).reshape(-1, *lattice.shape).mean(axis=0)
    highest = np.ones(values.shape, dtype=bool)
    for step in product((-1, 0, 1), repeat=lattice.dim):
        if any(step) and all(n > 1 or s == 0 for n, s in zip(lattice.shape, step, strict=True)):
            beside = np.roll(values, step, axis=tuple(range(lattice.dim)))
            # of equal neighbours one counts, whatever the rounding
            forward = step > (0,) * lattice.dim
            highest &= values > beside * (1 + 1e-9) if forward else values >= beside * (1 - 1e-9)
    flat, q = values.reshape(-1), wavevectors(lattice).reshape(-1, lattice.dim)
    found = np.nonzero(highest.reshape(-1) & (flat >= least * flat.max()) & (flat > 0))[0]
    found = found[np.argsort(-np.round(flat[found] / flat.max(), 9), kind="stable")][:count]
    return [
        Peak(
            tuple(float(x) for x in q[k]),
            float(flat[k]),
            float(flat[k] / flat.sum()),
            symmetry_name(lattice, q[k]),
        )
        for k in found
    ]


def symmetry_name(lattice: Lattice, q: np.ndarray) -> str:
    """Name of the symmetry point (or of one equivalent by symmetry) within half a step of the wavevectors."""
    steps = shortest_steps(lattice)
    if len(steps) == 0:
        return ""
    half = np.linalg.norm(steps[0] / np.array(lattice.shape) @ lattice.reciprocal) / 2
    shifts = np.array(list(product(range(-1, 2), repeat=lattice.dim))) @ lattice.reciprocal
    images = np.linalg.norm(q - shifts, axis=1)
    for name, point in symmetry_points(lattice.vectors):
        # all members of the star have the distances of the point from the reciprocal lattice
        distances = np.sort(np.linalg.norm(point - shifts, axis=1))[: lattice.dim + 1]
        if np.abs(np.sort(images)[: lattice.dim + 1] - distances).max() < half:
            return name
    return ""
