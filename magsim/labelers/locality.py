"""Nearsightedness: how much of a torque is decided by spins further away than a radius.

The floor at radius R is what no function of the spins within R can be better than: the standard deviation
of the torque of a site given those spins,

    floor(R)^2 = < Var(F_perp(0) | S_j, |r_j| <= R) > ,

per Cartesian component, the mean over what lies inside. It decreases with R; that electrons at T > 0 or with
a gap make it do so fast is the nearsightedness of W. Kohn (Phys. Rev. Lett. 76, 3168,
doi:10.1103/PhysRevLett.76.3168; Prodan and Kohn, PNAS 102, 11635, doi:10.1073/pnas.0505436102).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magsim.errors import ConfigError
from magsim.labelers.labels import Labeler
from magsim.lattice import Lattice
from magsim.spins import transverse

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Floor:
    """The floor of one radius and its statistical error (one standard deviation), in units of the hopping.

    Attributes:
        radius: R, in nearest-neighbour distances.
        inside: number of spins within R, the site itself included.
        floor: rms per Cartesian component: the rmse that no model of this radius falls below.
        error: of the floor.
        typical: mean over the insides of their standard deviations; below the floor where a few insides are
            much worse than the rest.
    """

    radius: float
    inside: int
    floor: float
    error: float
    typical: float


def central_site(lattice: Lattice) -> int:
    """The site nearest to the middle; on a periodic lattice as good as any other of its sublattice."""
    offset = np.linalg.norm(lattice.positions - lattice.positions.mean(axis=0), axis=1)
    return int(np.argmin(np.round(offset / TOLERANCE)))


def reach(lattice: Lattice) -> float:
    """Half the shortest periodic side (distance of opposite faces): further out, images of a site meet.

    Without periodic axes, the distance from the central site to the nearest face of the sample.
    """
    faces = 2 * np.pi * np.array(lattice.shape) / np.linalg.norm(lattice.reciprocal, axis=1)
    periodic = np.array(lattice.periodic)
    return float((faces[periodic] if periodic.any() else faces).min() / 2)


def shell_radii(lattice: Lattice) -> list[float]:
    """Distances of all neighbour shells of the central site that are shorter than :func:`reach`."""
    sublattice = int(lattice.sublattice[central_site(lattice)])
    distances = np.linalg.norm(lattice.offsets_within(reach(lattice), sublattice)[2], axis=1)  # ascending
    first = np.diff(distances, prepend=0.0) > TOLERANCE
    return [float(d) for d in distances[first] if d < reach(lattice) - TOLERANCE]


def within(lattice: Lattice, site: int, radius: float) -> np.ndarray:
    """``(N,)`` mask of the sites no further than ``radius`` from ``site``, itself included."""
    sublattice = int(lattice.sublattice[site])
    offsets, basis, _ = lattice.offsets_within(radius, sublattice)
    near = lattice.site_index(lattice.cells[site // lattice.n_basis] + offsets, basis)
    mask = np.zeros(lattice.n_sites, dtype=bool)
    mask[[site, *near[near >= 0]]] = True
    return mask


def torque_variance(
    labeler: Labeler, site: int, inside: np.ndarray, spins: np.ndarray, others: np.ndarray
) -> tuple[float, float]:
    """Variance of the torque of a site over what lies outside, given what lies inside.

    Args:
        labeler: solves the electrons; one solution for each of ``others``.
        site: index of the site.
        inside: ``(N,)`` mask of the spins that stay, the site among them.
        spins: ``(N, 3)`` where those are taken from.
        others: ``(K, N, 3)`` where the rest is taken from, K >= 2 independent configurations.

    Returns:
        the unbiased variance per Cartesian component of the transverse field of the site, and the largest
        estimated error of the labels.

    Raises:
        ConfigError: fewer than two configurations.
    """
    if len(others) < 2:
        raise ConfigError("task.outsides", len(others), "a variance needs at least 2.")
    mixed = np.where(inside[None, :, None], spins[None], others)
    labels = labeler.label(mixed)
    torque = transverse(labels.field[:, site], mixed[:, site])
    return float(torque.var(axis=0, ddof=1).mean()), float(np.max(labels.error))


def summarise(radius: float, inside: np.ndarray, variances: Sequence[float]) -> Floor:
    """The floor from the variances of independent insides: the root of their mean, with its error.

    The error of the mean is taken from the scatter among the insides, which contains that of the finite
    number of outsides; the root halves its relative size.
    """
    values = np.asarray(variances, dtype=float)
    mean = float(values.mean())
    spread = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    floor = float(np.sqrt(mean))
    error = spread / (2 * floor) if floor > 0 else 0.0
    return Floor(radius, int(inside.sum()), floor, error, float(np.sqrt(values).mean()))


def sufficient_radius(floors: Sequence[Floor], limit: float) -> float | None:
    """The smallest radius from which on every floor is below ``limit``; None if the largest is not enough."""
    found = None
    for entry in sorted(floors, key=lambda entry: -entry.radius):
        if entry.floor > limit:
            break
        found = entry.radius
    return found
