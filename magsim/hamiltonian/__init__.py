"""Electronic and classical energy terms of spins on a lattice: data, no solver."""

from __future__ import annotations

from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.hamiltonian.driven import DrivenStrip
from magsim.hamiltonian.electronic import Electrons, ProjectedDoubleExchange, SDHamiltonian

# Name of the option -> electrons; called with ``lattice``, ``hopping`` and the other keys of the option.
HAMILTONIANS: dict[str, type[Electrons]] = {
    "sd": SDHamiltonian,
    "double_exchange": SDHamiltonian,
    "double_exchange_projected": ProjectedDoubleExchange,
    "driven": DrivenStrip,
}

__all__ = [
    "HAMILTONIANS",
    "ClassicalHamiltonian",
    "DrivenStrip",
    "Electrons",
    "ProjectedDoubleExchange",
    "SDHamiltonian",
]
