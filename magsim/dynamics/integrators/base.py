"""What the integrators share: their parameters and the time step that a torque allows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from magsim.dynamics.llg import cross
from magsim.errors import ConfigError

FieldFunction = Callable[[Tensor], tuple[Tensor, Tensor]]

STEP_ERROR = 1e-3


@dataclass(frozen=True)
class Integrator(ABC):
    """A one-step method for ``dS/dt = s S x F - alpha S x (S x F)`` on unit spins ``(R, N, 3)``.

    Attributes:
        dt: time step in units of 1/hopping; None to be chosen by :func:`suggest_timestep` before a run.
        alpha: damping, >= 0.
        T: temperature of the bath in units of the hopping, >= 0.
        sense: s, +1 or -1.
        tolerance: error per unit of time of adaptive steps (:mod:`magsim.dynamics.adaptive`), T = 0 only; dt
            is then the time between two states. None: steps of dt.
        order: order of convergence without noise.
        evaluations: fields per step.

    Raises:
        ConfigError: a value out of range, or a bath (T > 0) that couples to nothing (alpha = 0).
    """

    dt: float | None = None
    alpha: float = 0.5
    T: float = 0.0
    sense: int = 1
    tolerance: float | None = None

    name: ClassVar[str]
    order: ClassVar[int]
    evaluations: ClassVar[int]
    implicit: ClassVar[bool] = False  # its one sweep is repeated until nothing changes
    error_constant: ClassVar[float]  # error of one step = (angle per step)^(order + 1) / error_constant

    def __post_init__(self) -> None:
        if self.dt is not None and not 0 < self.dt < math.inf:
            raise ConfigError(
                "integrator.dt", self.dt, "the time step is positive (null: suggested from the torque)."
            )
        if not 0 <= self.alpha < math.inf:
            raise ConfigError("integrator.alpha", self.alpha, "the damping is zero or positive.")
        if not 0 <= self.T < math.inf:
            raise ConfigError("integrator.T", self.T, "the temperature is zero or positive.")
        if self.sense not in (1, -1):
            raise ConfigError("integrator.sense", self.sense, "the sense of precession is 1 or -1.")
        if self.tolerance is not None and not (0 < self.tolerance < math.inf and self.T == 0):
            raise ConfigError(
                "integrator.tolerance", self.tolerance, "adaptive steps need a positive tolerance and T = 0."
            )
        if self.T > 0 and self.alpha == 0:
            raise ConfigError("integrator.T", self.T, "a temperature needs damping: integrator.alpha > 0.")

    @property
    def step_size(self) -> float:
        """dt as a number.

        Raises:
            ConfigError: dt has not been chosen.
        """
        if self.dt is None:
            raise ConfigError(
                "integrator.dt", None, "choose a time step (suggest_timestep) before integrating."
            )
        return self.dt

    def check_field(self, field: FieldFunction) -> None:
        """Raise ConfigError where the method cannot take the field; most take any."""
        return None

    def sweeps(self) -> tuple[tuple[Any, tuple[float, ...]], ...]:
        """A step as sweeps of :mod:`magsim.dynamics.sweeps` with their constants, for classical fields on a
        CPU; empty where the method has none."""
        return ()

    @abstractmethod
    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        """Advance by dt.

        Args:
            field: ``energy, F = field(spins)``.
            spins: ``(R, N, 3)`` unit vectors.
            force: F at ``spins``, which the caller knows already (it needed the energy).
            thermal: field of the bath, constant over the step and added to F in both terms; None at T = 0.
        """


def add(force: Tensor, thermal: Tensor | None) -> Tensor:
    """F plus the thermal field, if any."""
    return force if thermal is None else force + thermal


def suggest_timestep(
    field_values: Tensor,
    spins: Tensor,
    integrator: Integrator | type[Integrator],
    error: float = STEP_ERROR,
    torque_floor: float = 0.0,
) -> float:
    """The time step whose error per step is about ``error`` radians for the spin that turns fastest,

        dt = (c error)^(1/(p+1)) / w ,   w = sqrt(s^2 + alpha^2) max_i |S_i x F_i| ,

    because a spin that turns at a steady rate w is off by ``(w dt)^(p+1) / c`` after one step of a method of
    order p (c = 6 Heun, 12 SIB, 24 midpoint, 120 RK4; Depondt and Suzuki-Trotter are exact for a constant
    field, but not when its sources turn: 12). A bath also limits the rms angle of one kick,
    ``sqrt(4 alpha T dt)``, to 0.2, which keeps thermal averages within one or two per cent (their error is
    linear in dt).

    Args:
        field_values: F ``(..., N, 3)`` at ``spins``; take random spins, where the torques are large: near
            equilibrium they vanish, but the spins still precess about |F|.
        integrator: a method (its ``alpha`` and ``T`` count if it is an instance).
        torque_floor: a torque that is known to occur although these spins do not show it.

    Raises:
        ConfigError: there is no torque at all to choose a step by.
    """
    alpha, T = (integrator.alpha, integrator.T) if isinstance(integrator, Integrator) else (0.0, 0.0)
    torque = max(float(cross(spins, field_values).norm(dim=-1).max()), torque_floor)
    if not torque > 1e-12:
        raise ConfigError("integrator.dt", None, "no torque to choose a time step by; give a number.")
    angle = (integrator.error_constant * error) ** (1 / (integrator.order + 1))
    dt = angle / (math.hypot(1.0, alpha) * torque)
    return min(dt, 0.2**2 / (4 * alpha * T)) if alpha * T > 0 else dt
