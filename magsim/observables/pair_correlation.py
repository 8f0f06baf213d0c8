"""Correlations against distance, averaged over a frame and over directions."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.domains import chirality_structure_factor
from magsim.observables.structure_factor import sublattice_structure_factor
from magsim.observables.tables import namespace, table


def pair_distances(lattice: Lattice) -> np.ndarray:
    """``(n,)`` mean distance of the pairs of cells in each ring, across the periodic boundaries.

    Rings are one lattice vector wide; the first is R = 0, the last fits into half the shortest side.
    """
    order, edges, distance = _rings(lattice)
    return np.add.reduceat(distance[order], edges[:-1]) / np.diff(edges)


def spin_pair_correlation(lattice: Lattice, spins: Any) -> Any:
    """C(r) = <S_i . S_j> over pairs of one sublattice whose cells are about r apart; C(0) = 1.

    Args:
        spins: ``(..., N, 3)`` unit vectors of a lattice that is periodic along every axis.

    Returns:
        ``(..., n)`` at :func:`pair_distances`.
    """
    return correlation_of(lattice, sublattice_structure_factor(lattice, spins))


def chirality_pair_correlation(lattice: Lattice, spins: Any) -> Any:
    """C(r) = <chi_p chi_p'> / <chi^2> over pairs of triangles of one kind whose cells are about r apart.

    Args:
        spins: ``(..., N, 3)`` unit vectors of a lattice that is periodic along every axis.

    Returns:
        ``(..., n)`` at :func:`pair_distances`; 0 where no triangle has a chirality.
    """
    return correlation_of(lattice, chirality_structure_factor(lattice, spins))


def correlation_of(lattice: Lattice, structure_factor: Any) -> Any:
    """C(R) = sum_q S(q) exp(i q . R) / sum_q S(q), averaged over the cells R of each ring.

    Args:
        structure_factor: ``(..., *shape)`` periodic in the reciprocal lattice, FFT order.

    Returns:
        ``(..., n)`` at :func:`pair_distances`.
    """
    xp = namespace(structure_factor)
    correlation = xp.fft.ifftn(structure_factor, None, tuple(range(-lattice.dim, 0))).real
    flat = correlation.reshape(*correlation.shape[: -lattice.dim], -1)
    order = table(lattice, "rings of cells", lambda crystal: _rings(crystal)[0], flat)
    edges = table(lattice, "edges of the rings", lambda crystal: _rings(crystal)[1], flat)
    running = xp.cumsum(flat[..., order], -1)
    running = xp.concatenate((running[..., :1] * 0, running), -1)
    mean = (running[..., edges[1:]] - running[..., edges[:-1]]) / (edges[1:] - edges[:-1])
    return mean / (mean[..., :1] + (mean[..., :1] == 0))


def _rings(lattice: Lattice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells sorted by ring, where each ring begins (one more: the end of the last), |R| of every cell."""
    box = np.array(lattice.shape)[:, None] * lattice.vectors
    images = np.array(list(product((-1, 0, 1), repeat=lattice.dim))) @ box
    cells = np.stack(np.meshgrid(*map(np.arange, lattice.shape), indexing="ij"), -1).reshape(-1, lattice.dim)
    distance = np.min([np.linalg.norm(cells @ lattice.vectors - shift, axis=1) for shift in images], axis=0)
    width = np.linalg.norm(lattice.vectors, axis=1).min()
    ring = np.floor(distance / width + 0.5).astype(np.int64)
    sides = 2 * np.pi * np.array(lattice.shape) / np.linalg.norm(lattice.reciprocal, axis=1)
    order = np.argsort(ring, kind="stable")
    order = order[distance[order] <= sides.min() / 2 * (1 + 1e-9)]
    _, first = np.unique(ring[order], return_index=True)
    return order, np.append(first, len(order)), distance
