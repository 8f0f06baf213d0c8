"""The state of a run and how it moves on: by torch operations, or for classical fields by compiled loops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from magsim.dynamics.adaptive import adaptive_step
from magsim.dynamics.compiled import CompiledSteps
from magsim.dynamics.effective_field import ClassicalField
from magsim.dynamics.external import Driven
from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.llg import component_major
from magsim.dynamics.minimise import MINIMISERS
from magsim.dynamics.protocols import Protocol
from magsim.dynamics.share import WHOLE, Share
from magsim.dynamics.thermostat import Noise, diffusion

CADENCE = 16  # steps


@dataclass(frozen=True, eq=False)
class Course:
    """What moves, and by what.

    Attributes:
        field, integrator, protocol: of the run.
        spins: ``(R, N, 3)``.
        noise: of the bath.
        share: which sites of the run the spins are.
        stride: steps between recorded frames.
    """

    field: FieldFunction
    integrator: Integrator
    protocol: Protocol
    spins: Tensor
    noise: Noise
    share: Share = WHOLE
    stride: int = 1


class Walk(ABC):
    """Spins in a field and a bath.

    Attributes:
        cadence: steps between two looks at whether the field is finite; more than one where a look makes a
            GPU wait or costs a field.
        torque_cadence: steps between two looks at the torques. The same for every field and device, so that
            a run that stops at a torque stops at the same step.
        stalled: nothing will move any more.
    """

    cadence: int
    torque_cadence: int = CADENCE
    stalled: bool = False

    def __init__(self, course: Course) -> None:
        field, protocol = course.field, course.protocol
        self._integrator, self._protocol, self._noise = course.integrator, protocol, course.noise
        self._biased: Any = field if protocol.voltage(0) is not None else None
        self._voltage: Any = None
        self._driven = None if protocol.strongest is None else Driven(field, protocol, course.spins)
        self._field = field if self._driven is None else self._driven

    @abstractmethod
    def enter(self, step: int) -> None:
        """The spins stay, external field and bias are those of ``step`` from now on."""

    @abstractmethod
    def look(self) -> tuple[Tensor, Tensor, Tensor]:
        """Spins ``(R, N, 3)``, energies and fields."""

    @abstractmethod
    def not_finite(self) -> Tensor | None:
        """None if the field is finite, else ``(R, N)``: where it is. What is not finite stays so."""

    @abstractmethod
    def advance(self, step: int) -> None:
        """Do one step; :meth:`enter` follows."""

    def _set_external(self, step: int) -> None:
        """Field and bias of the protocol."""
        if self._driven is not None:
            self._driven.at(step)
        voltage: Any = self._protocol.voltage(step)
        if self._biased is not None and not np.array_equal(voltage, self._voltage):
            self._biased.set_voltage(voltage)
            self._voltage = voltage

    def _strength(self, step: int) -> float:
        """D of the bath."""
        T = self._protocol.temperature(step, self._integrator.T)
        return diffusion(self._integrator.alpha, T, self._integrator.sense)


class TorchWalk(Walk):
    """Any field, by the step of the integrator."""

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        spins = course.spins
        # every step where it costs little: eigensolvers fail obscurely on spins that are not finite
        self.cadence = 1 if spins.device.type == "cpu" else CADENCE
        self._spins = component_major(spins)

    def enter(self, step: int) -> None:
        self._set_external(step)
        self._energy, self._force = self._field(self._spins)

    def look(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._spins, self._energy, self._force

    def not_finite(self) -> Tensor | None:
        # a sum is finite only if all its terms are, and much quicker than looking at each; it may overflow
        if bool(torch.isfinite(self._force.sum())) or bool(torch.isfinite(self._force).all()):
            return None
        return self._force.isfinite().all(-1)

    def advance(self, step: int) -> None:
        D, dt = self._strength(step), self._integrator.step_size
        thermal = self._noise.field(step, self._spins, D, dt)
        self._spins = self._integrator.step(self._field, self._spins, self._force, thermal)


class AdaptiveWalk(TorchWalk):
    """Any field at T = 0, by steps that are cut into parts as their errors require."""

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        self._share = course.share

    def advance(self, step: int) -> None:
        self._spins = adaptive_step(self._field, self._integrator, self._spins, self._force, self._share)


class MinimiserWalk(TorchWalk):
    """Downhill by a minimiser of the protocol, which forgets its past at every multiple of ``stride``."""

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        self.cadence, self._stride, self._moved = 1, course.stride, False
        self.torque_cadence = 1
        self._minimiser = MINIMISERS[str(course.protocol.minimiser)](course.share)

    def enter(self, step: int) -> None:
        if not self._moved:  # a step ends with the field where it leads
            super().enter(step)

    def advance(self, step: int) -> None:
        if step % self._stride == 0:
            self._minimiser.forget()
        state = self._minimiser.step(self._field, self._spins, self._energy, self._force)
        self._spins, self._energy, self._force = state
        self._moved, self.stalled = True, self._minimiser.stalled


class LazyWalk(Walk):
    """Energy and field are computed when somebody looks: no step needs what the one before has left."""

    cadence = CADENCE
    _known: tuple[Tensor, Tensor, Tensor] | None = None

    @abstractmethod
    def copied(self) -> Tensor:
        """The spins ``(R, N, 3)`` as they are now; steps to come do not change them."""

    def enter(self, step: int) -> None:
        self._known = None
        self._set_external(step)

    @torch.no_grad()
    def look(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._known is None:
            spins = self.copied()
            self._known = (spins, *self._field(spins))
        return self._known


class CompiledWalk(LazyWalk):
    """Classical fields on a CPU."""

    def __init__(self, course: Course) -> None:
        super().__init__(course)
        assert isinstance(course.field, ClassicalField)
        self._steps = CompiledSteps(course.field, course.integrator, course.spins, course.noise)

    def copied(self) -> Tensor:
        return self._steps.spins

    def enter(self, step: int) -> None:
        super().enter(step)
        if self._driven is not None:
            self._steps.set_external(self._protocol.external(step))

    def not_finite(self) -> Tensor | None:
        return None if self._steps.finite() else self._steps.spins.isfinite().all(-1)

    def advance(self, step: int) -> None:
        self._steps.advance(step, self._strength(step))
