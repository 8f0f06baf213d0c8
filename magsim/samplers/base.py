"""What every sampler offers: a known number of snapshots, in a fixed order, from any one of them on, and in
pieces that several workers make at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from magsim.dynamics.effective_field import EffectiveField, ExactField
from magsim.labelers import Labeler, Labels
from magsim.lattice import Lattice

# recorded(first, last) -> spins (last - first, N, 3) of snapshots that were yielded before
Recorded = Callable[[int, int], np.ndarray]


def shifted(recorded: Recorded, offset: int) -> Recorded:
    """The same snapshots, counted from ``offset``."""
    return lambda first, last: recorded(offset + first, offset + last)


@dataclass(frozen=True, eq=False)
class Sampling:
    """What configurations are made on and with.

    Attributes:
        lattice: the sites.
        labeler: exact labels, for samplers that follow the dynamics.
        seed: streams are derived per source and trajectory.
        classical: field of classical terms, added to the exact one in the dynamics; None: there are none.
    """

    lattice: Lattice
    labeler: Labeler
    seed: int
    classical: EffectiveField | None = None

    def field(self, labeler: Labeler | None = None) -> EffectiveField:
        """What moves the spins: the exact field, by ``labeler`` if another one is to solve the electrons, and
        classical terms."""
        exact = ExactField(labeler or self.labeler)
        return exact if self.classical is None else exact + self.classical


@dataclass(frozen=True, eq=False)
class Before:
    """Where dynamics goes on: spins ``(B, N, 3)`` and, if they are at hand, their labels."""

    spins: np.ndarray
    labels: Labels | None = None


@dataclass(frozen=True, eq=False)
class SpinBatch:
    """B snapshots of one source.

    Attributes:
        spins: ``(B, N, 3)``.
        trajectory: ``(B,)`` trajectory of each, counted within the sampler.
        step: ``(B,)`` integrator step within the trajectory.
        source: name of the source.
        labels: their labels, where the dynamics needed them anyway; else None.
        dt: time step of the dynamics they come from; None where there is none.
    """

    spins: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    source: str
    labels: Labels | None = None
    dt: float | None = None

    def __len__(self) -> int:
        return len(self.spins)


@dataclass(frozen=True, eq=False)
class Piece:
    """Snapshots that are made in one go, knowing nothing of the others but one earlier piece.

    Attributes:
        rows: ``(B,)`` their places in the dataset, ascending.
        before: places of the snapshots whose spins they go on from, all in one earlier piece; empty: none.
        dynamics: whether they need the time step.
    """

    rows: np.ndarray
    before: np.ndarray
    dynamics: bool = False

    def shifted(self, offset: int) -> Piece:
        """The same snapshots, with places counted from ``-offset``."""
        return Piece(self.rows + offset, self.before + offset, self.dynamics)

    def __len__(self) -> int:
        return len(self.rows)


class Sampler(ABC):
    """A source of spin configurations.

    Attributes:
        name: of the option.
        uses_dynamics: whether the exact field decides which configurations come (and classical terms too).
    """

    name: ClassVar[str]
    uses_dynamics: ClassVar[bool] = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order of their first snapshot."""
        return (self.name,)

    @property
    @abstractmethod
    def n_trajectories(self) -> int:
        """One more than the largest trajectory index."""

    @abstractmethod
    def __len__(self) -> int:
        """Total number of snapshots."""

    def check(self, lattice: Lattice) -> None:  # noqa: B027 -- most samplers fit every lattice
        """Refuse a lattice that the configurations do not fit.

        Raises:
            MagsimError: they do not fit.
        """

    def fingerprint(self) -> str | None:
        """Hash of external content that the configurations depend on; None if there is none."""
        return None

    @abstractmethod
    def batches(
        self, sampling: Sampling, batch_size: int = 16, start: int = 0, recorded: Recorded | None = None
    ) -> Iterator[SpinBatch]:
        """Yield the snapshots ``start, start + 1, ...`` in order.

        The configurations depend on the seed alone, not on ``batch_size`` or ``start``.

        Args:
            sampling: what they are made on and with.
            batch_size: largest batch; frames of replicas evolved together are not split.
            start: snapshots to skip, where an earlier call ended (on a batch boundary).
            recorded: the skipped snapshots, from which dynamics continues; None: they are computed again.
        """

    def pieces(self, size: int, workers: int) -> list[Piece]:
        """All snapshots, each in one piece, for ``workers`` to make at once; in the order of the dataset.

        What a piece holds does not depend on how the snapshots were divided.

        Args:
            size: largest piece, where the dynamics does not need more.
            workers: there should be some pieces for each.
        """
        size = max(1, min(size, len(self) // (2 * workers)))
        nothing = np.empty(0, dtype=int)
        ends = (min(first + size, len(self)) for first in range(0, len(self), size))
        return [
            Piece(np.arange(first, end), nothing)
            for first, end in zip(range(0, len(self), size), ends, strict=True)
        ]

    def timestep(self, sampling: Sampling) -> float | None:
        """The time step of the dynamics, suggested where the options leave it open; None without dynamics."""
        return None

    def make(
        self, piece: Piece, sampling: Sampling, before: Before | None = None, dt: float | None = None
    ) -> SpinBatch:
        """The snapshots of a piece with their labels, as :meth:`batches` would yield them.

        Args:
            piece: one of :meth:`pieces`.
            sampling: as in :meth:`batches`.
            before: the snapshots ``piece.before``; None if there are none.
            dt: what :meth:`timestep` said.
        """
        start, count = int(piece.rows[0]), len(piece)
        batch = next(iter(self.batches(sampling, count, start)))
        return replace(batch, labels=sampling.labeler.label(batch.spins))
