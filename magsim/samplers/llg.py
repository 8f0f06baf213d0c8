"""Configurations that the exact dynamics visits: quenches and thermal equilibrium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from magsim.dynamics import ExactField, Frame, Integrator, Quench, evolve, make_integrator, suggest_timestep
from magsim.dynamics.effective_field import EffectiveField
from magsim.errors import ConfigError
from magsim.labelers import Labeler, Labels
from magsim.lattice import Lattice
from magsim.samplers.base import Recorded, Sampler, SpinBatch, shifted
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
        self,
        lattice: Lattice,
        labeler: Labeler,
        seed: int,
        batch_size: int = 16,
        start: int = 0,
        recorded: Recorded | None = None,
        classical: EffectiveField | None = None,
    ) -> Iterator[SpinBatch]:
        per_group = self.frames * self.trajectories
        for group in range(start // per_group, len(self.groups)):
            offset = group * per_group
            earlier = None if recorded is None else shifted(recorded, offset)
            yield from self._group(lattice, labeler, seed, group, max(0, start - offset), earlier, classical)

    def _group(
        self,
        lattice: Lattice,
        labeler: Labeler,
        seed: int,
        group: int,
        skip: int,
        recorded: Recorded | None,
        classical: EffectiveField | None,
    ) -> Iterator[SpinBatch]:
        """One group from its snapshot ``skip`` on: a frame holds one snapshot of every replica."""
        T, first_step, first_trajectory = self.groups[group]
        trajectory = first_trajectory + np.arange(self.trajectories)
        memory = _Remembering(labeler)
        exact = ExactField(memory)
        field = exact if classical is None else exact + classical
        integrator = self._with_timestep(self._integrator(T), field, lattice, seed)
        done = skip // self.trajectories  # whole frames
        spins, start_step = self._initial(lattice, seed, first_trajectory), 0
        if recorded is not None and done:
            spins = recorded((done - 1) * self.trajectories, done * self.trajectories)
            start_step = first_step + (done - 1) * self.record_every
        protocol = Quench(
            first_step + (self.frames - 1) * self.record_every, self.record_every, self.trajectories
        )
        noise_seed = int(seed_sequence(seed, "sampler", self.name).generate_state(1)[0])
        for frame in evolve(
            field,
            torch.from_numpy(np.ascontiguousarray(spins)),
            integrator,
            protocol,
            seed=noise_seed,
            start_step=start_step,
            replicas=[int(t) for t in trajectory],
        ):
            position = (frame.step - first_step) // self.record_every
            if position >= done:
                batch = self._batch(frame, trajectory, memory, integrator.dt)
                # snapshots of this very frame that were yielded before
                left_over = max(0, skip - position * self.trajectories)
                yield batch if not left_over else _tail(batch, left_over)

    def _initial(self, lattice: Lattice, seed: int, first_trajectory: int) -> np.ndarray:
        """Random spins ``(trajectories, N, 3)``, the same however many trajectories there are."""
        streams = (rng(seed, "sampler", self.name, first_trajectory + k) for k in range(self.trajectories))
        return np.stack([random_spins(lattice.n_sites, stream) for stream in streams])

    def _with_timestep(
        self, integrator: Integrator, field: EffectiveField, lattice: Lattice, seed: int
    ) -> Integrator:
        """A time step for all groups: ``dt`` has one value in a dataset."""
        if integrator.dt is not None:
            return integrator
        spins = torch.from_numpy(self._initial(lattice, seed, 0))
        warmest = replace(integrator, T=max(T for T, _, _ in self.groups))
        # two digits: the last bits of a torque, which depend on the batch, must not matter
        return replace(
            integrator, dt=float(f"{suggest_timestep(field(spins)[1], spins, warmest, STEP_ERROR):.2g}")
        )

    def _batch(
        self, frame: Frame, trajectory: np.ndarray, memory: _Remembering, dt: float | None
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


class _Remembering:
    """A labeler that keeps its last answer: the dynamics has just labelled the state that is recorded."""

    def __init__(self, labeler: Labeler) -> None:
        self.hamiltonian = labeler.hamiltonian
        self._labeler = labeler
        self._last: tuple[np.ndarray, Labels] | None = None

    def identity(self) -> dict[str, Any]:
        return self._labeler.identity()

    def label(self, spins: Any) -> Labels:
        labels = self._labeler.label(spins)
        self._last = (np.array(spins), labels)
        return labels

    def recall(self, spins: np.ndarray) -> Labels | None:
        if self._last is not None and np.array_equal(self._last[0], spins):
            return self._last[1]
        return None


def _tail(batch: SpinBatch, first: int) -> SpinBatch:
    """A batch without its first snapshots; they are labelled again."""
    rest = (batch.spins[first:], batch.trajectory[first:], batch.step[first:])
    return SpinBatch(*rest, batch.source, dt=batch.dt)
