"""Tables of what a protocol changes in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from magsim.errors import ConfigError

CLOCKS = ("steps", "time")


def check_clock(clock: str) -> None:
    """Raise ConfigError for an unknown ``protocol.clock``."""
    if clock not in CLOCKS:
        raise ConfigError("protocol.clock", clock, f"must be one of {', '.join(CLOCKS)}.")


def check_table(key: str, rows: Sequence[Sequence[float]], columns: Sequence[str]) -> None:
    """Raise ConfigError unless every row has these columns, is finite, and later than the one before."""
    if any(len(row) != len(columns) for row in rows):
        raise ConfigError(key, shown(rows), f"every row is [{', '.join(columns)}].")
    if not all(math.isfinite(x) for row in rows for x in row):
        raise ConfigError(key, shown(rows), "the numbers must be finite.")
    when = [row[0] for row in rows]
    if any(a >= b for a, b in pairwise(when)):
        raise ConfigError(key, shown(rows), "the first column must increase from row to row.")


def shown(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """As the user has written them."""
    return [list(row) for row in rows]


def in_steps(rows: Sequence[Sequence[float]], dt: float) -> tuple[tuple[float, ...], ...]:
    """The same with steps in the first column instead of times."""
    return tuple((row[0] / dt, *row[1:]) for row in rows)


def value_at(step: int, rows: Sequence[Sequence[float]], column: int) -> float:
    """Linear between the rows, constant before the first and after the last."""
    return float(np.interp(step, [row[0] for row in rows], [row[column] for row in rows]))
