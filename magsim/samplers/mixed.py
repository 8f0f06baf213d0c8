"""Several sources in one dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from magsim.lattice import Lattice
from magsim.samplers.base import Before, Piece, Recorded, Sampler, Sampling, SpinBatch, shifted
from magsim.samplers.llg import QuenchSampler
from magsim.samplers.random import RandomSampler


@dataclass(frozen=True)
class MixedSampler(Sampler):
    """Random configurations, then exact quenches.

    A force field needs both: random spins for the large torques of disorder and for every local environment,
    quenches for the correlated states of small torque in which a simulation spends its time.
    """

    random: RandomSampler = field(default_factory=RandomSampler)
    quench: QuenchSampler = field(default_factory=QuenchSampler)

    name: ClassVar[str] = "mixed"
    uses_dynamics: ClassVar[bool] = True

    @property
    def parts(self) -> tuple[Sampler, ...]:
        return (self.random, self.quench)

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.sources)

    @property
    def n_trajectories(self) -> int:
        return sum(part.n_trajectories for part in self.parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def check(self, lattice: Lattice) -> None:
        for part in self.parts:
            part.check(lattice)

    def batches(
        self, sampling: Sampling, batch_size: int = 16, start: int = 0, recorded: Recorded | None = None
    ) -> Iterator[SpinBatch]:
        for offset, first_trajectory, part in self._placed():
            if start < offset + len(part):
                earlier = None if recorded is None else shifted(recorded, offset)
                skip = max(0, start - offset)
                for batch in part.batches(sampling, batch_size, skip, earlier):
                    yield replace(batch, trajectory=batch.trajectory + first_trajectory)

    def pieces(self, size: int, workers: int) -> list[Piece]:
        return [
            piece.shifted(offset)
            for offset, _, part in self._placed()
            for piece in part.pieces(size, workers)
        ]

    def timestep(self, sampling: Sampling) -> float | None:
        return self.quench.timestep(sampling)

    def make(
        self, piece: Piece, sampling: Sampling, before: Before | None = None, dt: float | None = None
    ) -> SpinBatch:
        offset, first_trajectory, part = [p for p in self._placed() if p[0] <= piece.rows[0]][-1]
        batch = part.make(piece.shifted(-offset), sampling, before, dt)
        return replace(batch, trajectory=batch.trajectory + first_trajectory)

    def _placed(self) -> Iterator[tuple[int, int, Sampler]]:
        """First row, first trajectory and the sampler of each part."""
        offset = first_trajectory = 0
        for part in self.parts:
            yield offset, first_trajectory, part
            offset += len(part)
            first_trajectory += part.n_trajectories
