"""Descriptors whose invariants are functions of the bonds and chiralities of an environment."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from magsim.descriptors.base import Descriptor
from magsim.descriptors.elements import Elements
from magsim.descriptors.environment import Environment, neighbour_table
from magsim.descriptors.sweep import Sweep
from magsim.lattice import Lattice


class ElementDescriptor(Descriptor):
    """Bonds and chiralities of an environment -> linear mixtures (vectors) -> invariants.

    The derivatives of both steps are written by hand, so that an evaluation records no graph.

    Args:
        lattice: the crystal and, for now, its size.
        environment: its bonds and triangles.
    """

    bond_index: Tensor
    triangle_index: Tensor

    def __init__(self, lattice: Lattice, environment: Environment) -> None:
        super().__init__()
        self.environment = environment
        self.elements = Elements(environment)
        self.n_elements = len(environment.bonds) + len(environment.triangles)
        for name, tuples in (("bond_index", environment.bonds), ("triangle_index", environment.triangles)):
            self.register_buffer(name, torch.tensor(tuples.T.copy()), persistent=False)
        self.bind(lattice)

    def bind(self, lattice: Lattice) -> None:
        device = self.bond_index.device
        self._bind_table(lattice, torch.tensor(neighbour_table(lattice, self.environment)).to(device))
        self.elements.bind(lattice, device)

    @abstractmethod
    def mixing(self) -> Tensor | None:
        """``(V, m)`` rows that make vectors of the elements of an environment; None: these themselves."""

    @property
    def n_vectors(self) -> int:
        """Number V of rows that :meth:`mixing` has; 0 without."""
        return 0

    @abstractmethod
    def invariants(self, vectors: Tensor) -> Tensor:
        """Invariants ``(B, n, K)`` of vectors ``(B, n, V)``."""

    @abstractmethod
    def pull(self, vectors: Tensor, gradient: Tensor) -> Tensor:
        """Derivatives ``(B, n, V)`` by the vectors from those by the invariants ``(B, n, K)``."""

    def forward(self, spins: Tensor) -> Tensor:
        return self._of_elements(self.elements.take(self.elements.values(spins)))

    def local(self, environments: Tensor) -> Tensor:
        return self._of_elements(self.local_elements(environments))

    def _of_elements(self, elements: Tensor) -> Tensor:
        rows = self.mixing()
        return self.invariants(elements if rows is None else elements @ rows.T)

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

    @torch.no_grad()
    def __init__(self, descriptor: ElementDescriptor, spins: Tensor) -> None:
        self.descriptor, self.spins = descriptor, spins
        self._rows = descriptor.mixing()
        self._values = descriptor.elements.values(spins)
        self._by_elements = torch.zeros_like(self._values)

    @torch.no_grad()
    def invariants(self, sites: slice) -> Tensor:
        self._sites = sites
        elements = self.descriptor.elements.take(self._values, sites)
        self._vectors = elements if self._rows is None else elements @ self._rows.T
        return self.descriptor.invariants(self._vectors)

    @torch.no_grad()
    def add(self, gradient: Tensor) -> None:
        share = self.descriptor.pull(self._vectors, gradient)
        if self._rows is not None:
            share = share @ self._rows
        self.descriptor.elements.put(self._by_elements, self._sites, share)

    @torch.no_grad()
    def gradient(self) -> Tensor:
        return self.descriptor.elements.pull(self.spins, self._by_elements)
