"""Symmetry-adapted combinations of the elements of an environment, one orbit of the point group at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class OrbitTransform(nn.Module):
    """``f = A x`` for elements x of many environments, where A mixes the members of an orbit alone.

    An orbit of s elements gives s combinations, and s is at most the order |G| of the group: the transform
    costs m |G| products a site where the dense matrix costs m^2. Sites are the last axis, so that every step
    is a matrix product or a copy of long rows.

    Args:
        orbits: indices of the elements of each orbit, all m of them once.
        adapt: ``(m, m)`` A; which rows belong to which orbit is read off its zeros.

    Attributes:
        order: ``(m,)`` elements, orbit by orbit, as :meth:`forward` takes them.
        made, places: rows of A in that order, and where each row is in it.
    """

    order: Tensor
    made: Tensor
    places: Tensor

    def __init__(self, orbits: Sequence[np.ndarray], adapt: np.ndarray) -> None:
        super().__init__()
        sizes = sorted({len(orbit) for orbit in orbits})
        columns, rows, self.shapes = [], [], []
        for size in sizes:
            own = [orbit for orbit in orbits if len(orbit) == size]
            columns.append(np.stack(own))
            rows.append(
                np.stack([np.flatnonzero(np.abs(adapt[:, orbit]).max(axis=1) > 1e-9) for orbit in own])
            )
            self.shapes.append((len(own), size))
            matrices = adapt[rows[-1][:, :, None], columns[-1][:, None, :]]
            self.register_buffer(_name(size), torch.tensor(matrices))
        order = np.concatenate([part.ravel() for part in columns])
        made = np.concatenate([part.ravel() for part in rows])
        for name, array in (("order", order), ("made", made), ("places", np.argsort(made))):
            self.register_buffer(name, torch.tensor(array), persistent=False)

    def _parts(self, x: Tensor) -> list[Tensor]:
        """``(B, orbits, s, n)`` of each size, of x ``(B, m, n)`` in order."""
        parts = x.split([count * size for count, size in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def matrices(self) -> list[Tensor]:
        """Blocks ``(orbits, s, s)`` of A for each size of an orbit."""
        return [getattr(self, _name(size)) for _, size in self.shapes]

    def dense(self) -> Tensor:
        """A ``(m, m)``."""
        own = self.matrices()
        result = own[0].new_zeros(len(self.order), len(self.order))
        for block, (rows, columns) in zip(own, self._places(), strict=True):
            result[rows[:, :, None], columns[:, None, :]] = block
        return result

    def blocks_of(self, adapt: Tensor) -> dict[str, Tensor]:
        """What is saved of a matrix A."""
        return {
            _name(size): adapt[rows[:, :, None], columns[:, None, :]]
            for (_, size), (rows, columns) in zip(self.shapes, self._places(), strict=True)
        }

    def _places(self) -> list[tuple[Tensor, Tensor]]:
        """Rows and columns ``(orbits, s)`` of A for each size."""
        sizes = [count * size for count, size in self.shapes]
        parts = zip(self.made.split(sizes), self.order.split(sizes), self.shapes, strict=True)
        return [(rows.view(shape), columns.view(shape)) for rows, columns, shape in parts]

    def forward(self, elements: Tensor) -> Tensor:
        """Rows ``(B, m, n)`` of A applied to ``elements`` ``(B, m, n)`` in :attr:`order`."""
        parts = zip(self.matrices(), self._parts(elements), strict=True)
        return torch.cat([(a @ x).flatten(1, 2) for a, x in parts], dim=1).index_select(1, self.places)

    def pull(self, gradient: Tensor) -> Tensor:
        """Derivatives by the elements, in :attr:`order`, from those by the rows of A."""
        own = gradient.index_select(1, self.made)
        parts = zip(self.matrices(), self._parts(own), strict=True)
        return torch.cat([(a.transpose(1, 2) @ g).flatten(1, 2) for a, g in parts], dim=1)


def _name(size: int) -> str:
    return f"orbits_of_{size}"
