"""Elements of density matrices on the sites and nearest-neighbour bonds of a strip."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from magsim.arrays import namespace

Array = Any


@dataclass(eq=False)
class Elements:
    """2x2 spin blocks ``rho_ij`` of density matrices, for B configurations.

    Attributes:
        site: ``(B, Lx, Ly, 2, 2)`` i = j.
        along: ``(B, Lx - 1, Ly, 2, 2)`` i = (x, y), j = (x + 1, y).
        across: ``(B, Lx, Ly, 2, 2)`` i = (x, y), j = (x, y + 1), the last wrapped to y = 0.
        flux: ``(B, 2, 4)`` what flows out of each lead (left, right) into the strip: electrons, spin.
    """

    site: Array
    along: Array
    across: Array
    flux: Array

    @staticmethod
    def zeros(batch: int, shape: tuple[int, ...], xp: ModuleType = np) -> Elements:
        """Nothing yet."""
        columns, width = shape
        return Elements(
            xp.zeros((batch, columns, width, 2, 2), dtype=np.complex128),
            xp.zeros((batch, columns - 1, width, 2, 2), dtype=np.complex128),
            xp.zeros((batch, columns, width, 2, 2), dtype=np.complex128),
            xp.zeros((batch, 2, 4)),
        )

    def mirrored(self) -> Elements:
        """The same elements with the columns counted from the other end."""
        along = self.along[:, ::-1].swapaxes(-1, -2).conj()
        return Elements(self.site[:, ::-1], along, self.across[:, ::-1], self.flux[:, ::-1])

    def __add__(self, other: Elements) -> Elements:
        return Elements(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def add_at(self, chosen: np.ndarray, other: Elements) -> None:
        """Add ``other``, which is that of the ``chosen`` configurations alone."""
        index = namespace(self.site).asarray(chosen)
        for name in NAMES:
            getattr(self, name)[index] += getattr(other, name)

    def where(self, chosen: np.ndarray, other: Elements) -> Elements:
        """These, but for the ``chosen`` configurations those of ``other``."""
        parts, index = [], namespace(self.site).asarray(chosen)
        for name in NAMES:
            values = getattr(self, name).copy()
            values[index] = getattr(other, name)[index]
            parts.append(values)
        return Elements(*parts)

    def __mul__(self, factor: float) -> Elements:
        return Elements(*(factor * getattr(self, name) for name in NAMES))


NAMES = ("site", "along", "across", "flux")
