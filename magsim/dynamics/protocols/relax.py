"""Down to the next minimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from magsim.dynamics.integrators import Integrator
from magsim.dynamics.protocols.base import Protocol, refuse_bath
from magsim.errors import ConfigError

METHODS = ("llg", "cg", "lbfgs")


@dataclass(frozen=True)
class Relax(Protocol):
    """To the next minimum: no torque exceeds ``tolerance`` (in units of the hopping).

    ``llg``: damped motion at T = 0. ``cg`` and ``lbfgs``: conjugate gradients and L-BFGS on the sphere
    (:mod:`magsim.dynamics.minimise`), with far fewer fields; they need an energy, and where they end is a
    minimum, but not always the one that damped motion reaches.

    Replicas stop together, once the torques of all of them are below the tolerance: one that is done earlier
    goes on relaxing, so that it ends closer to its minimum than it would alone. Its frames up to there are
    the same.
    """

    tolerance: float = 1e-6
    method: str = "llg"

    name: ClassVar[str] = "relax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tolerance >= 0:
            raise ConfigError(
                "protocol.tolerance", self.tolerance, "the largest torque allowed, zero or positive."
            )
        if self.method not in METHODS:
            raise ConfigError("protocol.method", self.method, f"must be one of {', '.join(METHODS)}.")

    @property
    def minimiser(self) -> str | None:
        return None if self.method == "llg" else self.method

    def temperature(self, step: int, bath: float) -> float:
        return 0.0

    def warmest(self, bath: float) -> float:
        return 0.0

    def finished(self, largest_torque: float) -> bool:
        return largest_torque < self.tolerance

    @property
    def watches_torque(self) -> bool:
        return True

    def check(self, integrator: Integrator) -> None:
        refuse_bath(self, integrator)
        if integrator.alpha == 0 and self.minimiser is None:
            raise ConfigError("integrator.alpha", 0.0, "protocol relax needs damping.")
