"""What models need of a descriptor, whatever its invariants are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from magsim.descriptors.around import Around, AutogradAround
from magsim.descriptors.sweep import AutogradSweep, Sweep
from magsim.lattice import Lattice
from magsim.spins import random_spins


class Descriptor(nn.Module, ABC):
    """Invariants ``(B, N, K)`` of spins ``(B, N, 3)``: one smooth function of the environment of every site.

    Attributes:
        lattice: of the spins it is bound to.
        table: ``(N, M)`` sites of each site's environment; N where there is none.
    """

    lattice: Lattice
    table: Tensor

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number K of invariants."""

    @property
    @abstractmethod
    def radius(self) -> float:
        """Of the environment: the distance of its farthest spin."""

    @abstractmethod
    def bind(self, lattice: Lattice) -> None:
        """Use the same descriptor on another size (or boundary) of the same crystal.

        Raises:
            ConfigError: the environment does not fit on the new lattice.
        """

    @abstractmethod
    def local(self, environments: Tensor) -> Tensor:
        """Invariants ``(B, n, K)`` of environments ``(B, n, M, 3)``."""

    def _bind_table(self, lattice: Lattice, table: Tensor) -> None:
        self.register_buffer("table", table, persistent=False)
        self._open = bool((table == lattice.n_sites).any())
        self.lattice = lattice

    def gather(self, spins: Tensor, sites: slice = slice(None)) -> Tensor:
        """Environments ``(B, n, M, 3)`` of some sites (default: all) from spins ``(B, N, 3)``; zero spins
        where there is no site."""
        if self._open:
            spins = nn.functional.pad(spins, (0, 0, 0, 1))
        table = self.table[sites]
        return spins.index_select(1, table.reshape(-1)).unflatten(1, tuple(table.shape))

    def forward(self, spins: Tensor) -> Tensor:
        return self.local(self.gather(spins))

    def sweep(self, spins: Tensor) -> Sweep:
        """Invariants part by part, and a field from their derivatives; records no graph for the caller."""
        return AutogradSweep(self, spins)

    def around(self, spins: Tensor, sites: slice = slice(None)) -> Around:
        """Invariants of some sites of spins ``(B, N, 3)`` and the two maps of :mod:`.around`."""
        return AutogradAround(self, spins, sites)

    @torch.no_grad()
    def odd(self) -> Tensor:
        """``(K,)`` whether an invariant changes its sign under time reversal, ``S -> -S``."""
        generator = np.random.default_rng(0)
        spins = torch.tensor(random_spins(self.table.shape[1], generator, (1, 4))).to(self.device)
        spins = spins.to(next((t for t in self.state_dict().values() if t.is_floating_point()), spins))
        forward, backward = self.local(spins), self.local(-spins)
        return (forward + backward).abs().amax((0, 1)) < (forward - backward).abs().amax((0, 1))

    def prepare(self, spins: Tensor | None) -> None:
        """Settle what depends on the training spins ``(B, N, 3)``, before a model is built on it."""

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Settle the same as it was when these weights (by the names of this module) were saved."""

    @property
    def numbers(self) -> int:
        """Numbers that one site needs while its invariants and their derivatives are computed, about."""
        return 8 * self.n_features

    @property
    def device(self) -> torch.device:
        return self.table.device
