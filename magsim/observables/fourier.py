"""The wavevectors of a finite lattice and Fourier sums over its cells."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.tables import namespace


def wavevectors(lattice: Lattice) -> np.ndarray:
    """Wavevectors that fit on the lattice, reduced to the first Brillouin zone.

    q = sum_a (m_a / L_a) b_a with integers m_a, shifted by the reciprocal vector that makes |q| smallest.

    Returns:
        ``(*shape, d)`` in the order of the discrete Fourier transform (m = 0 first), units 1/a.
    """
    q = _unreduced(lattice)
    candidates = q[..., None, :] - _reciprocal_lattice(lattice, 2)
    # rounding makes the choice among equally short vectors on the zone boundary reproducible
    nearest = np.argmin(np.round(np.linalg.norm(candidates, axis=-1), 9), axis=-1)
    return np.take_along_axis(candidates, nearest[..., None, None], axis=-2)[..., 0, :]


def _unreduced(lattice: Lattice) -> np.ndarray:
    fractions = [np.arange(n) / n for n in lattice.shape]
    return np.stack(np.meshgrid(*fractions, indexing="ij"), axis=-1) @ lattice.reciprocal


def _reciprocal_lattice(lattice: Lattice, reach: int) -> np.ndarray:
    """``(n, d)`` reciprocal lattice vectors with indices up to ``reach``, zero included."""
    return np.array(list(product(range(-reach, reach + 1), repeat=lattice.dim))) @ lattice.reciprocal


def shortest_steps(lattice: Lattice) -> np.ndarray:
    """``(n, d)`` integer steps between neighbouring wavevectors of the lattice, only the shortest ones."""
    ranges = [(0,) if n == 1 else (-1, 0, 1) for n in lattice.shape]
    steps = np.array([s for s in product(*ranges) if any(s)], dtype=np.int64).reshape(-1, lattice.dim)
    if len(steps) == 0:
        return steps
    length = np.linalg.norm(steps / np.array(lattice.shape) @ lattice.reciprocal, axis=1)
    return steps[length < length.min() * (1 + 1e-9)]


def linear_size(lattice: Lattice) -> float:
    """(volume)^(1/d) of the finite lattice: the largest length it can resolve."""
    volume = lattice.n_cells * abs(np.linalg.det(lattice.vectors))
    return float(volume ** (1.0 / lattice.dim))


def cell_transform(lattice: Lattice, values: Any) -> Any:
    """A(q) = sum_R values(R) exp(-i q . R) over the cells R.

    Args:
        values: ``(..., n_cells, n)``.

    Returns:
        complex ``(..., *shape, n)``, order of :func:`wavevectors`.
    """
    grid = values.reshape(*values.shape[:-2], *lattice.shape, values.shape[-1])
    axes = tuple(range(-1 - lattice.dim, -1))
    return namespace(values).fft.fftn(grid, None, axes)


def squared(amplitude: Any) -> Any:
    """|z|^2 without the square root of ``abs``."""
    return amplitude.real**2 + amplitude.imag**2
