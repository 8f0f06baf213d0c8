"""Any course of temperature and field."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from magsim.dynamics.integrators import Integrator
from magsim.dynamics.protocols.base import Protocol, Vector
from magsim.dynamics.protocols.tables import check_clock, check_table, in_steps, shown, value_at
from magsim.errors import ConfigError


@dataclass(frozen=True)
class Schedule(Protocol):
    """Temperature and external field follow tables: linear between their rows, constant before the first and
    after the last.

    Attributes:
        clock: what stands in the first column, the number of the step or the time, ``step * dt``.
        T: rows ``(when, temperature)``; empty: the bath stays at ``integrator.T``.
        B: rows ``(when, B_x, B_y, B_z)``, the field times the moment; empty: no external field.

    Raises:
        ConfigError: rows of the wrong length, not in order, or with numbers out of range.
    """

    clock: str = "steps"
    T: tuple[tuple[float, ...], ...] = ()
    B: tuple[tuple[float, ...], ...] = ()

    name: ClassVar[str] = "schedule"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clock(self.clock)
        for key, columns in {"T": ("when", "T"), "B": ("when", "Bx", "By", "Bz")}.items():
            rows = tuple(tuple(float(x) for x in row) for row in getattr(self, key))
            object.__setattr__(self, key, rows)
            check_table(f"protocol.{key}", rows, columns)
        if any(row[1] < 0 for row in self.T):
            raise ConfigError("protocol.T", shown(self.T), "temperatures are zero or positive.")

    def timed(self, dt: float) -> Schedule:
        if self.clock == "steps":
            return self
        return replace(self, clock="steps", T=in_steps(self.T, dt), B=in_steps(self.B, dt))

    def temperature(self, step: int, bath: float) -> float:
        return value_at(step, self.T, 1) if self.T else bath

    def external(self, step: int) -> Vector | None:
        return (
            (value_at(step, self.B, 1), value_at(step, self.B, 2), value_at(step, self.B, 3))
            if self.B
            else None
        )

    def warmest(self, bath: float) -> float:
        return max((row[1] for row in self.T), default=bath)

    @property
    def strongest(self) -> Vector | None:
        rows = [(row[1], row[2], row[3]) for row in self.B]
        return max(rows, key=lambda row: math.hypot(*row), default=None)

    def check(self, integrator: Integrator) -> None:
        if self.T and integrator.T > 0:
            raise ConfigError("integrator.T", integrator.T, "protocol.T sets the temperature; use 0.")
        if self.warmest(0.0) > 0 and integrator.alpha == 0:
            raise ConfigError("integrator.alpha", 0.0, "protocol.T needs damping: it couples the bath.")
