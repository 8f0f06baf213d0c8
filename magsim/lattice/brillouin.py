"""Brillouin zones and the paths through their symmetry points."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

GAMMA = "Γ"


@dataclass(frozen=True, eq=False)
class SymmetryPath:
    """Wavevectors along straight lines between named points.

    Attributes:
        k: ``(M, d)`` wavevectors.
        distance: ``(M,)`` length of the path so far.
        names: of the points at which it turns, and
        ticks: ``(len(names),)`` their distances.
    """

    k: np.ndarray
    distance: np.ndarray
    names: tuple[str, ...]
    ticks: np.ndarray


def reciprocal_vectors(vectors: np.ndarray) -> np.ndarray:
    """``(d, d)`` rows b_j with ``a_i . b_j = 2 pi delta_ij``."""
    return 2 * np.pi * np.linalg.inv(vectors).T


def zone_corners(vectors: np.ndarray) -> np.ndarray:
    """``(n, 2)`` corners of the first Brillouin zone of a plane lattice with rows ``vectors``, in order of
    their angle."""
    from scipy.spatial import Voronoi

    points = np.array(list(product(range(-3, 4), repeat=2))) @ reciprocal_vectors(vectors)
    cells = Voronoi(points)
    corners = cells.vertices[cells.regions[cells.point_region[len(points) // 2]]]
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    doubled = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1) < 1e-9 * np.abs(corners).max()
    return corners[~doubled]


def symmetry_points(vectors: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The turning points of the usual path through the zone of a lattice, by its shape.

    Line: Γ X. Square: Γ X M Γ. Hexagonal: Γ M K Γ. Rectangular: Γ X S Y Γ. Other plane lattices: Γ to the
    middle of an edge (Y), a corner (C) and back. Cubic and other orthogonal ones: Γ X M Γ R. Other lattices
    in space: from Γ to multiples of half the reciprocal vectors, written as fractions.
    """
    b = reciprocal_vectors(vectors)
    dim = len(b)
    zero = np.zeros(dim)
    if dim == 1:
        return [(GAMMA, zero), ("X", b[0] / 2)]
    if dim == 3:
        half = [b[0] / 2, (b[0] + b[1]) / 2, b.sum(axis=0) / 2]
        gram = b @ b.T
        right = np.abs(gram - np.diag(np.diag(gram))).max() < 1e-9 * gram.max()
        names = ("X", "M", "R") if right else ("½00", "½½0", "½½½")
        return [
            (GAMMA, zero),
            (names[0], half[0]),
            (names[1], half[1]),
            (GAMMA, zero),
            (names[2], half[2]),
        ]
    corners = zone_corners(vectors)
    middles = (corners + np.roll(corners, -1, axis=0)) / 2
    # the edge whose middle is nearest to the x axis, and its corner on the side of positive angles
    edge = int(np.argmin(np.abs(np.arctan2(middles[:, 1], middles[:, 0]) - 1e-3)))
    middle, corner = middles[edge], corners[(edge + 1) % len(corners)]
    regular = (
        np.ptp(np.linalg.norm(corners, axis=1)) < 1e-6 and np.ptp(np.linalg.norm(middles, axis=1)) < 1e-6
    )
    if len(corners) == 6:
        edge_name, corner_name = ("M", "K") if regular else ("Y", "C")
        return [(GAMMA, zero), (edge_name, middle), (corner_name, corner), (GAMMA, zero)]
    if regular:
        return [(GAMMA, zero), ("X", middle), ("M", corner), (GAMMA, zero)]
    other = middles[(edge + 1) % 4]
    return [(GAMMA, zero), ("X", middle), ("S", corner), ("Y", other), (GAMMA, zero)]


def symmetry_path(vectors: np.ndarray, points: int = 240) -> SymmetryPath:
    """About ``points`` equally spaced wavevectors along the lines between the symmetry points."""
    turns = symmetry_points(vectors)
    lengths = [float(np.linalg.norm(q - p)) for (_, p), (_, q) in pairwise(turns)]
    total = sum(lengths)
    k, distance, ticks = [turns[0][1][None]], [np.zeros(1)], [0.0]
    for ((_, start), (_, end)), length in zip(pairwise(turns), lengths, strict=True):
        steps = max(2, round(points * length / total))
        share = np.arange(1, steps + 1)[:, None] / steps
        k.append(start + share * (end - start))
        distance.append(ticks[-1] + share[:, 0] * length)
        ticks.append(ticks[-1] + length)
    names = tuple(name for name, _ in turns)
    return SymmetryPath(np.concatenate(k), np.concatenate(distance), names, np.array(ticks))
