"""The implicit spherical midpoint method."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from magsim.dynamics.integrators.base import FieldFunction, Integrator, add
from magsim.dynamics.integrators.sib import cayley
from magsim.dynamics.llg import rotation_vector
from magsim.dynamics.share import share_of
from magsim.dynamics.sweeps import midpoint
from magsim.errors import RunError
from magsim.spins import normalise

TOLERANCE = 1e-13  # largest change of a spin component in the last iteration
MAX_ITERATIONS = 100


class Midpoint(Integrator):
    """The midpoint rule with the midpoint put onto the sphere, with ``dS/dt = S x A(S)``,

        S' = S + dt M x A(M) ,   M = (S + S')/|S + S'| ,

    solved by fixed-point iteration until no component changes by more than 1e-13 (float32: by 16 times its
    rounding). Order 2, symmetric in time, ``|S| = 1`` by construction; without damping it is symplectic on
    the spheres and its energy error stays bounded. For long runs without damping; an iteration costs one
    field, and there are about ``ln(1e13)/ln(2/(dt w))`` of them at the rate of turning w. McLachlan, Modin
    and Verdier, Phys. Rev. E 89, 061301, doi:10.1103/PhysRevE.89.061301.

    Each replica iterates until it has converged and then stays as it is: a batch gives what its members give
    alone.
    """

    name: ClassVar[str] = "midpoint"
    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 12  # typical
    error_constant: ClassVar[float] = 24.0
    implicit: ClassVar[bool] = True

    def sweeps(self) -> tuple[tuple[Any, tuple[float, ...]], ...]:
        return ((midpoint, (self.step_size,)),)

    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        """Advance by dt.

        Raises:
            RunError: the iteration has not converged after 100 rounds.
        """
        tolerance = max(TOLERANCE, 16 * torch.finfo(spins.dtype).eps)
        w = rotation_vector(spins, add(force, thermal), self.alpha, self.sense)
        moved = cayley(spins, 0.5 * self.step_size * w)
        running = torch.ones(len(spins), dtype=torch.bool, device=spins.device)
        change = torch.zeros(len(spins))
        for _ in range(MAX_ITERATIONS):
            total = spins + moved
            length = total.norm(dim=-1, keepdim=True)
            middle = total / length
            w = rotation_vector(middle, add(field(middle)[1], thermal), self.alpha, self.sense)
            again = cayley(spins, (self.step_size / length) * w)
            change = share_of(field).largest_of((again - moved).abs().amax(dim=(-2, -1)))
            moved = torch.where(running[:, None, None], again, moved)
            running = running & ~(change <= tolerance)
            if not bool(running.any()):
                return normalise(moved)  # removes rounding only
        raise not_converged(float(change.max()), tolerance)


def not_converged(change: float, tolerance: float) -> RunError:
    """The error of an iteration that goes on."""
    return RunError(
        f"integrator midpoint: the implicit step did not converge in {MAX_ITERATIONS} iterations (last "
        f"change {change:.1e}, allowed {tolerance:.0e}); a smaller integrator.dt will help."
    )
