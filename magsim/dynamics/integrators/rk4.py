"""The classical Runge-Kutta method with projection onto the sphere."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from magsim.dynamics.integrators.base import FieldFunction, Integrator, add
from magsim.dynamics.llg import rate
from magsim.dynamics.sweeps import runge_kutta
from magsim.spins import normalise


class RK4(Integrator):
    """Four stages ``k``, weights 1/6, 1/3, 1/3, 1/6.

    The stages see ``f(S/|S|)``, which equals ``f(S)`` on the sphere and is smooth near it: order 4 holds, and
    a field is only ever asked about unit spins. The thermal field is constant over the step, as for the other
    methods.
    """

    name: ClassVar[str] = "rk4"
    order: ClassVar[int] = 4
    evaluations: ClassVar[int] = 4
    error_constant: ClassVar[float] = 120.0

    def sweeps(self) -> tuple[tuple[Any, tuple[float, ...]], ...]:
        dt = self.step_size
        return (
            (runge_kutta, (0.0, dt / 2, 0.0, 1.0)),
            (runge_kutta, (0.0, dt / 2, 1.0, 2.0)),
            (runge_kutta, (0.0, dt, 1.0, 2.0)),
            (runge_kutta, (dt / 6, dt / 6, 0.0, 0.0)),
        )

    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        dt = self.step_size

        def f(moved: Tensor) -> Tensor:
            unit = normalise(moved)
            return rate(unit, add(field(unit)[1], thermal), self.alpha, self.sense)

        k1 = rate(spins, add(force, thermal), self.alpha, self.sense)
        k2 = f(spins + 0.5 * dt * k1)
        k3 = f(spins + 0.5 * dt * k2)
        k4 = f(spins + dt * k3)
        return normalise(spins + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
