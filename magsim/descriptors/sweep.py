"""Evaluation part by part: invariants of some sites, and fields from derivatives by them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from magsim.descriptors.base import Descriptor


class Sweep(ABC):
    """One pass over the sites of spins ``(B, N, 3)``.

    For each part :meth:`invariants` is called, then :meth:`add` with the derivative of the energy by them.
    Memory does not grow with N: the energy of a site depends on its environment alone, so that its share in
    the fields of the environment is known without the other sites. Fields that are no gradient take
    derivatives by the centre of each environment alone, :meth:`by_centre`, or sum several energies apart.
    """

    @abstractmethod
    def invariants(self, sites: slice) -> Tensor:
        """``(B, n, K)`` of some sites, which the caller may overwrite."""

    @abstractmethod
    def add(self, gradient: Tensor, number: int = 0) -> None:
        """Take ``dE/dq`` ``(B, n, K)`` of the part that was asked for last; ``number``: of which energy."""

    @abstractmethod
    def by_centre(self, coefficients: Tensor) -> Tensor:
        """``sum_k c_ik dq_k(i)/dS_i`` ``(B, O, n, 3)`` of that part, from O sets of coefficients
        ``(B, O, n, K)``."""

    @abstractmethod
    def gradient(self, number: int = 0) -> Tensor:
        """``dE/dS`` ``(B, N, 3)`` of all parts so far."""


class AutogradSweep(Sweep):
    """For any descriptor: the graph of one part is recorded."""

    def __init__(self, descriptor: Descriptor, spins: Tensor) -> None:
        self.descriptor, self.spins = descriptor, spins
        self._totals: dict[int, Tensor] = {}

    def invariants(self, sites: slice) -> Tensor:
        with torch.enable_grad():
            self._leaf = self.descriptor.gather(self.spins, sites).detach().requires_grad_(True)
            self._invariants = self.descriptor.local(self._leaf)
        self._rows = self.descriptor.table[sites].reshape(1, -1, 1)
        return self._invariants.detach().clone()

    def _by_environment(self, coefficients: Tensor) -> Tensor:
        """``(B, n, M, 3)``."""
        return torch.autograd.grad(self._invariants, self._leaf, coefficients, retain_graph=True)[0]

    def add(self, gradient: Tensor, number: int = 0) -> None:
        batch, n, _ = self.spins.shape
        if number not in self._totals:  # the last row takes what lies beyond open boundaries
            self._totals[number] = self.spins.new_zeros(batch, n + 1, 3)
        share = self._by_environment(gradient)
        rows = self._rows.expand(batch, -1, 3)
        self._totals[number].scatter_add_(1, rows, share.flatten(1, 2))  # much faster than index_add_ on CPUs

    def by_centre(self, coefficients: Tensor) -> Tensor:
        return torch.stack([self._by_environment(one)[:, :, 0] for one in coefficients.unbind(1)], dim=1)

    def gradient(self, number: int = 0) -> Tensor:
        return self._totals[number][:, :-1]
