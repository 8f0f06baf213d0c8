"""Cutting a lattice across its first axis into slabs, each with a halo of what its sites see.

Sites are ordered by cells along the first axis, so that a slab is a range of sites. A slab and its halo are a
window: a lattice of its own that is open along the first axis. Windows of one cut have one shape, so that
what is bound to a lattice is bound once. Where a window is longer than a periodic lattice, it holds some
sites twice, as the sites of the infinite crystal that they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from magsim.lattice.crystal import Lattice


@dataclass(frozen=True, eq=False)
class Slab:
    """Rows (cells along the first axis) ``start : stop`` of a lattice and the window around them.

    Attributes:
        start, stop: rows that are the slab's own.
        first: row of the lattice where the window begins; negative across a periodic boundary.
        stride: sites in one row.
    """

    start: int
    stop: int
    first: int
    stride: int

    @property
    def own(self) -> slice:
        """Its own sites on the lattice."""
        return slice(self.start * self.stride, self.stop * self.stride)

    @property
    def within(self) -> slice:
        """Its own sites in the window."""
        return slice((self.start - self.first) * self.stride, (self.stop - self.first) * self.stride)


@dataclass(frozen=True, eq=False)
class Cut:
    """A lattice in ``n`` slabs.

    Args:
        lattice: what is cut.
        n: number of slabs, at most one for each row.
        halo: rows on each side that a slab needs besides its own.
    """

    lattice: Lattice
    n: int
    halo: int

    def __post_init__(self) -> None:
        if not 1 <= self.n <= self.lattice.shape[0]:
            raise ValueError(f"{self.lattice.shape[0]} rows cannot be cut into {self.n} slabs.")

    @property
    def stride(self) -> int:
        """Sites in one row."""
        return self.lattice.n_sites // self.lattice.shape[0]

    @property
    def rows(self) -> int:
        """Of a window."""
        longest = -(-self.lattice.shape[0] // self.n) + 2 * self.halo
        return longest if self.lattice.periodic[0] else min(longest, self.lattice.shape[0])

    @property
    def window(self) -> Lattice:
        """The lattice of all windows."""
        shape, periodic = self.lattice.shape, self.lattice.periodic
        return replace(self.lattice, shape=(self.rows, *shape[1:]), periodic=(False, *periodic[1:]))

    @cached_property
    def slabs(self) -> tuple[Slab, ...]:
        """As equal as can be."""
        length = self.lattice.shape[0]
        edges = [length * k // self.n for k in range(self.n + 1)]
        slabs = []
        for start, stop in pairwise(edges):
            first = start - self.halo
            if not self.lattice.periodic[0]:  # a window ends where the lattice does
                first = min(max(first, 0), length - self.rows)
            slabs.append(Slab(start, stop, first, self.stride))
        return tuple(slabs)

    def sites(self, slab: Slab) -> np.ndarray:
        """``(window.n_sites,)`` the site of the lattice at each site of a slab's window."""
        rows = (slab.first + np.arange(self.rows)) % self.lattice.shape[0]
        return (rows[:, None] * self.stride + np.arange(self.stride)).ravel()


def reach(lattice: Lattice, radius: float) -> int:
    """Rows that a sphere of this radius around any site extends beyond its own row."""
    offsets = [lattice.offsets_within(radius, b)[0] for b in range(lattice.n_basis)]
    return max((int(np.abs(cells[:, 0]).max(initial=0)) for cells in offsets), default=0)
