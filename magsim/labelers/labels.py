"""What every labeler returns, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from magsim.hamiltonian.electronic import Electrons


@dataclass(frozen=True, eq=False)
class Labels:
    """Exact answers for a batch of B spin configurations on N sites.

    Attributes:
        energy: ``(B,)`` total energy: the grand potential Omega at fixed mu, the free energy
            F = Omega + mu N_e at fixed filling (both the plain energy at T = 0, up to ``- mu N_e`` in Omega).
        field: ``(B, N, 3)`` ``F_i = -dE/dS_i``.
        density: ``(B, N)`` electrons per site.
        mu: ``(B,)`` chemical potential.
        error: ``(B,)`` estimate of the largest error of a field component.
        method: how they were obtained.
        wall_time: seconds for the batch.
    """

    energy: Any
    field: Any
    density: Any
    mu: Any
    error: Any
    method: str
    wall_time: float


class Labeler(Protocol):
    """Anything that solves a Hamiltonian for given spins."""

    @property
    def hamiltonian(self) -> Electrons:
        """What is solved."""
        ...

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)``."""
        ...
