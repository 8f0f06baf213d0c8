"""Ferromagnetic clusters: where an antiferromagnet holds metallic droplets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.correlation import bonds_of_shell
from magsim.observables.tables import checked, is_torch, namespace, table

FERROMAGNETIC = 0.5
"""Least sum of S_i . S_j over the nearest neighbours j that makes a site ferromagnetic."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Ferromagnetic clusters of frames ``(...)``.

    Attributes:
        fraction: ``(...)`` of the sites that are ferromagnetic.
        number: ``(...)`` of clusters.
        mean_size: ``(...)`` sites per cluster, every cluster counted once; 0 without any.
        largest: ``(...)`` sites of the largest one.
        labels: ``(..., N)`` cluster of each site, 1, 2, ... in every frame; 0 outside.
    """

    fraction: np.ndarray
    number: np.ndarray
    mean_size: np.ndarray
    largest: np.ndarray
    labels: np.ndarray


def neighbour_sum(lattice: Lattice, spins: Any) -> Any:
    """h_i = sum_j S_i . S_j over the nearest neighbours j of every site.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., N)``, between -z and z with z neighbours.
    """
    spins = checked(lattice, spins)
    # beyond an open edge there is a spin of length zero
    padded = namespace(spins).concatenate((spins, spins[..., :1, :] * 0), -2)
    neighbours = table(lattice, "nearest neighbours", _neighbours, spins)
    total = (spins * padded[..., neighbours[0], :]).sum(-1)
    for column in neighbours[1:]:
        total = total + (spins * padded[..., column, :]).sum(-1)
    return total


def _neighbours(lattice: Lattice) -> np.ndarray:
    """``(z, N)`` k-th nearest neighbour of each site, N where there is none."""
    shell = lattice.shells(1)[0]
    first = np.searchsorted(shell.i, shell.i)  # pairs are sorted by i
    rank = np.arange(len(shell.i)) - first
    columns = np.full((rank.max(initial=0) + 1, lattice.n_sites), lattice.n_sites)
    columns[rank, shell.i] = shell.j
    return columns


def ferromagnetic_sites(lattice: Lattice, spins: Any, threshold: float = FERROMAGNETIC) -> Any:
    """Sites with sum_j S_i . S_j >= threshold over their nearest neighbours j.

    The criterion of the studies of phase separation in the double-exchange model, 0.5 of at most 4 on the
    square lattice: Zhang and Chern, Phys. Rev. Lett. 127, 146401 (2021), arXiv:2105.08221.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., N)`` of bool.
    """
    return neighbour_sum(lattice, spins) >= threshold


def ferromagnetic_fraction(lattice: Lattice, spins: Any) -> Any:
    """Share of the sites that are ferromagnetic, see :func:`ferromagnetic_sites`.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, between 0 and 1.
    """
    sites = ferromagnetic_sites(lattice, spins)
    return (sites * spins[..., 0] ** 0).mean(-1)  # in the precision of the spins


def clusters(lattice: Lattice, spins: Any, threshold: float = FERROMAGNETIC) -> Clusters:
    """Connected clusters of ferromagnetic sites, joined by nearest-neighbour bonds across the boundaries.

    Labels are found on the host (connected components of a sparse graph, all frames in one call).

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        threshold: see :func:`ferromagnetic_sites`.
    """
    from magsim.arrays import to_numpy

    inside = to_numpy(ferromagnetic_sites(lattice, spins, threshold))
    labels = connected(lattice, inside)
    flat = labels.reshape(-1, lattice.n_sites)
    number = flat.max(axis=1, initial=0)
    sites = (flat > 0).sum(axis=1)
    largest = [int(np.bincount(row)[1:].max(initial=0)) for row in flat]
    frames = inside.shape[:-1]
    return Clusters(
        fraction=(sites / lattice.n_sites).reshape(frames),
        number=number.reshape(frames),
        mean_size=(sites / np.maximum(number, 1)).reshape(frames),
        largest=np.array(largest).reshape(frames),
        labels=labels,
    )


def connected(lattice: Lattice, inside: np.ndarray) -> np.ndarray:
    """Number of the connected cluster that each site belongs to.

    Args:
        inside: ``(..., N)`` of bool, sites that can form clusters.

    Returns:
        ``(..., N)`` of int; 1, 2, ... in every frame, in the order of the first site; 0 outside.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    flat = np.asarray(inside, dtype=bool).reshape(-1, lattice.n_sites)
    i, j = bonds_of_shell(lattice, 1)
    frame, bond = np.nonzero(flat[:, i] & flat[:, j])
    start = frame * lattice.n_sites
    graph = coo_array(
        (np.ones(len(bond), dtype=np.int8), (start + i[bond], start + j[bond])), shape=(flat.size, flat.size)
    )
    _, component = connected_components(graph, directed=False)
    labels = np.zeros(flat.shape, dtype=np.int64)
    for row, (mask, found) in enumerate(zip(flat, component.reshape(flat.shape), strict=True)):
        _, first, number = np.unique(found[mask], return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(1, len(first) + 1)
        labels[row, mask] = rank[number]
    return labels.reshape(np.shape(inside))


def cluster_size(lattice: Lattice, spins: Any) -> Any:
    """Mean number of sites of a ferromagnetic cluster, every cluster counted once; 0 without any.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``.
    """
    return _like(clusters(lattice, spins).mean_size, spins)


def cluster_number(lattice: Lattice, spins: Any) -> Any:
    """Number of ferromagnetic clusters.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, whole numbers in the dtype of the spins.
    """
    return _like(clusters(lattice, spins).number, spins)


def _like(values: np.ndarray, like: Any) -> Any:
    if is_torch(like):
        import torch

        return torch.as_tensor(values, dtype=like.dtype, device=like.device)
    return namespace(like).asarray(values, dtype=like.dtype)
