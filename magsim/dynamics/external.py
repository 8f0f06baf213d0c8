"""A uniform field that a protocol changes from step to step."""

from __future__ import annotations

import torch
from torch import Tensor

from magsim.dynamics.integrators import FieldFunction
from magsim.dynamics.protocols import Protocol
from magsim.dynamics.share import share_of


class Driven:
    """An effective field plus that of the protocol, ``E - B . sum_i S_i`` and ``F + B``.

    B lies in one tensor whose content changes, so that a recorded step sees the new value.

    Args:
        field: ``energy, F = field(spins)``.
        protocol: gives B at each step.
        like: spins of the run, for dtype and device.

    Attributes:
        undriven: the field without that of the protocol.
        share: of the run, whose sites these are.
    """

    def __init__(self, field: FieldFunction, protocol: Protocol, like: Tensor) -> None:
        self.undriven, self.share = field, share_of(field)
        self._protocol = protocol
        self._B = like.new_zeros(3)
        self._now: tuple[float, float, float] | None = (0.0, 0.0, 0.0)

    def at(self, step: int) -> None:
        """Let the field be that of a step."""
        value = self._protocol.external(step)
        if value != self._now:
            self._B.copy_(torch.tensor(value, dtype=self._B.dtype))
            self._now = value

    def __call__(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        energy, force = self.undriven(spins)
        return energy - spins.sum(-2) @ self._B, force + self._B
