"""Semi-implicit method B of Mentink et al."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from magsim.dynamics.integrators.base import FieldFunction, Integrator, add
from magsim.dynamics.llg import cross, dot, rotation_vector
from magsim.dynamics.sweeps import semi_implicit
from magsim.spins import normalise


class SIB(Integrator):
    """Two rotations, with ``dS/dt = S x A``,

        S~ = S + dt (S + S~)/2 x A(S) ,   S' = S + dt (S + S')/2 x A((S + S~)/2) ,

    each implicit in its own spin only and solved in closed form (:func:`cayley`), so that ``|S| = 1`` without
    projection. Order 2; Stratonovich. Mentink, Tretyakov, Fasolino, Katsnelson and Rasing, J. Phys.: Condens.
    Matter 22, 176001, doi:10.1088/0953-8984/22/17/176001, arXiv:1002.1801.

    A field is asked about unit spins, so the midpoint is normalised: a change of A of order dt^2, within the
    order.
    """

    name: ClassVar[str] = "sib"
    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 2
    error_constant: ClassVar[float] = 12.0

    def sweeps(self) -> tuple[tuple[Any, tuple[float, ...]], ...]:
        return (semi_implicit, (self.step_size / 2, 1.0)), (semi_implicit, (self.step_size / 2, 0.0))

    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        dt = self.step_size
        predicted = cayley(
            spins, 0.5 * dt * rotation_vector(spins, add(force, thermal), self.alpha, self.sense)
        )
        middle = normalise(spins + predicted)
        force = field(middle)[1]
        turned = cayley(
            spins, 0.5 * dt * rotation_vector(middle, add(force, thermal), self.alpha, self.sense)
        )
        return normalise(turned)  # removes rounding only, which would add up over many steps


def cayley(spins: Tensor, b: Tensor) -> Tensor:
    """Solve ``S' = S + (S + S') x b`` for ``S'``: the rotation of S about b by ``-2 atan |b|``,

    S' = [(1 - b^2) S + 2 (b.S) b + 2 S x b] / (1 + b^2) .
    """
    b2 = dot(b, b)
    return ((1 - b2) * spins + 2 * dot(b, spins) * b + 2 * cross(spins, b)) / (1 + b2)
