"""Averages of a structure factor over directions, for growth, scaling and Porod tails."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.fourier import shortest_steps, wavevectors
from magsim.observables.tables import namespace, table


def radial_wavenumbers(lattice: Lattice) -> np.ndarray:
    """``(n,)`` mean |q| of the rings of :func:`radial_average`, zero first, in 1/a."""
    order, edges = _rings(lattice)
    q = _lengths(lattice)[order]
    return np.add.reduceat(q, edges[:-1]) / np.diff(edges)


def radial_average(lattice: Lattice, structure_factor: Any) -> Any:
    """Mean of S(q) over rings of wavenumbers, one shortest step of the wavevectors wide.

    q = 0 is a ring of its own. Rings end where the circle leaves the first Brillouin zone.

    Args:
        structure_factor: ``(..., *shape)``, order of the discrete Fourier transform.

    Returns:
        ``(..., n)`` at :func:`radial_wavenumbers`.
    """
    flat = structure_factor.reshape(*structure_factor.shape[: -lattice.dim], -1)
    xp = namespace(flat)
    order = table(lattice, "radial order", lambda crystal: _rings(crystal)[0], flat)
    edges = table(lattice, "radial edges", lambda crystal: _rings(crystal)[1], flat)
    # sums over rings as differences of one running sum, in double precision
    running = xp.cumsum(flat[..., order], -1, dtype=xp.float64)
    running = xp.concatenate((running[..., :1] * 0, running), -1)
    sums = running[..., edges[1:]] - running[..., edges[:-1]]
    return sums / (edges[1:] - edges[:-1])


def _lengths(lattice: Lattice) -> np.ndarray:
    return np.linalg.norm(wavevectors(lattice), axis=-1).reshape(-1)


def _rings(lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Wavevectors sorted by ring, and where each ring begins (one more: the end of the last)."""
    length = _lengths(lattice)
    steps = shortest_steps(lattice)
    if len(steps) == 0:
        return np.zeros(1, dtype=np.int64), np.array([0, 1])
    width = float(np.linalg.norm(steps[0] / np.array(lattice.shape) @ lattice.reciprocal))
    ring = np.floor(length / width + 0.5).astype(np.int64)
    inside = length <= np.linalg.norm(lattice.reciprocal, axis=1).min() / 2 * (1 + 1e-9)
    order = np.argsort(ring, kind="stable")
    order = order[inside[order]]
    _, first = np.unique(ring[order], return_index=True)
    return order, np.append(first, len(order))
