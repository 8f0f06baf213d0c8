"""Configurations from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from magsim.datasets.configurations import Configurations, read_configurations
from magsim.errors import ConfigError, DataError
from magsim.lattice import Lattice
from magsim.samplers.base import Recorded, Sampler, Sampling, SpinBatch


@dataclass(frozen=True)
class FileSampler(Sampler):
    """The spins of an ``.npz`` file, a dataset or a trajectory store; trajectories and steps are kept.

    Attributes:
        path: the file or folder.
        limit: only the first so many (of the selected) snapshots; None takes all.
        select: snapshot indices in this order, negative from the end; None takes all.

    Raises:
        ConfigError: no path, limit below 1, an index that does not exist.
        DataError: see :func:`magsim.datasets.configurations.read_configurations`.
    """

    path: str = ""
    limit: int | None = None
    select: tuple[int, ...] | None = None

    name: ClassVar[str] = "file"

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError(
                "sampler.path", None, "the .npz file or Zarr store whose spins are to be labelled."
            )
        if self.limit is not None and self.limit < 1:
            raise ConfigError("sampler.limit", self.limit, "at least 1 snapshot, or null for all.")

    @cached_property
    def configurations(self) -> Configurations:
        """The selected snapshots, read once."""
        found = read_configurations(self.path)
        index = np.arange(len(found.spins))
        if self.select is not None:
            wrong = [k for k in self.select if not -len(index) <= k < len(index)]
            if wrong or not self.select:
                raise ConfigError(
                    "sampler.select", list(self.select), f"indices of the {len(index)} snapshots there."
                )
            index = index[list(self.select)]
        index = index[: self.limit]
        return Configurations(
            found.path, found.spins[index], found.trajectory[index], found.step[index], found.lattice
        )

    def __len__(self) -> int:
        return len(self.configurations.spins)

    @property
    def n_trajectories(self) -> int:
        return int(self.configurations.trajectory.max()) + 1

    def check(self, lattice: Lattice) -> None:
        found = self.configurations
        n_sites = found.spins.shape[1]
        if n_sites != lattice.n_sites:
            raise DataError(
                found.path,
                f"array 'spins' has {n_sites} sites, the {lattice.name} lattice with "
                f"lattice.shape={list(lattice.shape)} has {lattice.n_sites}.",
            )
        shape = list(found.lattice["shape"]) if found.lattice else list(lattice.shape)
        if shape != list(lattice.shape):
            raise DataError(
                found.path, f"its lattice shape is {shape}, not lattice.shape={list(lattice.shape)}."
            )

    def fingerprint(self) -> str | None:
        return self.configurations.content_hash()

    def batches(
        self, sampling: Sampling, batch_size: int = 16, start: int = 0, recorded: Recorded | None = None
    ) -> Iterator[SpinBatch]:
        self.check(sampling.lattice)
        found = self.configurations
        for first in range(start, len(self), batch_size):
            part = slice(first, first + batch_size)
            yield SpinBatch(found.spins[part], found.trajectory[part], found.step[part], self.name)
