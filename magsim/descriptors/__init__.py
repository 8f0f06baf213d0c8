"""Symmetry-aware inputs of the force fields: spins -> invariants of every site's environment."""

from __future__ import annotations

from collections.abc import Callable

from magsim.descriptors.base import Descriptor
from magsim.descriptors.bispectrum import BispectrumDescriptor, BispectrumOptions
from magsim.descriptors.equivariant import EquivariantDescriptor
from magsim.descriptors.raw import RawDescriptor

# Name of the option -> descriptor; called with the lattice and the keys of the option.
DESCRIPTORS: dict[str, Callable[..., Descriptor]] = {
    "bispectrum": BispectrumDescriptor.of,
    "driven": BispectrumDescriptor.of,  # with the values for it
    "equivariant": EquivariantDescriptor,
    "raw": RawDescriptor,
}

__all__ = [
    "DESCRIPTORS",
    "BispectrumDescriptor",
    "BispectrumOptions",
    "Descriptor",
    "EquivariantDescriptor",
    "RawDescriptor",
]
