"""One simulation: field, integrator and protocol, to a trajectory on disk and series of observables."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from magsim.arrays import to_numpy
from magsim.dynamics import (
    EffectiveField,
    EvolutionError,
    Frame,
    Integrator,
    Protocol,
    TrajectoryWriter,
    initial_spins,
    kind_of_steps,
    open_trajectory,
    open_trajectory_writer,
)
from magsim.dynamics.share import WHOLE, Share
from magsim.errors import ConfigError, RunError
from magsim.lattice import Lattice
from magsim.observables import measure
from magsim.runs import Run
from magsim.tasks.simulation.samples import Samples
from magsim.tasks.simulation.series import Recorder, StepCounter, Watcher
from magsim.tasks.simulation.team import moving
from magsim.tasks.simulation.trajectory_key import trajectory_key


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a simulation has done.

    Attributes:
        path: the trajectory store.
        content_hash: of the trajectory.
        step, time: ``(F,)`` of the measured frames.
        series: observable -> ``(F, R)``, energies per site.
        spins: ``(R, N, 3)`` final state.
        steps: steps done since the start of the run.
        session_steps: steps done in this session.
        seconds: wall time of this session, measuring and writing included.
        kind: how its steps were done, one of :data:`magsim.dynamics.make_walk.KINDS`; empty of a stored one.
    """

    path: Path
    content_hash: str
    step: np.ndarray
    time: np.ndarray
    series: dict[str, np.ndarray]
    spins: np.ndarray
    steps: int
    session_steps: int
    seconds: float
    kind: str = ""

    @property
    def steps_per_second(self) -> float:
        """Rate of this session; NaN if there was nothing left to do."""
        return self.session_steps / self.seconds if self.session_steps else float("nan")

    @property
    def spin_updates_per_second(self) -> float:
        """Steps per second times replicas times sites."""
        return self.steps_per_second * self.spins.shape[0] * self.spins.shape[1]

    def metrics(self, prefix: str) -> dict[str, Any]:
        """Final metrics: every observable of the last frame (mean over replicas) as ``prefix/final_<name>``,
        steps and how they were done, time, rates and the hash."""
        final = {f"{prefix}/final_{name}": float(values[-1].mean()) for name, values in self.series.items()}
        facts: dict[str, Any] = {
            f"{prefix}/steps": self.steps,
            f"{prefix}/time": float(self.time[-1]),
            f"{prefix}/trajectory_hash": self.content_hash,
        }
        if self.session_steps:  # a session that found everything done keeps the rates of the one that did it
            facts[f"{prefix}/kind_of_steps"] = self.kind
            facts[f"{prefix}/steps_per_second"] = self.steps_per_second
            facts[f"{prefix}/spin_updates_per_second"] = self.spin_updates_per_second
        return {**final, **facts}


def simulate(
    field: EffectiveField,
    lattice: Lattice,
    integrator: Integrator,
    protocol: Protocol,
    observables: Sequence[str],
    seed: int,
    run: Run,
    trajectory_path: str | Path,
    *,
    every: int = 1,
    initial: np.ndarray | None = None,
    identity: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    parents: Mapping[str, str] | None = None,
    device: str | torch.device = "cpu",
    label: str = "simulate",
    prefix: str = "simulate",
    watchers: Sequence[Watcher] = (),
    samples: Samples | None = None,
    processes: int = 1,
    steps: str = "auto",
) -> Simulation:
    """Evolve and record, or continue the trajectory of the same settings that lies at ``trajectory_path``.

    Every recorded frame is on disk before the next step; a series row follows it. A continued run does what
    the whole run would have done, bit by bit on the CPU.

    Args:
        field: any effective field on ``lattice``.
        lattice: where the spins sit.
        integrator: with its time step chosen.
        protocol: initial state, temperature and length of the run.
        observables: names, see :func:`magsim.observables.select`.
        seed: of the initial state and the noise.
        run: progress, series and messages go there.
        trajectory_path: Zarr store, made or continued.
        every: measure every n-th recorded frame (and the last).
        initial: spins ``(R, N, 3)`` or ``(N, 3)`` to start from instead of ``protocol.initial``.
        identity: what determines the field (Hamiltonian, hash of the model); part of the trajectory's key.
        config: resolved configuration, stored with the trajectory.
        parents: kind -> content hash of what the field was made from.
        device: where the state lives, ``"cpu"`` or ``"cuda"``.
        label: name of the stage in the progress display.
        prefix: of the keys of the series, ``prefix/energy``.
        watchers: see the recorded frames that they want, those of earlier sessions too.
        samples: sees states between them, too.
        processes: that share the lattice, the field being one of as many slabs.
        steps: how they are done, see :func:`magsim.dynamics.evolve`.

    Raises:
        ConfigError: an observable or a texture that the lattice does not allow, protocol and integrator that
            do not fit, or steps that cannot be done as was asked.
        DataError: another trajectory is at ``trajectory_path``.
        RunError: a field that is not finite, or spins that lost their length; the last good state is the
            last frame of the store.
    """
    protocol.check(integrator)
    protocol.check_field(field)
    start = _initial(protocol, lattice, seed, initial)
    measure(observables, lattice, start, np.zeros(len(start)))  # what the lattice does not allow fails here
    state = torch.empty(start.shape, dtype=torch.float64, device=device)
    kind = kind_of_steps(field, integrator, protocol, state, WHOLE if processes == 1 else Share(), steps)
    key = trajectory_key(lattice, integrator, protocol, seed, initial, identity)
    store = open_trajectory_writer(
        trajectory_path,
        key=key,
        replicas=len(start),
        n_sites=lattice.n_sites,
        lattice={"name": lattice.name, "shape": list(lattice.shape), "boundary": list(lattice.boundary)},
        seed=seed,
        config={**(config or {}), "dt": integrator.step_size},
        parents=parents,
        conservative=field.conservative,
    )
    recorder = Recorder(lattice, observables, run, prefix, protocol.record_every * every, device)
    first, spins = _continue(store, protocol, start, recorder, watchers, run)
    began = time.monotonic()
    if first < protocol.steps:
        with run.progress(label, protocol.steps, "steps", done=first) as bar:
            counter = StepCounter(bar, spins.shape[0] * spins.shape[1])
            start_spins = torch.from_numpy(spins).to(device)
            stride = None if samples is None else samples.stride
            with moving(
                field, start_spins, integrator, protocol, seed, first, stride, counter, processes, steps
            ) as frames:
                seen = frames if samples is None else samples.passing(frames, protocol)
                _record(seen, store, recorder, watchers, counter, protocol)
    seconds = max(time.monotonic() - began, 1e-9)
    content_hash = store.finish()
    done = store.last_step or 0
    _tell_early_stop(run, protocol, done, store.last_torque())
    step, times, series = recorder.series()
    return Simulation(
        path=Path(trajectory_path),
        content_hash=content_hash,
        step=step,
        time=times,
        series=series,
        spins=store.last_spins(),
        steps=done,
        session_steps=done - first,
        seconds=seconds,
        kind=kind,
    )


def _record(
    frames: Iterator[Frame],
    store: TrajectoryWriter,
    recorder: Recorder,
    watchers: Sequence[Watcher],
    counter: StepCounter,
    protocol: Protocol,
) -> None:
    """Store and measure frames as they come."""
    try:
        for frame in frames:
            last = store.last_step
            if last is not None and frame.step <= last:
                continue  # the initial frame of a run that got no further
            if last is not None and last % protocol.record_every:
                store.drop_last()  # the end of a shorter run, where the whole run has no frame
            store.append(frame)
            recorder.add(frame.step, frame.time, frame.spins, frame.energy)
            for watcher in watchers:
                if watcher.wants(frame.step):
                    watcher.see(frame.step, frame.time, to_numpy(frame.spins), to_numpy(frame.field))
            counter.info = recorder.info(frame.spins, frame.energy)
    except EvolutionError as error:
        raise RunError(_told(error, store)) from error
    finally:
        counter.flush()


def _initial(protocol: Protocol, lattice: Lattice, seed: int, given: np.ndarray | None) -> np.ndarray:
    if given is None:
        return initial_spins(protocol, lattice, seed)
    spins = np.array(given, dtype=np.float64).reshape(-1, *np.shape(given)[-2:])
    if spins.shape[1:] != (lattice.n_sites, 3):
        raise ConfigError(
            "initial", np.shape(given), f"the spins of the lattice are (replicas, {lattice.n_sites}, 3)."
        )
    return spins


def _continue(
    store: TrajectoryWriter,
    protocol: Protocol,
    start: np.ndarray,
    recorder: Recorder,
    watchers: Sequence[Watcher],
    run: Run,
) -> tuple[int, np.ndarray]:
    """Step and spins to go on from; measures the frames that are there."""
    if not len(store):
        return 0, start
    if protocol.minimiser is not None and (store.last_step or 0) % protocol.record_every:
        store.drop_last()  # what a minimiser remembered there is lost
    first, spins = store.last_step or 0, store.last_spins()
    earlier = open_trajectory(store.path)
    for k in range(len(earlier)):
        step, when = int(earlier.step[k]), float(earlier.time[k])
        recorder.add(step, when, earlier.spins(k), earlier.energy[k])
        for watcher in watchers:
            if watcher.wants(step):
                watcher.see(step, when, earlier.spins(k), earlier.field(k))
    if first < protocol.steps:
        run.say(f"  continuing after step {first} of {protocol.steps}")
    else:
        run.say(f"  all {first} steps are done: figures and metrics are made again")
    return first, spins


def _told(error: EvolutionError, store: TrajectoryWriter) -> str:
    """The failure and where the last good state is."""
    if store.last_step is None:
        return f"{error} It is the initial state."
    return f"{error} The last good state, step {store.last_step}, is the last frame of {store.path}."


def _tell_early_stop(run: Run, protocol: Protocol, done: int, torque: float) -> None:
    if done < protocol.steps and not protocol.finished(torque):
        run.say(
            f"  {protocol.name} ended after {done} steps at the largest torque {torque:.2g}: the rounding of "
            "the field allows no lower energy"
        )
    elif done < protocol.steps:
        run.say(f"  {protocol.name} reached its goal after {done} of at most {protocol.steps} steps")
