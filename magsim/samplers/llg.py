"""Configurations that the exact dynamics visits: quenches and thermal equilibrium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import numpy as np
import torch

from magsim.dynamics import Frame, Integrator, Quench, evolve, make_integrator, suggest_timestep
from magsim.errors import ConfigError
from magsim.labelers import Labeler
from magsim.labelers.labels import joined
from magsim.samplers.base import Before, Piece, Recorded, Sampler, Sampling, SpinBatch
from magsim.samplers.remembering import Remembering
from magsim.spins import random_spins, rng, seed_sequence

# Radians per step: labels are exact wherever a trajectory leads, so it may be followed less closely than in a
# simulation (2.1 instead of 1.0 for the s-d model on the triangular lattice).
STEP_ERROR = 1e-2


@dataclass(frozen=True)
class _LLGSampler(Sampler):
    """What both samplers share: replicas evolved together from random spins, recorded every so many steps.

    Attributes:
        trajectories: replicas, each from its own random spins.
        steps: recorded steps.
        record_every: steps between snapshots.
        dt: time step in units of 1/hopping; None is suggested from the torque of the first initial states
            (and the warmest bath), rounded to two digits.
        alpha: damping.
        integrator: heun, rk4 or sib.
        sense: sign of the precession, see :func:`magsim.dynamics.llg.rate`.

    Raises:
        ConfigError: a value out of range.
    """

    trajectories: int = 10
    steps: int = 100
    record_every: int = 4
    dt: float | None = 2.0
    alpha: float = 0.5
    integrator: str = "heun"
    sense: int = 1

    uses_dynamics: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for key in ("trajectories", "steps", "record_every"):
            if getattr(self, key) < 1:
                raise ConfigError(f"sampler.{key}", getattr(self, key), "at least 1.")
        if self.record_every > self.steps:
            raise ConfigError(
                "sampler.record_every", self.record_every, f"at most sampler.steps={self.steps}."
            )
        if self.dt is not None and not self.dt > 0:
            raise ConfigError("sampler.dt", self.dt, "a positive time step, or null to have one suggested.")
        if not self.alpha > 0:
            raise ConfigError("sampler.alpha", self.alpha, "a positive damping: without it nothing relaxes.")
        try:
            self._integrator(0.0)
        except ConfigError as error:
            key = error.key.removeprefix("integrator.").replace("name", "integrator")
            raise ConfigError(f"sampler.{key}", error.value, error.allowed) from error

    def _integrator(self, T: float) -> Integrator:
        return make_integrator(self.integrator, dt=self.dt, alpha=self.alpha, T=T, sense=self.sense)

    @property
    def frames(self) -> int:
        """Snapshots per trajectory."""
        return self.steps // self.record_every + 1

    @property
    def groups(self) -> tuple[tuple[float, int, int], ...]:
        """Replicas evolved together: (temperature, first step recorded, first trajectory)."""
        raise NotImplementedError

    @property
    def n_trajectories(self) -> int:
        return self.trajectories * len(self.groups)

    def __len__(self) -> int:
        return self.frames * self.n_trajectories

    def batches(
        self, sampling: Sampling, batch_size: int = 16, start: int = 0, recorded: Recorded | None = None
    ) -> Iterator[SpinBatch]:
        per_group = self.frames * self.trajectories
        dt = self.timestep(sampling)
        everyone = np.arange(self.trajectories)
        for group in range(start // per_group, len(self.groups)):
            skip = max(0, start - group * per_group)
            done = skip // self.trajectories  # whole frames
            before = None
            if recorded is not None and done:
                first = group * per_group + (done - 1) * self.trajectories
                before = Before(recorded(first, first + self.trajectories))
            for position, batch in self._follow(group, everyone, done, self.frames, sampling, before, dt):
                # snapshots of this very frame that were yielded before
                left_over = max(0, skip - position * self.trajectories)
                yield batch if not left_over else _tail(batch, left_over)

    def pieces(self, size: int, workers: int) -> list[Piece]:
        """Some trajectories over some frames, each going on from where these ended some frames earlier."""
        chains = self.n_trajectories // (2 * workers)
        together = max(1, min(size, self.trajectories, chains))
        stretch = max(1, size // together)
        teams = np.split(np.arange(self.trajectories), range(together, self.trajectories, together))
        pieces = []
        for group, first in product(range(len(self.groups)), range(0, self.frames, stretch)):
            frames = np.arange(first, min(first + stretch, self.frames))
            for members in teams:
                before = self._rows(group, frames[:1] - 1, members) if first else np.empty(0, dtype=int)
                pieces.append(Piece(self._rows(group, frames, members), before, dynamics=True))
        return pieces

    def make(
        self, piece: Piece, sampling: Sampling, before: Before | None = None, dt: float | None = None
    ) -> SpinBatch:
        group, frame, member = np.unravel_index(
            piece.rows, (len(self.groups), self.frames, self.trajectories)
        )
        done, stop, members = int(frame[0]), int(frame[-1]) + 1, np.unique(member)
        batches = self._follow(int(group[0]), members, done, stop, sampling, before, dt)
        return _joined([batch for _, batch in batches], sampling.labeler)

    def _rows(self, group: int, frames: np.ndarray, members: np.ndarray) -> np.ndarray:
        """Places in the dataset: by group, then by frame, then by trajectory."""
        return ((group * self.frames + frames[:, None]) * self.trajectories + members).ravel()

    def _follow(
        self,
        group: int,
        members: np.ndarray,
        done: int,
        stop: int,
        sampling: Sampling,
        before: Before | None,
        dt: float | None,
    ) -> Iterator[tuple[int, SpinBatch]]:
        """Frames ``done`` to ``stop`` of trajectories ``members`` of one group, each with its number.

        Without the frame ``before`` they are followed from their random spins.
        """
        T, first_step, first_trajectory = self.groups[group]
        trajectory = first_trajectory + members
        memory = Remembering(sampling.labeler)
        if before is None:
            spins, start_step = self._initial(sampling, trajectory), 0
        else:
            spins, start_step = before.spins, first_step + (done - 1) * self.record_every
            memory.remember(before)
        noise_seed = int(seed_sequence(sampling.seed, "sampler", self.name).generate_state(1)[0])
        integrator = replace(self._integrator(T), dt=dt)
        for frame in evolve(
            sampling.field(memory),
            torch.from_numpy(np.ascontiguousarray(spins)),
            integrator,
            Quench(first_step + self.steps, self.record_every, len(members)),
            seed=noise_seed,
            start_step=start_step,
            n_steps=first_step + (stop - 1) * self.record_every - start_step,
            replicas=[int(t) for t in trajectory],
        ):
            position = (frame.step - first_step) // self.record_every
            if position >= done:
                yield position, self._batch(frame, trajectory, memory, dt)

    def _initial(self, sampling: Sampling, trajectories: np.ndarray) -> np.ndarray:
        """Random spins of some trajectories ``(n, N, 3)``, the same in any company."""
        streams = (rng(sampling.seed, "sampler", self.name, int(k)) for k in trajectories)
        return np.stack([random_spins(sampling.lattice.n_sites, stream) for stream in streams])

    def timestep(self, sampling: Sampling) -> float | None:
        """One time step for all groups: ``dt`` has one value in a dataset."""
        if self.dt is not None:
            return self.dt
        spins = torch.from_numpy(self._initial(sampling, np.arange(self.trajectories)))
        warmest = self._integrator(max(T for T, _, _ in self.groups))
        # two digits: the last bits of a torque, which depend on the machine, must not matter
        return float(f"{suggest_timestep(sampling.field()(spins)[1], spins, warmest, STEP_ERROR):.2g}")

    def _batch(
        self, frame: Frame, trajectory: np.ndarray, memory: Remembering, dt: float | None
    ) -> SpinBatch:
        spins = frame.spins.numpy()
        step = np.full(len(trajectory), frame.step)
        return SpinBatch(spins, trajectory, step, self.name, memory.recall(spins), dt)


@dataclass(frozen=True)
class QuenchSampler(_LLGSampler):
    """Exact LLG at T = 0 from random spins: step 0, then every ``record_every`` steps up to ``steps``.

    These are the configurations that a model meets when it simulates a quench; random ones alone teach it
    nothing about the small torques near order.
    """

    name: ClassVar[str] = "quench"

    @property
    def groups(self) -> tuple[tuple[float, int, int], ...]:
        return ((0.0, 0, 0),)


@dataclass(frozen=True)
class ThermalSampler(_LLGSampler):
    """Exact LLG with a bath: at each temperature ``burn_in`` steps from random spins, then ``steps`` more.

    Attributes:
        temperatures: of the bath, each > 0.
        trajectories: replicas per temperature.
        burn_in: steps before the first snapshot, a multiple of ``record_every``.
    """

    temperatures: tuple[float, ...] = (0.01, 0.03, 0.1)
    burn_in: int = 60

    name: ClassVar[str] = "thermal"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "temperatures", tuple(float(T) for T in self.temperatures))
        if not self.temperatures or min(self.temperatures) <= 0:
            raise ConfigError(
                "sampler.temperatures", list(self.temperatures), "a list of positive temperatures."
            )
        if self.burn_in < 0 or self.burn_in % self.record_every:
            raise ConfigError(
                "sampler.burn_in",
                self.burn_in,
                f"a multiple of sampler.record_every={self.record_every}, or 0.",
            )

    @property
    def groups(self) -> tuple[tuple[float, int, int], ...]:
        return tuple((T, self.burn_in, k * self.trajectories) for k, T in enumerate(self.temperatures))


def _tail(batch: SpinBatch, first: int) -> SpinBatch:
    """A batch without its first snapshots; they are labelled again."""
    rest = (batch.spins[first:], batch.trajectory[first:], batch.step[first:])
    return SpinBatch(*rest, batch.source, dt=batch.dt)


def _joined(batches: list[SpinBatch], labeler: Labeler) -> SpinBatch:
    """Several frames as one batch, with labels."""
    labels = [batch.labels or labeler.label(batch.spins) for batch in batches]
    columns = zip(*((b.spins, b.trajectory, b.step) for b in batches), strict=True)
    spins, trajectory, step = (np.concatenate(column) for column in columns)
    return SpinBatch(spins, trajectory, step, batches[0].source, joined(labels), batches[0].dt)
