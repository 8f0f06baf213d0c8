"""The time loop: one effective field, one integrator, one protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from magsim.dynamics.adaptive import check_bath
from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.llg import largest_torque
from magsim.dynamics.make_walk import make_walk
from magsim.dynamics.protocols import Protocol
from magsim.dynamics.share import Share, share_of
from magsim.dynamics.thermostat import Noise
from magsim.dynamics.walk import Walk
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
    tick: Callable[[int], None] | None = None,
    steps: str = "auto",
) -> Iterator[Frame]:
    """Integrate and yield frames.

    A frame is yielded for the initial state (only if ``start_step`` is 0), then at every multiple of
    ``record_every``, and when the run ends. To continue a run, pass the spins and step of its last frame:
    what follows is what the whole run would have done, bit by bit. (A minimiser forgets its past at every
    multiple of ``record_every``: only from there it does.)

    Args:
        field: ``energy, F = field(spins)`` on float64 tensors ``(R, N, 3)``; its attribute ``share``, if it
            has one, says which sites of the run these are.
        spins: ``(R, N, 3)``; the run happens in their dtype and on their device.
        seed: of the thermal noise.
        start_step: steps done already.
        n_steps: how many steps to do at most; None goes on to ``protocol.steps``.
        record_every: overrides the protocol's.
        replicas: index of each replica, which selects its noise; default ``0 .. R-1``.
        tick: called after every step with the number of steps that it went on.
        steps: ``auto``; ``eager``, one operation of torch after the other; ``graph`` or ``fused``, recorded
            or compiled on a GPU.

    By itself it integrates classical fields in float64 on a CPU by compiled loops
    (:mod:`magsim.dynamics.compiled`), other fields by torch operations, on a GPU recorded ones
    (:mod:`magsim.dynamics.recorded`). Whether the field is finite is looked
    at in every step of the latter on a CPU, and in every sixteenth otherwise, where the answer has its price.
    Torques that end a run or a stage are looked at in every sixteenth step.

    Raises:
        ConfigError: at once, if the protocol and the integrator do not fit, dt is not chosen, or steps cannot
            be done as was asked.
        ValueError: at once, if the spins are not ``(R, N, 3)``.
        EvolutionError: a field that is not finite, or spins that lost their length.
    """
    protocol.check(integrator)
    integrator.check_field(field)
    check_bath(integrator, protocol.warmest(integrator.T))
    if spins.ndim != 3 or spins.shape[-1] != 3:
        raise ValueError(f"spins have shape {tuple(spins.shape)}; a run needs (replicas, sites, 3).")
    share = share_of(field)
    noise = Noise(seed, tuple(range(len(spins)) if replicas is None else replicas), share.first)
    if len(noise.replicas) != len(spins):
        raise ValueError(f"{len(noise.replicas)} replica indices for {len(spins)} replicas.")
    end = protocol.steps if n_steps is None else min(protocol.steps, start_step + n_steps)
    stride = protocol.record_every if record_every is None else record_every
    protocol.check_field(field)
    if protocol.minimiser is not None:
        integrator = replace(integrator, dt=1.0)  # there is no time: steps are counted
    protocol = protocol.timed(integrator.step_size)
    walk = make_walk(field, integrator, protocol, spins, noise, share, stride, steps)
    return _frames(walk, integrator, protocol, start_step, end, stride, share, tick)


def _frames(
    walk: Walk,
    integrator: Integrator,
    protocol: Protocol,
    start: int,
    end: int,
    stride: int,
    share: Share,
    tick: Callable[[int], None] | None,
) -> Iterator[Frame]:
    step = start
    last_good: Frame | None = None
    walk.enter(step)
    while True:
        due = step >= end or step % stride == 0
        if due or step % walk.cadence == 0:
            fault = share.fault(walk.not_finite())
            if fault is not None:
                raise EvolutionError(_sentence("the field is not finite", fault, step), last_good)
        torque = math.inf
        if step % walk.torque_cadence == 0 and protocol.watches_torque:
            spins, _, force = walk.look()
            torque = share.largest(float(largest_torque(spins, force).max()))
        stop = step >= end or walk.stalled or protocol.finished(torque)
        if stop or due:
            spins, energy, force = walk.look()
            _check_lengths(spins, step, last_good, share)
            T = protocol.temperature(step, integrator.T)
            frame = Frame(step, step * integrator.step_size, spins, energy, force, T)
            if step > start or start == 0:
                yield frame
            last_good = frame
        if stop:
            return
        later = min(protocol.goes_on_at(step, torque), end)
        if later == step:
            walk.advance(step)
            later += 1
        walk.enter(later)
        if tick is not None:
            tick(later - step)
        step = later


def _check_lengths(spins: Tensor, step: int, last_good: Frame | None, share: Share) -> None:
    tolerance = max(LENGTH_TOLERANCE, 16 * torch.finfo(spins.dtype).eps)
    good = (spins.norm(dim=-1) - 1).abs() <= tolerance  # False for NaN
    fault = share.fault(None if bool(good.all()) else good)
    if fault is not None:
        raise EvolutionError(_sentence("a spin lost its unit length", fault, step), last_good)


def _sentence(what: str, fault: tuple[int, int], step: int) -> str:
    replica, site = fault
    return f"{what} at step {step}, replica {replica}, site {site}; a smaller integrator.dt may help."
