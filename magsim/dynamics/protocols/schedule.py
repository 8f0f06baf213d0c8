"""Any course of temperature and field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np

from magsim.dynamics.integrators import Integrator
from magsim.dynamics.protocols.base import Protocol, Vector
from magsim.errors import ConfigError

CLOCKS = ("steps", "time")


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
        if self.clock not in CLOCKS:
            raise ConfigError("protocol.clock", self.clock, f"must be one of {', '.join(CLOCKS)}.")
        for key, columns in {"T": 2, "B": 4}.items():
            rows = tuple(tuple(float(x) for x in row) for row in getattr(self, key))
            object.__setattr__(self, key, rows)
            _check_table(f"protocol.{key}", rows, columns)
        if any(row[1] < 0 for row in self.T):
            raise ConfigError("protocol.T", _shown(self.T), "temperatures are zero or positive.")

    def timed(self, dt: float) -> Schedule:
        if self.clock == "steps":
            return self
        tables = {key: tuple((row[0] / dt, *row[1:]) for row in getattr(self, key)) for key in ("T", "B")}
        return replace(self, clock="steps", T=tables["T"], B=tables["B"])

    def temperature(self, step: int, bath: float) -> float:
        return _at(step, self.T, 1) if self.T else bath

    def external(self, step: int) -> Vector | None:
        return (_at(step, self.B, 1), _at(step, self.B, 2), _at(step, self.B, 3)) if self.B else None

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


def _check_table(key: str, rows: Sequence[Sequence[float]], columns: int) -> None:
    if any(len(row) != columns for row in rows):
        names = "[when, T]" if columns == 2 else "[when, Bx, By, Bz]"
        raise ConfigError(key, _shown(rows), f"every row is {names}.")
    if not all(math.isfinite(x) for row in rows for x in row):
        raise ConfigError(key, _shown(rows), "the numbers must be finite.")
    when = [row[0] for row in rows]
    if any(a >= b for a, b in pairwise(when)):
        raise ConfigError(key, _shown(rows), "the first column must increase from row to row.")


def _shown(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    return [list(row) for row in rows]


def _at(step: int, rows: Sequence[Sequence[float]], column: int) -> float:
    return float(np.interp(step, [row[0] for row in rows], [row[column] for row in rows]))
