"""What models need of a descriptor, whatever its invariants are."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from magsim.lattice import Lattice


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

    @abstractmethod
    def bind(self, lattice: Lattice) -> None:
        """Use the same descriptor on another size (or boundary) of the same crystal.

        Raises:
            ConfigError: the environment does not fit on the new lattice.
        """

    @abstractmethod
    def gather(self, spins: Tensor, sites: slice = slice(None)) -> Tensor:
        """Environments ``(B, n, M, 3)`` of some sites (default: all) from spins ``(B, N, 3)``; zero spins
        where there is no site."""

    @abstractmethod
    def local(self, environments: Tensor) -> Tensor:
        """Invariants ``(B, n, K)`` of environments ``(B, n, M, 3)``."""

    def forward(self, spins: Tensor) -> Tensor:
        return self.local(self.gather(spins))
