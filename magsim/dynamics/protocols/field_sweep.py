"""Hysteresis loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from magsim.dynamics.integrators import Integrator
from magsim.dynamics.protocols.base import Protocol, Vector
from magsim.errors import ConfigError


@dataclass(frozen=True)
class FieldSweep(Protocol):
    """A field along one direction goes from ``B_max`` down to ``-B_max`` and up again, in equal intervals.

    At each value the spins move for ``hold`` steps, or until no torque exceeds ``tolerance``: a state at rest
    stays where it is, so that the steps until the next value are passed over. Which value acts thus depends
    on the number of the step alone. The frame at step ``(k + 1) hold`` is the state that value k has led to.

    At T = 0 spins exactly along the field feel no torque and never turn: choose a direction that is not an
    axis of the spins, random spins to begin with, or a bath.

    Attributes:
        steps: 0: the whole loop.
        direction: of the field, of any length.
        B_max: largest field times the moment.
        points: values of one branch, -B_max and B_max among them.
        hold: steps at each value, at most; a multiple of ``record_every``.
        tolerance: largest torque |S x F| of a state at rest; None: ``hold`` steps at every value.

    Raises:
        ConfigError: a value out of range.
    """

    steps: int = 0
    record_every: int = 200
    direction: Sequence[float] = (0.0, 0.0, 1.0)
    B_max: float = 1.0
    points: int = 21
    hold: int = 200
    tolerance: float | None = None

    name: ClassVar[str] = "field_sweep"

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", tuple(float(x) for x in self.direction))
        length = math.hypot(*self.direction)
        if len(self.direction) != 3 or not 0 < length < math.inf:
            raise ConfigError(
                "protocol.direction", list(self.direction), "needs three finite numbers, not all zero."
            )
        if not 0 < self.B_max < math.inf:
            raise ConfigError("protocol.B_max", self.B_max, "the largest field is positive.")
        if self.points < 2:
            raise ConfigError("protocol.points", self.points, "a branch has at least two values.")
        if self.hold < 1 or self.hold % self.record_every:
            raise ConfigError(
                "protocol.hold", self.hold, f"a multiple of protocol.record_every={self.record_every}."
            )
        if self.tolerance is not None and not self.tolerance > 0:
            raise ConfigError(
                "protocol.tolerance", self.tolerance, "the largest torque at rest, positive, or null."
            )
        whole = self.hold * (2 * self.points - 1)
        if self.steps > whole:
            raise ConfigError("protocol.steps", self.steps, f"the loop has {whole} steps.")
        object.__setattr__(self, "steps", self.steps or whole)
        super().__post_init__()

    @cached_property
    def values(self) -> np.ndarray:
        """``(2 points - 1,)`` fields along the direction, in the order of the loop."""
        down = np.linspace(self.B_max, -self.B_max, self.points)
        return np.concatenate([down, down[-2::-1]])

    def value_at(self, step: int) -> float:
        """Field along the direction during a step; after the end of the loop its last one."""
        return float(self.values[min(step // self.hold, len(self.values) - 1)])

    def temperature(self, step: int, bath: float) -> float:
        return bath

    def external(self, step: int) -> Vector:
        scale = self.value_at(step) / math.hypot(*self.direction)
        x, y, z = self.direction
        return (scale * x, scale * y, scale * z)

    @property
    def strongest(self) -> Vector:
        return self.external(0)

    def goes_on_at(self, step: int, largest_torque: float) -> int:
        if self.tolerance is None or largest_torque >= self.tolerance:
            return step
        return (step // self.hold + 1) * self.hold

    @property
    def watches_torque(self) -> bool:
        return self.tolerance is not None

    def check(self, integrator: Integrator) -> None:
        if self.tolerance is None:
            return
        if integrator.T > 0:
            raise ConfigError(
                "protocol.tolerance", self.tolerance, "spins in a bath are never at rest; use null."
            )
        if integrator.alpha == 0:
            raise ConfigError("integrator.alpha", 0.0, "a sweep from rest to rest needs damping.")
