"""The time loop: one effective field, one integrator, one protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from magsim.dynamics.external import Driven
from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.llg import component_major, largest_torque
from magsim.dynamics.minimise import MINIMISERS
from magsim.dynamics.protocols import Protocol
from magsim.dynamics.share import WHOLE, Share
from magsim.dynamics.thermostat import Noise, diffusion
from magsim.errors import RunError

LENGTH_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Frame:
    """The state at one recorded step.

    Attributes:
        step: number of steps done since the start of the run.
        time: ``step * dt``.
        spins: ``(R, N, 3)``.
        energy: ``(R,)`` total energy of each replica.
        field: ``(R, N, 3)`` F at ``spins``.
        temperature: of the bath in the step that follows.
    """

    step: int
    time: float
    spins: Tensor
    energy: Tensor
    field: Tensor
    temperature: float


class EvolutionError(RunError):
    """A run that went wrong.

    Attributes:
        last_good: the last recorded frame that passed its checks; None if there is none.
    """

    def __init__(self, sentence: str, last_good: Frame | None) -> None:
        super().__init__(sentence)
        self.last_good = last_good


def evolve(
    field: FieldFunction,
    spins: Tensor,
    integrator: Integrator,
    protocol: Protocol,
    seed: int,
    start_step: int = 0,
    n_steps: int | None = None,
    record_every: int | None = None,
    replicas: Sequence[int] | None = None,
    share: Share = WHOLE,
) -> Iterator[Frame]:
    """Integrate and yield frames.

    A frame is yielded for the initial state (only if ``start_step`` is 0), then at every multiple of
    ``record_every``, and when the run ends. To continue a run, pass the spins and step of its last frame:
    what follows is what the whole run would have done, bit by bit. (A minimiser forgets its past at every
    multiple of ``record_every``: only from there it does.)

    Args:
        field: ``energy, F = field(spins)`` on float64 tensors ``(R, N, 3)``.
        spins: ``(R, N, 3)``; the run happens in their dtype and on their device.
        seed: of the thermal noise.
        start_step: steps done already.
        n_steps: how many steps to do at most; None goes on to ``protocol.steps``.
        record_every: overrides the protocol's.
        replicas: index of each replica, which selects its noise; default ``0 .. R-1``.
        share: which sites of the run the spins are.

    Raises:
        ConfigError: at once, if the protocol and the integrator do not fit or dt is not chosen.
        ValueError: at once, if the spins are not ``(R, N, 3)``.
        EvolutionError: a field that is not finite, or spins that lost their length.
    """
    protocol.check(integrator)
    integrator.check_field(field)
    if spins.ndim != 3 or spins.shape[-1] != 3:
        raise ValueError(f"spins have shape {tuple(spins.shape)}; a run needs (replicas, sites, 3).")
    noise = Noise(seed, tuple(range(len(spins)) if replicas is None else replicas))
    if len(noise.replicas) != len(spins):
        raise ValueError(f"{len(noise.replicas)} replica indices for {len(spins)} replicas.")
    end = protocol.steps if n_steps is None else min(protocol.steps, start_step + n_steps)
    stride = protocol.record_every if record_every is None else record_every
    spins = component_major(spins)
    protocol.check_field(bool(getattr(field, "conservative", True)))
    if protocol.minimiser is not None:
        integrator = replace(integrator, dt=1.0)  # there is no time: steps are counted
    protocol = protocol.timed(integrator.step_size)
    return _frames(field, spins, integrator, protocol, noise, start_step, end, stride, share)


def _frames(
    field: FieldFunction,
    spins: Tensor,
    integrator: Integrator,
    protocol: Protocol,
    noise: Noise,
    start: int,
    end: int,
    stride: int,
    share: Share,
) -> Iterator[Frame]:
    step, dt = start, integrator.step_size
    last_good: Frame | None = None
    driven = None if protocol.strongest is None else Driven(field, protocol, spins)
    if driven is not None:
        driven.at(step)
        field = driven
    minimiser = None if protocol.minimiser is None else MINIMISERS[protocol.minimiser](share)
    energy, force = field(spins)
    while True:
        # checked every step: eigensolvers fail obscurely on spins that are not finite
        fault = share.fault(None if _all_finite(force) else force.isfinite().all(-1))
        if fault is not None:
            raise EvolutionError(_sentence("the field is not finite", fault, step), last_good)
        torque = 0.0
        if protocol.watches_torque:
            torque = share.largest(float(largest_torque(spins, force).max()))
        stop = step >= end or (protocol.watches_torque and protocol.finished(torque))
        stop = stop or (minimiser is not None and minimiser.stalled)
        T = protocol.temperature(step, integrator.T)
        if stop or step % stride == 0:
            _check_lengths(spins, step, last_good, share)
            frame = Frame(step, step * dt, spins, energy, force, T)
            if step > start or start == 0:
                yield frame
            last_good = frame
        if stop:
            return
        if minimiser is not None:
            if step % stride == 0:
                minimiser.forget()
            spins, energy, force = minimiser.step(field, spins, energy, force)
            step += 1
            continue
        later = min(protocol.goes_on_at(step, torque), end)
        if later == step:
            thermal = noise.field(step, spins, diffusion(integrator.alpha, T, integrator.sense), dt)
            spins = integrator.step(field, spins, force, thermal)
            later += 1
        step = later
        if driven is not None:
            driven.at(step)
        energy, force = field(spins)


def _all_finite(force: Tensor) -> bool:
    """A sum is finite only if all its terms are, and much quicker than looking at each."""
    return bool(torch.isfinite(force.sum())) or bool(torch.isfinite(force).all())  # a sum may overflow


def _check_lengths(spins: Tensor, step: int, last_good: Frame | None, share: Share) -> None:
    tolerance = max(LENGTH_TOLERANCE, 16 * torch.finfo(spins.dtype).eps)
    good = (spins.norm(dim=-1) - 1).abs() <= tolerance  # False for NaN
    fault = share.fault(None if bool(good.all()) else good)
    if fault is not None:
        raise EvolutionError(_sentence("a spin lost its unit length", fault, step), last_good)


def _sentence(what: str, fault: tuple[int, int], step: int) -> str:
    replica, site = fault
    return f"{what} at step {step}, replica {replica}, site {site}; a smaller integrator.dt may help."
