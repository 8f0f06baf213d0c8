"""Snapshots for Lightning: split by trajectory, in memory, shuffled by seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from magsim.learning.dataset import SpinDataset
from magsim.learning.losses import snapshot_weights
from magsim.learning.split import Split
from magsim.learning.states import groups
from magsim.spins import seed_sequence

Batch = dict[str, Tensor]


class EpochShuffle(Sampler[list[int]]):
    """Batches of a permutation that depends on seed and epoch alone: a resumed run sees the same batches.

    Lightning calls :meth:`set_epoch` before each epoch, but in a resumed run after it has asked for the
    iterator: the order is drawn when the first batch is taken.
    """

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self.size, self.batch_size, self.seed, self.epoch = size, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        state = seed_sequence(self.seed, "shuffle", self.epoch).generate_state(1)[0]
        order = torch.randperm(self.size, generator=torch.Generator().manual_seed(int(state))).tolist()
        for k in range(0, self.size, self.batch_size):
            yield order[k : k + self.batch_size]


class Snapshots(torch.utils.data.Dataset[Batch]):
    """Tensors of some snapshots; an index list gives one batch."""

    def __init__(self, **arrays: Tensor) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["spins"])

    def __getitem__(self, index: list[int]) -> Batch:
        return {name: array[index] for name, array in self.arrays.items()}


class SpinDataModule(pl.LightningDataModule):
    """Training and validation parts of a dataset.

    Args:
        dataset: labelled snapshots.
        split: which go where.
        batch_size: snapshots per step.
        seed: of the shuffling.
        floor: see :func:`magsim.learning.losses.snapshot_weights`.
        dtype: of the tensors.

    Attributes:
        sources, states: what errors are quoted for, see :func:`magsim.learning.states.groups`: together the
            names of the columns of ``batch["groups"]``.
    """

    def __init__(
        self,
        dataset: SpinDataset,
        split: Split,
        batch_size: int,
        seed: int,
        floor: float | None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.batch_size, self.seed = batch_size, seed
        found = groups(dataset)
        self.sources = tuple(name for name in found if name in dataset.sources)
        self.states = tuple(name for name in found if name not in dataset.sources)
        member = torch.tensor(np.stack(list(found.values()), axis=1))
        spins, field = torch.tensor(dataset.spins), torch.tensor(dataset.field)
        weights = snapshot_weights(field, spins, floor, torch.tensor(split.train))
        self.parts = {}
        for name, index in (("train", split.train), ("validation", split.validation)):
            chosen = torch.tensor(index)
            self.parts[name] = Snapshots(
                spins=spins[chosen].to(dtype),
                field=field[chosen].to(dtype),
                weight=weights[chosen].to(dtype),
                groups=member[chosen].to(dtype),
            )

    def train_dataloader(self) -> DataLoader:
        part = self.parts["train"]
        return DataLoader(part, sampler=EpochShuffle(len(part), self.batch_size, self.seed), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        part = self.parts["validation"]
        size = max(self.batch_size, 16)
        chunks = [list(range(k, min(k + size, len(part)))) for k in range(0, len(part), size)]
        return DataLoader(part, sampler=chunks, batch_size=None)
