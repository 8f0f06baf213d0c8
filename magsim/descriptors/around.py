"""Invariants of the environments of some sites, and what their derivatives by spins make of coefficients.

For training: all of it can be differentiated by the coefficients and by weights of the invariants.
Evaluations have :mod:`.sweep`.

With invariants ``q_k`` of site i, all fields of site-wise models are combinations of two linear maps of
coefficients ``c_ik``:

    by the centre alone   sum_k c_ik dq_k(i)/dS_i
    by every spin         sum_jk c_jk dq_k(j)/dS_i , a sum over all sites j that see i.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from magsim.descriptors.base import Descriptor
    from magsim.descriptors.of_elements import ElementDescriptor


class Around(ABC):
    """What is around some sites of spins ``(B, N, 3)``.

    Attributes:
        invariants: ``(B, n, K)``.
    """

    invariants: Tensor

    @abstractmethod
    def by_centre(self, coefficients: Tensor) -> Tensor:
        """``(B, O, n, 3)`` from O sets of coefficients ``(B, O, n, K)``."""

    @abstractmethod
    def by_all(self, coefficients: Tensor) -> Tensor:
        """``(B, N, 3)`` from coefficients ``(B, n, K)``."""


class AutogradAround(Around):
    """For any descriptor whose environments begin with their centre."""

    def __init__(self, descriptor: Descriptor, spins: Tensor, sites: slice) -> None:
        self._sites, self._n = descriptor.table[sites], spins.shape[1]
        with torch.enable_grad():
            self._leaf = descriptor.gather(spins, sites).detach().requires_grad_(True)
            self.invariants = descriptor.local(self._leaf)

    def _by_environment(self, coefficients: Tensor) -> Tensor:
        """``(B, n, M, 3)``."""
        (share,) = torch.autograd.grad(
            self.invariants, self._leaf, coefficients, retain_graph=True, create_graph=True
        )
        return share

    def by_centre(self, coefficients: Tensor) -> Tensor:
        return torch.stack([self._by_environment(one)[:, :, 0] for one in coefficients.unbind(1)], dim=1)

    def by_all(self, coefficients: Tensor) -> Tensor:
        share = self._by_environment(coefficients).flatten(1, 2)
        # the last row takes what lies beyond open boundaries
        total = share.new_zeros(share.shape[0], self._n + 1, 3)
        rows = self._sites.reshape(1, -1, 1).expand_as(share)
        return total.scatter_add(1, rows, share)[:, :-1]


class ElementAround(Around):
    """For bonds and chiralities: only those of the centre turn with it."""

    def __init__(self, descriptor: ElementDescriptor, spins: Tensor, sites: slice) -> None:
        self._descriptor, self._spins, self._sites = descriptor, spins, sites
        elements = descriptor.elements.take(descriptor.elements.values(spins), sites)
        with torch.enable_grad():
            self._leaf = elements.detach().requires_grad_(True)
            self.invariants = descriptor.invariants(descriptor.vectors(self._leaf))
        self._partners: Tensor | None = None

    def _by_elements(self, coefficients: Tensor) -> Tensor:
        """``(B, m, n)``."""
        (share,) = torch.autograd.grad(
            self.invariants, self._leaf, coefficients, retain_graph=True, create_graph=True
        )
        return share

    def by_centre(self, coefficients: Tensor) -> Tensor:
        if self._partners is None:
            components = self._descriptor.elements.components(self._spins)
            self._partners = self._descriptor.partners(components, self._sites)
        shares = [self._by_elements(one) for one in coefficients.unbind(1)]
        own = torch.stack(shares, dim=2).index_select(1, self._descriptor.of_the_centre)
        return self._descriptor.of_partners(own, self._partners)

    def by_all(self, coefficients: Tensor) -> Tensor:
        elements, share = self._descriptor.elements, self._by_elements(coefficients)
        total = share.new_zeros(share.shape[0], elements.count)
        elements.put(total, self._sites, share)
        return elements.pull(self._spins, total)
