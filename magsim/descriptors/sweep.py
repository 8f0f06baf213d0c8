"""Evaluation part by part: invariants of some sites, and the field from the derivatives of the energy."""

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
    the fields of the environment is known without the other sites.
    """

    @abstractmethod
    def invariants(self, sites: slice) -> Tensor:
        """``(B, n, K)`` of some sites, which the caller may overwrite."""

    @abstractmethod
    def add(self, gradient: Tensor) -> None:
        """Take ``dE/dq`` ``(B, n, K)`` of the part that was asked for last."""

    @abstractmethod
    def gradient(self) -> Tensor:
        """``dE/dS`` ``(B, N, 3)`` of all parts so far."""


class AutogradSweep(Sweep):
    """For any descriptor: the graph of one part is recorded."""

    def __init__(self, descriptor: Descriptor, spins: Tensor) -> None:
        self.descriptor, self.spins = descriptor, spins
        batch, n, _ = spins.shape
        self._total = spins.new_zeros(batch, n + 1, 3)  # the last row takes what lies beyond open boundaries

    def invariants(self, sites: slice) -> Tensor:
        with torch.enable_grad():
            self._leaf = self.descriptor.gather(self.spins, sites).detach().requires_grad_(True)
            self._invariants = self.descriptor.local(self._leaf)
        self._rows = self.descriptor.table[sites].reshape(1, -1, 1)
        return self._invariants.detach().clone()

    def add(self, gradient: Tensor) -> None:
        (share,) = torch.autograd.grad(self._invariants, self._leaf, gradient)
        rows = self._rows.expand(len(share), -1, 3)
        self._total.scatter_add_(1, rows, share.flatten(1, 2))  # much faster than index_add_ on the CPU

    def gradient(self) -> Tensor:
        return self._total[:, :-1]
