"""What is done to the spins: relax, quench or anneal, from which start, for how long."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from magsim.dynamics.integrators import Integrator
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.spins import TEXTURES, random_spins, rng


@dataclass(frozen=True)
class Protocol(ABC):
    """A protocol says how warm the bath is at each step and when to stop.

    Attributes:
        steps: number of time steps (an upper bound where the protocol stops by itself).
        record_every: steps between recorded frames.
        replicas: independent copies run side by side.
        initial: ``"random"`` or a reference texture (ferromagnet, neel, order_120, tetrahedral).

    Raises:
        ConfigError: a value out of range.
    """

    steps: int = 1000
    record_every: int = 10
    replicas: int = 1
    initial: str = "random"

    name: ClassVar[str]
    depends_on_steps: ClassVar[bool] = False  # a schedule spans the run, which then cannot be made longer

    def __post_init__(self) -> None:
        for key in ("steps", "record_every", "replicas"):
            if not getattr(self, key) >= 1:
                raise ConfigError(f"protocol.{key}", getattr(self, key), "at least 1.")
        if self.initial != "random" and self.initial not in TEXTURES:
            raise ConfigError("protocol.initial", self.initial, f"known: random, {', '.join(TEXTURES)}.")

    @abstractmethod
    def temperature(self, step: int, bath: float) -> float:
        """Temperature of the bath during a step, given ``integrator.T``."""

    def finished(self, largest_torque: float) -> bool:
        """Whether to stop early, given ``max_i |S_i x F_i|`` over all replicas."""
        return False

    @property
    def watches_torque(self) -> bool:
        """Whether :meth:`finished` needs the torque of every step."""
        return False

    def check(self, integrator: Integrator) -> None:
        """Raise ConfigError where the integrator does not fit the protocol."""
        return None


@dataclass(frozen=True)
class Quench(Protocol):
    """From the initial state (random: infinite temperature) straight into a bath at ``integrator.T``, by
    default 0."""

    name: ClassVar[str] = "quench"

    def temperature(self, step: int, bath: float) -> float:
        return bath


@dataclass(frozen=True)
class Relax(Protocol):
    """Damped motion at T = 0 until no torque exceeds ``tolerance`` (in units of the hopping).

    Replicas stop together, once the torques of all of them are below the tolerance: one that is done earlier
    goes on relaxing, so that it ends closer to its minimum than it would alone. Its frames up to there are
    the same.
    """

    tolerance: float = 1e-6

    name: ClassVar[str] = "relax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tolerance >= 0:
            raise ConfigError(
                "protocol.tolerance", self.tolerance, "the largest torque allowed, zero or positive."
            )

    def temperature(self, step: int, bath: float) -> float:
        return 0.0

    def finished(self, largest_torque: float) -> bool:
        return largest_torque < self.tolerance

    @property
    def watches_torque(self) -> bool:
        return True

    def check(self, integrator: Integrator) -> None:
        _refuse_bath(self, integrator)
        if integrator.alpha == 0:
            raise ConfigError("integrator.alpha", 0.0, "protocol relax needs damping.")


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

    def check(self, integrator: Integrator) -> None:
        _refuse_bath(self, integrator)
        if integrator.alpha == 0:
            raise ConfigError("integrator.alpha", 0.0, "protocol anneal needs damping: it couples the bath.")


PROTOCOLS: dict[str, type[Protocol]] = {cls.name: cls for cls in (Relax, Quench, Anneal)}


def _refuse_bath(protocol: Protocol, integrator: Integrator) -> None:
    if integrator.T > 0:
        raise ConfigError(
            "integrator.T", integrator.T, f"protocol {protocol.name} sets the temperature itself; use 0."
        )


def initial_spins(protocol: Protocol, lattice: Lattice, seed: int) -> np.ndarray:
    """Start of a run, ``(R, N, 3)``; replica r is the same however many replicas there are.

    Raises:
        ConfigError: a reference texture that does not fit the lattice.
    """
    if protocol.initial == "random":
        starts = [random_spins(lattice.n_sites, rng(seed, "initial", r)) for r in range(protocol.replicas)]
        return np.stack(starts)
    return np.tile(TEXTURES[protocol.initial](lattice), (protocol.replicas, 1, 1))
