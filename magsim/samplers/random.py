"""Independent random configurations: infinite temperature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from magsim.errors import ConfigError
from magsim.samplers.base import Recorded, Sampler, Sampling, SpinBatch
from magsim.spins import random_spins, rng


@dataclass(frozen=True)
class RandomSampler(Sampler):
    """``count`` configurations, every spin uniform on the sphere, each its own trajectory.

    Raises:
        ConfigError: count below 1.
    """

    count: int = 96

    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError("sampler.count", self.count, "at least 1 configuration.")

    def __len__(self) -> int:
        return self.count

    @property
    def n_trajectories(self) -> int:
        return self.count

    def batches(
        self, sampling: Sampling, batch_size: int = 16, start: int = 0, recorded: Recorded | None = None
    ) -> Iterator[SpinBatch]:
        for first in range(start, self.count, batch_size):
            index = np.arange(first, min(first + batch_size, self.count))
            streams = (rng(sampling.seed, "sampler", self.name, int(k)) for k in index)
            spins = np.stack([random_spins(sampling.lattice.n_sites, stream) for stream in streams])
            yield SpinBatch(spins, index, np.zeros_like(index), self.name)
