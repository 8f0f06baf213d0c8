"""One lattice of each kind, for what must hold on all of them."""

from __future__ import annotations

from magsim.lattice import Lattice, make_lattice

ALL_LATTICES = [
    make_lattice("chain", [12]),
    make_lattice("square", [6, 8]),
    make_lattice("triangular", [6, 12]),
    make_lattice("honeycomb", [4, 6]),
    make_lattice("kagome", [4, 4]),
    make_lattice("cubic", [4, 4, 6]),
]
PLANAR = [lattice for lattice in ALL_LATTICES if lattice.dim == 2]


def name(lattice: Lattice) -> str:
    return lattice.name
