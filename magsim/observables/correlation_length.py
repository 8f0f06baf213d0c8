"""Correlation lengths from the structure factor.

Two estimators, because one frame and an average need different ones. In a single frame S(q) fluctuates from
mode to mode by as much as its mean, and the highest mode of a broad peak is mostly luck: the second-moment
length then reads about a third of the lattice whatever the truth. The correlation volume sums over all modes
and does not have this floor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.domains import chirality_structure_factor
from magsim.observables.fourier import linear_size, shortest_steps
from magsim.observables.structure_factor import sublattice_structure_factor
from magsim.observables.tables import is_torch, namespace, table

# integral of exp(-2 r / xi) over d dimensions in units of xi^d
EXPONENTIAL_VOLUME = {1: 1.0, 2: np.pi / 2, 3: np.pi}


def correlation_volume_length(lattice: Lattice, structure_factor: Any) -> Any:
    """Correlation length from the correlation volume; the choice for single frames.

    V_c = int C(r)^2 dr = V sum_q S(q)^2 / (sum_q S(q))^2 with C(0) = 1, and xi from V_c as for C(r) =
    exp(-r/xi): xi = V_c, (2 V_c/pi)^1/2, (V_c/pi)^1/3 in one, two, three dimensions. Blind to where the peak
    is. Order with several equal peaks counts as 1/n of the volume (1/3 in the tetrahedral phase). In a single
    frame the fluctuations of S(q) raise V_c by the factor 1 + 1/n for n fluctuating components of the field
    (4/3 for isotropic spins, 2 for a scalar), a constant of no consequence for growth laws.

    Args:
        structure_factor: ``(..., *shape)`` periodic in the reciprocal lattice.

    Returns:
        ``(...)`` in lattice constants; of the order of the linear size of the lattice for perfect order, of a
        cell for random spins.
    """
    flat = structure_factor.reshape(*structure_factor.shape[: -lattice.dim], -1)
    total = flat.sum(-1)
    volume = linear_size(lattice) ** lattice.dim * (flat * flat).sum(-1) / (total * total + (total == 0))
    return (volume / EXPONENTIAL_VOLUME[lattice.dim]) ** (1.0 / lattice.dim)


def second_moment_length(lattice: Lattice, structure_factor: Any) -> Any:
    """Correlation length from the curvature of an averaged S(q) at its peak Q.

    xi = (1/|k|) sqrt( S(Q) / S(Q+k) - 1 ), with S(Q+k) averaged over the shortest steps k of the wavevector
    grid. Exact for S(q) = S(Q) / (1 + xi^2 |q-Q|^2). Average S(q) over frames or replicas first: a single
    frame has a noise floor near a third of the lattice. Ends at the linear size (volume)^(1/d) of the
    lattice, which perfect order reports. Source: Cooper, Freedman and Preston, Nucl. Phys. B 210, 210 (1982),
    doi:10.1016/0550-3213(82)90240-1.

    Args:
        structure_factor: ``(..., *shape)`` periodic in the reciprocal lattice, FFT order.

    Returns:
        ``(...)`` in lattice constants.

    Raises:
        ConfigError: the lattice has a single cell.
    """
    steps = shortest_steps(lattice)
    if len(steps) == 0:
        raise ConfigError(
            "lattice.shape", list(lattice.shape), "one cell has no wavevector to measure a length."
        )
    k = float(np.linalg.norm(steps[0] / np.array(lattice.shape) @ lattice.reciprocal))
    flat = structure_factor.reshape(*structure_factor.shape[: -lattice.dim], -1)
    near = table(lattice, "q neighbours", _neighbours, flat)
    peak = flat.argmax(-1)
    top = _take(flat, peak[..., None])[..., 0]
    beside = _take(flat, near[peak]).mean(-1)
    # a smaller S(Q+k) means a length beyond the lattice; keeps perfect order from dividing by zero
    beside = namespace(flat).maximum(beside, top / (1 + (k * linear_size(lattice)) ** 2))
    ratio = top / (beside + (top == 0))
    return (ratio - 1).clip(min=0) ** 0.5 / k


def _neighbours(lattice: Lattice) -> np.ndarray:
    """``(n_q, n_steps)`` flat index of the wavevectors next to each one."""
    m = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.shape), indexing="ij"), axis=-1)
    shifted = (m.reshape(-1, 1, lattice.dim) + shortest_steps(lattice)) % np.array(lattice.shape)
    return np.ravel_multi_index(tuple(np.moveaxis(shifted, -1, 0)), lattice.shape)


def _take(values: Any, index: Any) -> Any:
    if is_torch(values):
        return values.gather(-1, index)
    return namespace(values).take_along_axis(values, index, -1)


def correlation_length(lattice: Lattice, spins: Any) -> Any:
    """Spin correlation length of every frame.

    :func:`correlation_volume_length` of the sublattice structure factor.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)`` in lattice constants.
    """
    return correlation_volume_length(lattice, sublattice_structure_factor(lattice, spins))


def chirality_correlation_length(lattice: Lattice, spins: Any) -> Any:
    """Correlation length of the scalar chirality of every frame.

    :func:`correlation_volume_length` of its structure factor.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)`` in lattice constants; 0 where no triangle has a chirality.
    """
    return correlation_volume_length(lattice, chirality_structure_factor(lattice, spins))
