"""Sites, neighbour shells, symmetries and plaquettes of the lattices, found from their geometry."""

from __future__ import annotations

from magsim.lattice.crystal import UNIT_CELLS, Lattice, Shell, make_lattice
from magsim.lattice.symmetry import PointOperation, crystal_operations, site_permutations, site_symmetries

__all__ = [
    "UNIT_CELLS",
    "Lattice",
    "PointOperation",
    "Shell",
    "crystal_operations",
    "make_lattice",
    "site_permutations",
    "site_symmetries",
]
