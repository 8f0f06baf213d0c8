"""The rotation method of Depondt and Mertens."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from magsim.dynamics.integrators.base import FieldFunction, Integrator, add
from magsim.dynamics.llg import cross, dot, rotation_vector
from magsim.dynamics.sweeps import rotation
from magsim.spins import normalise


class Depondt(Integrator):
    """Predictor and corrector, each a rotation by a finite angle, with ``dS/dt = S x A``,

        S~ = R[dt A(S)] S ,   S' = R[dt (A(S) + A(S~))/2] S ,

    where ``R[w]`` turns about w by ``-|w|`` (:func:`turn`), so that ``|S| = 1`` without projection. Order 2;
    Stratonovich. Exact for a spin that turns steadily about a fixed field. Depondt and Mertens, J. Phys.:
    Condens. Matter 21, 336005, doi:10.1088/0953-8984/21/33/336005.
    """

    name: ClassVar[str] = "depondt"
    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 2
    error_constant: ClassVar[float] = 12.0  # of the mean of two A, while the neighbours turn

    def sweeps(self) -> tuple[tuple[Any, tuple[float, ...]], ...]:
        return (rotation, (0.0, self.step_size)), (rotation, (self.step_size / 2, self.step_size / 2))

    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        start = rotation_vector(spins, add(force, thermal), self.alpha, self.sense)
        predicted = normalise(turn(spins, self.step_size * start))
        end = rotation_vector(predicted, add(field(predicted)[1], thermal), self.alpha, self.sense)
        return normalise(turn(spins, (0.5 * self.step_size) * (start + end)))


def turn(spins: Tensor, w: Tensor) -> Tensor:
    """The solution of ``dS/dt = S x w`` after unit time: S turned about w by ``-|w|`` (Rodrigues),

    S' = cos|w| S + (sin|w|/|w|) S x w + ((1 - cos|w|)/w^2) (S.w) w .
    """
    half = dot(w, w).sqrt() / 2
    sine = torch.sinc(half / torch.pi)  # sin(|w|/2) / (|w|/2), 1 at w = 0
    cosine = half.cos()
    return (
        (cosine**2 - (half * sine) ** 2) * spins
        + (sine * cosine) * cross(spins, w)
        + (0.5 * sine**2) * dot(spins, w) * w
    )
