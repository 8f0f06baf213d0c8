"""Sites, neighbour shells, symmetries and plaquettes of the lattices, found from their geometry."""

from __future__ import annotations

from magsim.lattice.crystal import UNIT_CELLS, Lattice, Shell, make_lattice
from magsim.lattice.slabs import Cut, Slab, reach
from magsim.lattice.symmetry import PointOperation, crystal_operations, site_permutations, site_symmetries

__all__ = [
    "UNIT_CELLS",
    "Cut",
    "Lattice",
    "PointOperation",
    "Shell",
    "Slab",
    "crystal_operations",
    "make_lattice",
    "reach",
    "site_permutations",
    "site_symmetries",
]
