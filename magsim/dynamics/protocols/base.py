"""What every protocol says, and where a run starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from magsim.dynamics.effective_field import NO_BIAS
from magsim.dynamics.integrators import Integrator
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.spins import TEXTURES, WALLS, random_spins, rng

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Protocol(ABC):
    """A protocol says how warm the bath is at each step, which uniform field acts, and when to stop.

    Everything but the end depends on the number of the step alone, so that a run continues from any frame.

    Attributes:
        steps: number of time steps (an upper bound where the protocol stops by itself).
        record_every: steps between recorded frames.
        replicas: independent copies run side by side.
        initial: ``"random"``, a reference texture (ferromagnet, neel, order_120, tetrahedral) or a wall
            (afm_fm_wall, domain_wall).

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
        known = ("random", *TEXTURES, *WALLS)
        if self.initial not in known:
            raise ConfigError("protocol.initial", self.initial, f"known: {', '.join(known)}.")

    @abstractmethod
    def temperature(self, step: int, bath: float) -> float:
        """Temperature of the bath during a step, given ``integrator.T``."""

    def external(self, step: int) -> Vector | None:
        """Uniform field B (times the moment) during a step, of an energy ``-B . sum_i S_i`` that adds to that
        of the effective field; None: this protocol has none."""
        return None

    def voltage(self, step: int) -> float | np.ndarray | None:
        """Bias eV during a step, one number or ``(R,)`` one for each replica; None: that of the field."""
        return None

    def start(self, lattice: Lattice, seed: int, replica: int) -> np.ndarray:
        """``(N, 3)`` that a replica starts from.

        Raises:
            ConfigError: a texture that does not fit the lattice.
        """
        if self.initial == "random":
            return random_spins(lattice.n_sites, rng(seed, "initial", replica))
        return {**TEXTURES, **WALLS}[self.initial](lattice)

    def finished(self, largest_torque: float) -> bool:
        """Whether to stop early, given ``max_i |S_i x F_i|`` over all replicas."""
        return False

    def goes_on_at(self, step: int, largest_torque: float) -> int:
        """The step that follows a state: a later one where nothing moves until then."""
        return step

    @property
    def watches_torque(self) -> bool:
        """Whether :meth:`finished` and :meth:`goes_on_at` need the torque of every step."""
        return False

    @property
    def minimiser(self) -> str | None:
        """Name of the minimiser that takes the place of the integrator; None: there is motion in time."""
        return None

    def timed(self, dt: float) -> Protocol:
        """The same with the time step known, for tables in units of time."""
        return self

    def warmest(self, bath: float) -> float:
        """Highest temperature of the bath in the run, given ``integrator.T``."""
        return bath

    @property
    def strongest(self) -> Vector | None:
        """The largest external field of the run; None without."""
        return None

    def check(self, integrator: Integrator) -> None:
        """Raise ConfigError where the integrator does not fit the protocol."""
        return None

    def check_field(self, field: object) -> None:
        """Raise ConfigError where the protocol needs an energy or a bias and the field has none."""
        if self.minimiser is not None and not getattr(field, "conservative", True):
            words = "needs an energy, which this field does not have; llg takes any field."
            raise ConfigError("protocol.method", self.minimiser, words)
        if self.voltage(0) is not None and not getattr(field, "takes_voltage", False):
            words = f"field {getattr(field, 'name', 'given')} {NO_BIAS}"
            raise ConfigError("protocol.name", self.name, words)


def refuse_bath(protocol: Protocol, integrator: Integrator) -> None:
    """Raise ConfigError for ``integrator.T`` beside a protocol with temperatures of its own."""
    if integrator.T > 0:
        raise ConfigError(
            "integrator.T", integrator.T, f"protocol {protocol.name} sets the temperature itself; use 0."
        )


def initial_spins(protocol: Protocol, lattice: Lattice, seed: int) -> np.ndarray:
    """Start of a run, ``(R, N, 3)``; replica r is the same however many replicas there are.

    Raises:
        ConfigError: a reference texture that does not fit the lattice.
    """
    return np.stack([protocol.start(lattice, seed, r) for r in range(protocol.replicas)])
