"""Bonds and chiralities of a whole lattice, each computed once, and where every environment finds its own.

The environments of neighbouring sites share their bonds: within R = 2 on the triangular lattice a site sees
99, but the lattice has 9 for each site.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from magsim.descriptors.environment import Environment, placements
from magsim.lattice import Lattice

Member = tuple[int, ...]  # sublattice, cell


class Elements(nn.Module):
    """Bonds ``S_i . S_j`` and chiralities ``S_i . (S_j x S_k)`` of a lattice.

    They come in classes, one for each way to put a bond or a triangle into a crystal up to translations, with
    one member for each cell.

    Args:
        environment: whose bonds and triangles are wanted.
        order: ``(m,)`` in which order an environment takes them; None: bonds, then chiralities.

    Attributes:
        bonds, triangles: ``(2, E_b)`` and ``(3, E_c)`` sites; N, a zero spin, beyond open boundaries.
        index: ``(m, N)`` elements that each environment consists of; the last element of all is zero.
    """

    bonds: Tensor
    triangles: Tensor
    index: Tensor

    def __init__(self, environment: Environment, order: np.ndarray | None = None) -> None:
        super().__init__()
        self.environment, self.order = environment, order

    def bind(self, lattice: Lattice, device: torch.device | None = None) -> None:
        """Find the elements of a lattice."""
        env = self.environment
        placed = placements(lattice, env)
        n_bonds, m = len(env.bonds), len(env.bonds) + len(env.triangles)
        rows = np.arange(m)
        if self.order is not None:
            rows[self.order] = np.arange(m)
        # four bytes are enough and halve the largest array of a lattice; a row is written at a time
        index = np.empty((m, lattice.n_cells, lattice.n_basis), np.int32)
        kinds, offset, self._open = [], 0, False
        for tuples, own in ((env.bonds, rows[:n_bonds]), (env.triangles, rows[n_bonds:])):
            classes: dict[tuple[Member, ...], int] = {}
            for b, place in enumerate(placed):
                self._open |= _of_tuples(lattice, tuples, *place, classes, offset, index[..., b], own)
            members = [_sites(lattice, key) for key in classes]
            kinds.append(np.concatenate(members, axis=1) if members else np.empty((0, 0), np.int64))
            self._open |= bool((kinds[-1] == lattice.n_sites).any())
            offset += len(classes) * lattice.n_cells
        if self._open:
            index[index < 0] = offset
        found = {"bonds": kinds[0], "triangles": kinds[1], "index": index.reshape(m, lattice.n_sites)}
        for name, array in found.items():
            self.register_buffer(name, torch.from_numpy(array).to(device), persistent=False)

    @property
    def count(self) -> int:
        """Elements of the lattice, the zero at the end among them."""
        return self.bonds.shape[1] + self.triangles.shape[1] + 1

    def components(self, spins: Tensor) -> Tensor:
        """``(B, 5, N)`` components x, y, z, x, y of spins ``(B, N, 3)``, so that a cross product is made of
        slices, see :func:`cross`; where the lattice is open with a zero at the end. Rows of components are
        what a processor gathers fastest."""
        own = torch.cat([spins, spins[..., :2]], dim=-1).transpose(1, 2)
        return nn.functional.pad(own, (0, 1)) if self._open else own.contiguous()

    def values(self, spins: Tensor) -> Tensor:
        """All elements ``(B, E)`` of spins ``(B, N, 3)``, and a zero at the end."""
        own = self.components(spins)
        i, j = (rows(own[:, :3], sites) for sites in self.bonds)
        parts = [(i * j).sum(1)]
        if self.triangles.numel():
            i, j, k = (rows(own, sites) for sites in self.triangles)
            parts.append((i[:, :3] * cross(j, k)).sum(1))
        return torch.cat([*parts, spins.new_zeros(spins.shape[0], 1)], dim=1)

    def take(self, values: Tensor, sites: slice = slice(None)) -> Tensor:
        """Elements ``(B, m, n)`` of the environments of some sites."""
        index = self.index[:, sites]
        if (
            values.requires_grad
        ):  # its derivative is scatter_add, much faster than the index_add of index_select
            taken = values.gather(1, index.flatten().long().expand(values.shape[0], -1))
        else:
            taken = values.index_select(1, index.flatten())
        return taken.unflatten(1, tuple(index.shape))

    def put(self, gradient: Tensor, sites: slice, share: Tensor) -> None:
        """Add derivatives ``(B, m, n)`` by the elements of some environments to those by all, ``(B, E)``."""
        index = self.index[:, sites].flatten().long()
        gradient.scatter_add_(1, index.expand(share.shape[0], -1), share.flatten(1))

    def pull(self, spins: Tensor, gradient: Tensor) -> Tensor:
        """``dE/dS`` ``(B, N, 3)`` from the derivatives by all elements ``(B, E)``."""
        own, n_bonds = self.components(spins), self.bonds.shape[1]
        result = torch.zeros_like(own[:, :3])
        weight, (i, j) = gradient[:, None, :n_bonds], self.bonds
        _add_rows(result, i, weight * rows(own[:, :3], j))
        _add_rows(result, j, weight * rows(own[:, :3], i))
        if self.triangles.numel():
            weight = gradient[:, None, n_bonds:-1]
            spin = [rows(own, sites) for sites in self.triangles]
            for a, sites in enumerate(self.triangles):
                _add_rows(result, sites, weight * cross(spin[(a + 1) % 3], spin[(a + 2) % 3]))
        return result[..., : spins.shape[1]].transpose(1, 2)


def rows(components: Tensor, sites: Tensor) -> Tensor:
    """``(B, c, E)`` components of the spins at sites ``(E,)``; gather, whose derivative is scatter_add, is
    much faster than index_select and index_add."""
    return components.gather(2, sites.expand(*components.shape[:2], -1))


def cross(a: Tensor, b: Tensor) -> Tensor:
    """``a x b`` ``(B, 3, E)`` of components x, y, z, x, y; four times faster than ``torch.linalg.cross``."""
    return torch.addcmul(a[:, 1:4] * b[:, 2:5], a[:, 2:5], b[:, 1:4], value=-1)


def _add_rows(result: Tensor, sites: Tensor, share: Tensor) -> None:
    """``result[:, :, sites] += share``."""
    result.scatter_add_(2, sites.expand_as(share), share)


def _of_tuples(
    lattice: Lattice,
    tuples: np.ndarray,
    cell: np.ndarray,
    sublattice: np.ndarray,
    classes: dict[tuple[Member, ...], int],
    offset: int,
    index: np.ndarray,
    rows: np.ndarray,
) -> bool:
    """Write the elements of the tuples around one sublattice, from ``offset`` on, into rows of ``index``
    ``(m, n_cells)``, -1 beyond open boundaries; new classes are added. Returns whether any is beyond."""
    anchors: dict[int, np.ndarray] = {}
    beyond: set[int] = set()
    for row, members in zip(rows.tolist(), tuples.tolist(), strict=True):
        order = _even_order([(int(sublattice[p]), *cell[p].tolist()) for p in members])
        first = members[order[0]]
        if first not in anchors:
            sites = lattice.site_index(lattice.cells + cell[first], np.zeros(lattice.n_cells, np.int64))
            anchors[first] = np.where(sites < 0, -1, sites // lattice.n_basis).astype(np.int32)
            if (sites < 0).any():
                beyond.add(first)
        key = tuple((int(sublattice[members[k]]), *(cell[members[k]] - cell[first]).tolist()) for k in order)
        kind = classes.setdefault(key, len(classes))
        start = offset + kind * lattice.n_cells
        np.add(anchors[first], start, out=index[row])
        if first in beyond:
            index[row][anchors[first] < 0] = -1
    return bool(beyond)


def _even_order(members: list[Member]) -> list[int]:
    """An order that translations do not change; of three members an even permutation, because an odd one
    changes the sign of the chirality."""
    order = sorted(range(len(members)), key=members.__getitem__)
    odd = sum(order[a] > order[b] for a, b in combinations(range(len(order)), 2)) % 2
    return [order[0], order[2], order[1]] if len(order) == 3 and odd else order


def _sites(lattice: Lattice, key: tuple[Member, ...]) -> np.ndarray:
    """``(len(key), n_cells)`` sites of the members of a class; N beyond open boundaries."""
    rows = []
    for sublattice, *cell in key:
        sites = lattice.site_index(
            lattice.cells + np.array(cell, np.int64), np.full(lattice.n_cells, sublattice)
        )
        rows.append(np.where(sites < 0, lattice.n_sites, sites))
    return np.array(rows)
