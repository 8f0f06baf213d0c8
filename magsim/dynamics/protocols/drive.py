"""A bias between two leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from magsim.dynamics.integrators import Integrator
from magsim.dynamics.protocols.base import Protocol
from magsim.dynamics.protocols.tables import check_clock, check_table, in_steps, value_at
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.spins import afm_fm_wall, domain_wall, rng, tilted


@dataclass(frozen=True)
class Drive(Protocol):
    """A strip between two leads whose bias ``eV = mu_L - mu_R`` is constant or follows a table; the bath of
    the spins is at ``integrator.T``. Replicas with a voltage each start from one and the same state.

    Attributes:
        clock: what stands in the first column of a table, the number of the step or the time, ``step * dt``.
        V: eV in units of the hopping: a number; a list of numbers, one replica each; or a table with rows
            ``(when, eV)`` or ``(when, eV of replica 0, eV of replica 1, ...)``, linear between its rows and
            constant before the first and after the last.
        wall: place of the wall of the initial state, in columns; None: the middle.
        width: of a 180-degree wall to begin with, in columns.
        tilt: rms angle by which every initial spin is turned at random, in radians.

    Raises:
        ConfigError: a value out of range, or as many voltages as there are no replicas.
    """

    initial: str = "afm_fm_wall"
    clock: str = "time"
    V: Any = 0.0
    wall: float | None = None
    width: float = 4.0
    tilt: float = 0.0

    name: ClassVar[str] = "drive"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_clock(self.clock)
        rows = _rows(self.V)
        columns = max(len(rows[0]), 2) - 1
        names = ["V"] if columns == 1 else [f"V_{r}" for r in range(columns)]
        check_table("protocol.V", rows, ["when", *names])
        if columns > 1 and self.replicas not in (1, columns):
            words = f"protocol.V has {columns} voltages, one for each replica; use {columns}."
            raise ConfigError("protocol.replicas", self.replicas, words)
        if not 0 <= self.tilt < np.inf:
            raise ConfigError("protocol.tilt", self.tilt, "an angle in radians, zero or positive.")
        if not 0 < self.width < np.inf:
            raise ConfigError("protocol.width", self.width, "the width of a wall is positive.")
        object.__setattr__(self, "V", rows)
        object.__setattr__(self, "replicas", max(columns, self.replicas))

    def timed(self, dt: float) -> Drive:
        return self if self.clock == "steps" else replace(self, clock="steps", V=in_steps(self.V, dt))

    def temperature(self, step: int, bath: float) -> float:
        return bath

    def voltage(self, step: int) -> float | np.ndarray:
        values = [value_at(step, self.V, column) for column in range(1, len(self.V[0]))]
        return values[0] if len(values) == 1 else np.array(values)

    @property
    def biased_apart(self) -> bool:
        """Whether every replica has a voltage of its own."""
        return len(self.V[0]) > 2

    def check(self, integrator: Integrator) -> None:
        if self.biased_apart and integrator.tolerance is not None:
            words = "adaptive steps move replicas one by one, which needs one voltage for all; use null."
            raise ConfigError("integrator.tolerance", integrator.tolerance, words)

    def start(self, lattice: Lattice, seed: int, replica: int) -> np.ndarray:
        replica = 0 if self.biased_apart else replica
        if self.initial == "domain_wall":
            spins = domain_wall(lattice, self.wall, self.width)
        elif self.initial == "afm_fm_wall":
            spins = afm_fm_wall(lattice, self.wall)
        else:
            spins = super().start(lattice, seed, replica)
        return tilted(spins, self.tilt, rng(seed, "tilt", replica)) if self.tilt else spins


def _rows(given: Any) -> tuple[tuple[float, ...], ...]:
    """The table that a number, a list of numbers or a table means."""
    if not isinstance(given, Sequence):
        return ((0.0, float(given)),)
    if not len(given):
        raise ConfigError("protocol.V", [], "needs a number, a list of numbers, or rows [when, V].")
    if not any(isinstance(row, Sequence) for row in given):
        return ((0.0, *(float(V) for V in given)),)
    return tuple(
        tuple(float(x) for x in row) if isinstance(row, Sequence) else (float(row),) for row in given
    )
