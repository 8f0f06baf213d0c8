"""Descriptors whose invariants are functions of the bonds and chiralities of an environment."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from magsim.descriptors.around import Around, ElementAround
from magsim.descriptors.base import Descriptor
from magsim.descriptors.elements import Elements, cross, rows
from magsim.descriptors.environment import Environment, neighbour_table
from magsim.descriptors.sweep import Sweep
from magsim.lattice import Lattice


class ElementDescriptor(Descriptor):
    """Bonds and chiralities of an environment -> linear mixtures (vectors) -> invariants.

    The derivatives of both steps are written by hand, so that an evaluation records no graph.

    Args:
        lattice: the crystal and, for now, its size.
        environment: its bonds and triangles.
        order: see :class:`~magsim.descriptors.elements.Elements`.
    """

    bond_index: Tensor
    triangle_index: Tensor
    of_the_centre: Tensor
    _others: tuple[Tensor, Tensor] | None = None

    def __init__(self, lattice: Lattice, environment: Environment, order: np.ndarray | None = None) -> None:
        super().__init__()
        self.environment = environment
        self.elements = Elements(environment, order)
        self.n_elements = len(environment.bonds) + len(environment.triangles)
        for name, tuples in (("bond_index", environment.bonds), ("triangle_index", environment.triangles)):
            self.register_buffer(name, torch.tensor(tuples.T.copy()), persistent=False)
        chosen = torch.tensor(self._with_centre(order))
        self.register_buffer("of_the_centre", chosen, persistent=False)
        self.bind(lattice)

    def _with_centre(self, order: np.ndarray | None) -> np.ndarray:
        """Where, in order, the bonds and then the triangles that begin with point 0 are; it is the first
        member of all that hold it."""
        first = np.concatenate([self.environment.bonds[:, 0], self.environment.triangles[:, 0]])
        place = np.empty(self.n_elements, np.int64)
        place[np.arange(self.n_elements) if order is None else order] = np.arange(self.n_elements)
        return place[first == 0]

    def partners(self, components: Tensor, sites: slice) -> Tensor:
        """``(B, 3, c, n)`` derivatives by the centre of the elements :attr:`of_the_centre`: ``S_p`` of a bond
        and ``S_q x S_r`` of a chirality; from :meth:`Elements.components`."""
        (bonds, triangles), n = self._of_centres(), self.table[sites].shape[0]
        p = rows(components[:, :3], bonds[:, sites].flatten())
        q, r = (rows(components, points[:, sites].flatten()) for points in triangles)
        return torch.cat([p, cross(q, r)], dim=2).unflatten(2, (-1, n))

    def _of_centres(self) -> tuple[Tensor, Tensor]:
        """Sites ``(c_b, N)`` and ``(2, c_t, N)`` of the other points of bonds and triangles of each centre;
        found once for each lattice."""
        if self._others is None:
            bonds, triangles = (index[1:, index[0] == 0] for index in (self.bond_index, self.triangle_index))
            self._others = self.table.T[bonds[0]], self.table.T[triangles]
        return self._others

    def of_partners(self, by_elements: Tensor, partners: Tensor) -> Tensor:
        """``(B, O, n, 3)`` of O sets of derivatives ``(B, c, O, n)`` by the elements of the centre and
        :meth:`partners`."""
        return torch.stack([(by_elements * one.unsqueeze(2)).sum(1) for one in partners.unbind(1)], dim=-1)

    def around(self, spins: Tensor, sites: slice = slice(None)) -> Around:
        return ElementAround(self, spins, sites)

    @property
    def radius(self) -> float:
        return self.environment.radius

    def bind(self, lattice: Lattice) -> None:
        device = self.bond_index.device
        self._bind_table(lattice, torch.from_numpy(neighbour_table(lattice, self.environment)).to(device))
        self.elements.bind(lattice, device)
        self._others = None

    @property
    def n_vectors(self) -> int:
        """Numbers between the elements and the invariants of a site."""
        return 0

    @abstractmethod
    def vectors(self, elements: Tensor) -> list[Tensor]:
        """Mixtures of elements ``(B, m, n)``: V vectors of d components ``(B, n, d, V)`` for each block."""

    @abstractmethod
    def pull_vectors(self, gradient: list[Tensor]) -> Tensor:
        """Derivatives ``(B, m, n)`` by the elements from those by the vectors."""

    @abstractmethod
    def invariants(self, vectors: list[Tensor]) -> Tensor:
        """Invariants ``(B, n, K)`` of vectors."""

    @abstractmethod
    def pull(self, vectors: list[Tensor], gradient: Tensor) -> list[Tensor]:
        """Derivatives by the vectors from those by the invariants ``(B, n, K)``."""

    def pull_sets(self, vectors: list[Tensor], gradient: Tensor) -> Tensor:
        """Derivatives ``(B, m, O, n)`` by the elements, from O sets ``(B, O, n, K)`` by the invariants."""
        sets = [self.pull_vectors(self.pull(vectors, one)) for one in gradient.unbind(1)]
        return torch.stack(sets, dim=2)

    def forward(self, spins: Tensor) -> Tensor:
        return self.invariants(self.vectors(self.elements.take(self.elements.values(spins))))

    def local(self, environments: Tensor) -> Tensor:
        elements = self.local_elements(environments).transpose(1, 2)
        order = self.elements.order
        return self.invariants(self.vectors(elements if order is None else elements[:, order]))

    def local_elements(self, environments: Tensor) -> Tensor:
        """Bonds and chiralities ``(B, n, m)`` of environments ``(B, n, M, 3)``."""
        p, q = self.bond_index
        values = (environments.index_select(2, p) * environments.index_select(2, q)).sum(-1)
        if self.triangle_index.shape[1]:
            a, b, c = (environments.index_select(2, index) for index in self.triangle_index)
            values = torch.cat([values, (a * torch.linalg.cross(b, c)).sum(-1)], dim=-1)
        return values

    def sweep(self, spins: Tensor) -> Sweep:
        return ElementSweep(self, spins)

    @property
    def numbers(self) -> int:
        return 3 * self.n_features + 2 * self.n_elements + 3 * self.n_vectors


class ElementSweep(Sweep):
    """Bonds and chiralities of the lattice once, then matrix products for each part of the sites."""

    _partners: Tensor | None

    @torch.no_grad()
    def __init__(self, descriptor: ElementDescriptor, spins: Tensor) -> None:
        self.descriptor, self.spins = descriptor, spins
        self._components = descriptor.elements.components(spins)
        self._values = descriptor.elements.values(spins)
        self._by_elements: dict[int, Tensor] = {}

    @torch.no_grad()
    def invariants(self, sites: slice) -> Tensor:
        self._sites, self._partners = sites, None
        self._vectors = self.descriptor.vectors(self.descriptor.elements.take(self._values, sites))
        return self.descriptor.invariants(self._vectors)

    @torch.no_grad()
    def add(self, gradient: Tensor, number: int = 0) -> None:
        if number not in self._by_elements:
            self._by_elements[number] = torch.zeros_like(self._values)
        share = self.descriptor.pull_vectors(self.descriptor.pull(self._vectors, gradient))
        self.descriptor.elements.put(self._by_elements[number], self._sites, share)

    @torch.no_grad()
    def by_centre(self, coefficients: Tensor) -> Tensor:
        if self._partners is None:
            self._partners = self.descriptor.partners(self._components, self._sites)
        shares = self.descriptor.pull_sets(self._vectors, coefficients)
        own = shares.index_select(1, self.descriptor.of_the_centre)
        return self.descriptor.of_partners(own, self._partners)

    @torch.no_grad()
    def gradient(self, number: int = 0) -> Tensor:
        return self.descriptor.elements.pull(self.spins, self._by_elements[number])
