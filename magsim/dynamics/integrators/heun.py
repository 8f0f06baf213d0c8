"""Heun's method with projection onto the sphere."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from magsim.dynamics.integrators.base import FieldFunction, Integrator, add
from magsim.dynamics.llg import rate
from magsim.dynamics.sweeps import runge_kutta
from magsim.spins import normalise


class Heun(Integrator):
    """Predictor and corrector, each brought back to ``|S| = 1``,

        S~ = S + dt f(S) ,   S' = S + dt/2 [f(S) + f(S~)] ,   f = dS/dt .

    Order 2. With noise it converges to the Stratonovich solution (Garcia-Palacios and Lazaro, Phys. Rev. B
    58, 14937, doi:10.1103/PhysRevB.58.14937).
    """

    name: ClassVar[str] = "heun"
    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 2
    error_constant: ClassVar[float] = 6.0

    def sweeps(self) -> tuple[tuple[Any, tuple[float, ...]], ...]:
        dt = self.step_size
        return (runge_kutta, (0.0, dt, 0.0, 1.0)), (runge_kutta, (0.5 * dt, 0.5 * dt, 0.0, 0.0))

    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        dt = self.step_size
        start = rate(spins, add(force, thermal), self.alpha, self.sense)
        predicted = normalise(spins + dt * start)
        end = rate(predicted, add(field(predicted)[1], thermal), self.alpha, self.sense)
        return normalise(spins + (0.5 * dt) * (start + end))
