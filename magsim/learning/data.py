"""Snapshots for Lightning: in memory, shuffled by seed and epoch, divided among processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.split import Split
from magsim.datasets.states import groups, state_classes
from magsim.learning.losses import snapshot_weights
from magsim.spins import rng, seed_sequence

Batch = dict[str, Tensor]
VALIDATED = 16  # snapshots that are validated together, or a batch
Part = tuple[list[int], float]  # snapshots and their factor


class EpochShuffle(Sampler[Part]):
    """Batches of a permutation that depends on seed and epoch alone: a resumed run sees the same batches.

    With several processes each takes every ``processes``-th snapshot of every batch. Their mean gradient is
    that of the whole batch: a part of b snapshots has the factor ``b processes / B``, and a process for which
    nothing is left takes the first snapshot with the factor 0.

    Lightning calls :meth:`set_epoch` before each epoch, but in a resumed run after it has asked for the
    iterator: the order is drawn when the first batch is taken.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1, passes: int = 1
    ) -> None:
        self.size, self.batch_size, self.seed, self.epoch = size, batch_size, seed, 0
        self.rank, self.processes, self.passes = rank, processes, passes

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.passes * -(-self.size // self.batch_size)

    def order(self, turn: int) -> list[int]:
        """Snapshots of one pass, counted from the start of the training."""
        state = seed_sequence(self.seed, "shuffle", turn).generate_state(1)[0]
        return torch.randperm(self.size, generator=torch.Generator().manual_seed(int(state))).tolist()

    def __iter__(self) -> Iterator[Part]:
        for turn in range(self.passes):
            order = self.order(self.epoch * self.passes + turn)
            for k in range(0, self.size, self.batch_size):
                yield share(order[k : k + self.batch_size], self.rank, self.processes)


class BalancedShuffle(EpochShuffle):
    """The same with the classes of state in turn: C of them have ``size/C`` draws each in an epoch.

    Every C draws in succession hold each class once, in random order. A class of n_c snapshots is drawn
    through in a random order before any of them comes again, so that the loss that an epoch descends is

        L = (1/C) sum_c (1/n_c) sum_{i in c} w_i |error_i|^2

    instead of the mean over all snapshots.

    Args:
        classes: ``(size,)`` names.
    """

    def __init__(
        self,
        classes: np.ndarray,
        batch_size: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        passes: int = 1,
    ) -> None:
        super().__init__(len(classes), batch_size, seed, rank, processes, passes)
        self.members = [np.flatnonzero(classes == name) for name in np.unique(classes)]

    def order(self, turn: int) -> list[int]:
        generator = rng(self.seed, "balance", turn)
        turns = -(-self.size // len(self.members))
        drawn = [_round_and_round(own, turns, generator) for own in self.members]
        table = generator.permuted(np.stack(drawn, axis=1), axis=1)  # (turn, class)
        return table.reshape(-1)[: self.size].tolist()


def _round_and_round(members: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` draws: permutations of the members, one after the other."""
    rounds = -(-count // len(members))
    return np.concatenate([generator.permutation(members) for _ in range(rounds)])[:count]


def share(batch: list[int], rank: int, processes: int) -> Part:
    """What one of several processes takes of a batch, and its factor; see :class:`EpochShuffle`."""
    own = batch[rank::processes]
    return (own, len(own) * processes / len(batch)) if own else (batch[:1], 0.0)


class Snapshots(torch.utils.data.Dataset[Batch]):
    """Tensors of some snapshots, wherever they lie; a list of indices with a factor gives one batch there.

    The factor multiplies weights and membership in groups: what is summed over processes.
    """

    def __init__(self, **arrays: Tensor) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["spins"])

    def __getitem__(self, part: Part) -> Batch:
        places, factor = part
        device = self.arrays["spins"].device
        index = torch.tensor(places).to(device, non_blocking=True)  # without waiting for what runs there
        batch = {name: array.index_select(0, index) for name, array in self.arrays.items()}
        return batch | {name: factor * batch[name] for name in ("weight", "groups")}

    @property
    def nbytes(self) -> int:
        """Of all tensors."""
        return sum(array.nbytes for array in self.arrays.values())


class SpinDataModule(pl.LightningDataModule):
    """Training and validation parts of a dataset.

    Args:
        dataset: labelled snapshots.
        split: which go where.
        batch_size: snapshots per step.
        seed: of the shuffling.
        floor: see :func:`magsim.learning.losses.snapshot_weights`.
        dtype: of the tensors.
        balance: draw the classes of state equally often, see :class:`BalancedShuffle`.

    Attributes:
        passes: how often an epoch goes through the training part.
        sources, states: what errors are quoted for, see :func:`magsim.datasets.states.groups`: together the
            names of the columns of ``batch["groups"]``.
        energy_spread: standard deviation of the energies of the training part; None where there are none.

    Batches hold ``spins``, ``field``, ``weight``, ``groups`` and, where they are known, ``energy`` and
    ``voltage``.
    """

    def __init__(
        self,
        dataset: SpinDataset,
        split: Split,
        batch_size: int,
        seed: int,
        floor: float | None,
        dtype: torch.dtype = torch.float32,
        balance: bool = False,
    ) -> None:
        super().__init__()
        self.batch_size, self.seed, self.passes = batch_size, seed, 1
        self.classes = state_classes(dataset)[split.train] if balance else None
        found = groups(dataset)
        self.sources = tuple(name for name in found if name in dataset.sources)
        self.states = tuple(name for name in found if name not in dataset.sources)
        member = torch.tensor(np.stack(list(found.values()), axis=1))
        spins, field = torch.tensor(dataset.spins), torch.tensor(dataset.field)
        weights = snapshot_weights(field, spins, floor, torch.tensor(split.train))
        self.energy_spread: float | None = None
        if dataset.energy is not None:  # centred, because single precision has few digits to lose
            energies = torch.tensor(dataset.energy - dataset.energy[split.train].mean())
            self.energy_spread = float(energies[split.train].std(correction=0)) or 1.0
        voltage = dataset.voltage
        self.parts = {}
        for name, index in (("train", split.train), ("validation", split.validation)):
            chosen = torch.tensor(index)
            arrays = {"spins": spins, "field": field, "weight": weights, "groups": member}
            if dataset.energy is not None:
                arrays["energy"] = energies
            if voltage is not None:
                arrays["voltage"] = torch.tensor(voltage)
            self.parts[name] = Snapshots(**{key: array[chosen].to(dtype) for key, array in arrays.items()})

    def to(self, device: torch.device) -> None:
        """Keep the snapshots on a device, so that batches need no copy."""
        for part in self.parts.values():
            part.arrays = {name: array.to(device) for name, array in part.arrays.items()}

    @property
    def place(self) -> tuple[int, int]:
        """Rank of this process and number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def train_dataloader(self) -> DataLoader:
        part = self.parts["train"]
        if self.classes is None:
            sampler = EpochShuffle(len(part), self.batch_size, self.seed, *self.place, self.passes)
        else:
            sampler = BalancedShuffle(self.classes, self.batch_size, self.seed, *self.place, self.passes)
        return DataLoader(part, sampler=sampler, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        part = self.parts["validation"]
        rank, processes = self.place
        own = list(range(rank, len(part), processes))
        size = max(self.batch_size, VALIDATED)
        chunks: list[Part] = [(own[k : k + size], 1.0) for k in range(0, len(own), size)]
        if not own and len(part):  # every process takes part in what is summed over them
            chunks = [([0], 0.0)]
        return DataLoader(part, sampler=chunks, batch_size=None)
