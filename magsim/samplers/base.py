"""What every sampler offers: a known number of snapshots, in a fixed order, from any one of them on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from magsim.dynamics.effective_field import EffectiveField
from magsim.labelers import Labeler, Labels
from magsim.lattice import Lattice

# recorded(first, last) -> spins (last - first, N, 3) of snapshots that were yielded before
Recorded = Callable[[int, int], np.ndarray]


def shifted(recorded: Recorded, offset: int) -> Recorded:
    """The same snapshots, counted from ``offset``."""
    return lambda first, last: recorded(offset + first, offset + last)


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
        self,
        lattice: Lattice,
        labeler: Labeler,
        seed: int,
        batch_size: int = 16,
        start: int = 0,
        recorded: Recorded | None = None,
        classical: EffectiveField | None = None,
    ) -> Iterator[SpinBatch]:
        """Yield the snapshots ``start, start + 1, ...`` in order.

        The configurations depend on the seed alone, not on ``batch_size`` or ``start``.

        Args:
            lattice: the sites.
            labeler: exact labels, for samplers that follow the dynamics.
            seed: streams are derived per source and trajectory.
            batch_size: largest batch; frames of replicas evolved together are not split.
            start: snapshots to skip, where an earlier call ended (on a batch boundary).
            recorded: the skipped snapshots, from which dynamics continues; None: they are computed again.
            classical: field of classical terms, added to the exact one in the dynamics.
        """
