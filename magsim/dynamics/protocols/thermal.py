"""A bath that stays as it is, or cools."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from magsim.dynamics.integrators import Integrator
from magsim.dynamics.protocols.base import Protocol, refuse_bath
from magsim.errors import ConfigError


@dataclass(frozen=True)
class Quench(Protocol):
    """From the initial state (random: infinite temperature) straight into a bath at ``integrator.T``, by
    default 0."""

    name: ClassVar[str] = "quench"

    def temperature(self, step: int, bath: float) -> float:
        return bath


@dataclass(frozen=True)
class Anneal(Protocol):
    """A bath that cools (or warms) over the run from ``T_start`` at the first step to ``T_end`` at the last,

    linear: T = T_start + x (T_end - T_start) ,   exponential: T = T_start (T_end/T_start)^x ,   x =
        step/(steps - 1) .
    """

    T_start: float = 1.0
    T_end: float = 0.01
    schedule: str = "exponential"

    name: ClassVar[str] = "anneal"
    depends_on_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in ("linear", "exponential"):
            raise ConfigError("protocol.schedule", self.schedule, "known schedules are linear, exponential.")
        lowest = "positive" if self.schedule == "exponential" else "zero or positive"
        for key in ("T_start", "T_end"):
            T = getattr(self, key)
            if not (0 < T < math.inf or (T == 0 and self.schedule == "linear")):
                raise ConfigError(
                    f"protocol.{key}", T, f"with a schedule {self.schedule} temperatures are {lowest}."
                )

    def temperature(self, step: int, bath: float) -> float:
        x = min(step / max(1, self.steps - 1), 1.0)
        if self.schedule == "linear":
            return self.T_start + x * (self.T_end - self.T_start)
        return self.T_start * (self.T_end / self.T_start) ** x

    def warmest(self, bath: float) -> float:
        return max(self.T_start, self.T_end)

    def check(self, integrator: Integrator) -> None:
        refuse_bath(self, integrator)
        if integrator.alpha == 0:
            raise ConfigError("integrator.alpha", 0.0, "protocol anneal needs damping: it couples the bath.")
