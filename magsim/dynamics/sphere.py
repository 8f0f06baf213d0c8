"""Great circles of many spins, and what moves with them."""

from __future__ import annotations

import torch
from torch import Tensor

from magsim.dynamics.llg import dot
from magsim.spins import normalise


class Geodesic:
    """The great circles on which spins leave in given directions,

        S(a) = cos(a |d|) S + sin(a |d|) d/|d| .

    Args:
        spins: ``(R, N, 3)``.
        direction: d ``(R, N, 3)``, transverse to them.
    """

    def __init__(self, spins: Tensor, direction: Tensor) -> None:
        self.spins, self.direction = spins, direction
        self._length = dot(direction, direction).sqrt()
        self._unit = direction / self._length.clamp_min(torch.finfo(direction.dtype).tiny)

    def _angle(self, a: Tensor) -> Tensor:
        return a[:, None, None] * self._length

    def at(self, a: Tensor) -> Tensor:
        """The spins at ``a (R,)``; where it is 0 they are those of the beginning, to the last bit."""
        angle = self._angle(a)
        moved = normalise(angle.cos() * self.spins + angle.sin() * self._unit)
        return torch.where(a[:, None, None] == 0, self.spins, moved)

    def velocity(self, a: Tensor) -> Tensor:
        """``dS/da`` at ``a (R,)``."""
        angle = self._angle(a)
        return self._length * (angle.cos() * self._unit - angle.sin() * self.spins)

    def carry(self, vectors: Tensor, a: Tensor) -> Tensor:
        """Parallel transport of tangent vectors ``(R, N, 3)`` to ``S(a)``, ``a (R,)``: the rotation that
        takes S there,

            w -> w + (u.w) [(cos a|d| - 1) u - sin a|d| S] ,   u = d/|d| .
        """
        angle = self._angle(a)
        along = dot(self._unit, vectors)
        return vectors + along * ((angle.cos() - 1) * self._unit - angle.sin() * self.spins)
