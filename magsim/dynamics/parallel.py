"""One lattice on several processes: each moves the spins of a slab and is told those of its halo.

Joined by torch.distributed, gloo on CPUs and nccl on GPUs. A step asks for one exchange of halos per field,
and for the sum or maximum of a few numbers where a decision depends on all spins. The noise of a site
depends on the site, not on the process, so that the run is the one of a single process to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from magsim.dynamics.effective_field import EffectiveField
from magsim.dynamics.evolve import Frame
from magsim.dynamics.pieces import Piece
from magsim.dynamics.share import Share
from magsim.lattice import Cut

NOWHERE = torch.iinfo(torch.int64).max


class ProcessShare(Share):
    """The slab of one process of the group that has been initialised.

    Args:
        cut: into as many slabs as there are processes, whose window the field is bound to.
        rank: of this process.
        device: of its spins.
    """

    def __init__(self, cut: Cut, rank: int, device: torch.device) -> None:
        self.cut, self.rank, self.device = cut, rank, device
        self.slab = cut.slabs[rank]
        self.own = self.slab.own
        self.first = self.own.start

    def largest(self, value: float) -> float:
        return float(self.largest_of(torch.tensor(value, dtype=torch.float64, device=self.device)))

    def largest_of(self, values: Tensor) -> Tensor:
        return _reduced(values, dist.ReduceOp.MAX)

    def total(self, values: Tensor) -> Tensor:
        return _reduced(values, dist.ReduceOp.SUM)

    def fault(self, good: Tensor | None) -> tuple[int, int] | None:
        here = super().fault(good)
        n = self.cut.lattice.n_sites
        place = NOWHERE if here is None else here[0] * n + here[1] + self.first
        found = int(_reduced(torch.tensor(place, device=self.device), dist.ReduceOp.MIN))
        return None if found == NOWHERE else divmod(found, n)

    # --- spins of other processes

    @cached_property
    def _owner(self) -> np.ndarray:
        """``(rows,)`` which process moves a row of the lattice."""
        return np.repeat(np.arange(self.cut.n), [slab.stop - slab.start for slab in self.cut.slabs])

    @cached_property
    def _traffic(self) -> tuple[list[tuple[int, Tensor]], list[tuple[int, Tensor]]]:
        """What is sent and what is received in an exchange: (process, sites), those sent counted in its own
        sites, those received in the window. Both ends list them in the order of the window."""
        sent, received = [], []
        stride, length = self.cut.stride, self.cut.lattice.shape[0]
        for rank, slab in enumerate(self.cut.slabs):
            rows = (slab.first + np.arange(self.cut.rows)) % length
            for other in range(self.cut.n):
                places = np.flatnonzero(self._owner[rows] == other)
                if not len(places):
                    continue
                if rank == self.rank:
                    received.append((other, _sites(places, stride, self.device)))
                elif other == self.rank:
                    mine = rows[places] - self.slab.start
                    sent.append((rank, _sites(mine, stride, self.device)))
        return sent, received

    def window(self, spins: Tensor) -> Tensor:
        """Spins ``(R, N, 3)`` of the window from those of this process ``(R, n, 3)``, and what the others
        move."""
        whole = spins.new_empty(len(spins), self.cut.window.n_sites, 3)
        sent, received = self._traffic
        operations, arrived = [], []
        for rank, sites in sent:
            message = spins.index_select(1, sites).contiguous()
            operations.append(dist.P2POp(dist.isend, message, rank))
        for rank, places in received:
            if rank == self.rank:  # its own, images of them beyond the boundary too
                rows = (self.slab.first * self.cut.stride + places) % self.cut.lattice.n_sites - self.first
                whole[:, places] = spins.index_select(1, rows)
                continue
            message = spins.new_empty(len(spins), len(places), 3)
            operations.append(dist.P2POp(dist.irecv, message, rank))
            arrived.append((places, message))
        for request in dist.batch_isend_irecv(operations) if operations else []:
            request.wait()
        for places, message in arrived:
            whole[:, places] = message
        return whole

    def scattered(self, spins: Tensor | None, replicas: int) -> Tensor:
        """The spins ``(R, n, 3)`` of this process, of all ``(R, N, 3)`` that process 0 has."""
        if self.rank == 0:
            assert spins is not None
            for rank, slab in enumerate(self.cut.slabs[1:], 1):
                dist.send(spins[:, slab.own].contiguous(), rank)
            return spins[:, self.own].contiguous()
        count = self.own.stop - self.own.start
        mine = torch.empty(replicas, count, 3, dtype=torch.float64, device=self.device)
        dist.recv(mine, 0)
        return mine

    def gathered(self, values: Tensor) -> Tensor:
        """``(R, N, 3)`` of all processes in process 0; in the others what they have, ``(R, n, 3)``."""
        if self.rank != 0:
            dist.send(values.contiguous(), 0)
            return values
        whole = values.new_empty(len(values), self.cut.lattice.n_sites, 3)
        whole[:, self.own] = values
        for rank, slab in enumerate(self.cut.slabs[1:], 1):
            message = values.new_empty(len(values), slab.own.stop - slab.own.start, 3)
            dist.recv(message, rank)
            whole[:, slab.own] = message
        return whole


class ParallelField(EffectiveField):
    """The field on the sites of one process, from their spins ``(R, n, 3)``.

    Its energy is that of these sites; :func:`whole_frames` adds them up where somebody wants to know.

    Args:
        piece: the field, bound to the window.
        share: of this process.
        like: the whole field, for its name and properties.
    """

    def __init__(self, piece: Piece, share: ProcessShare, like: EffectiveField) -> None:
        self._piece, self.share = piece, share
        self.n_sites = share.own.stop - share.own.start
        self.name, self.conservative, self.torque_scale = like.name, like.conservative, like.torque_scale

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        return self._piece.of_sites(self.share.window(spins), self.share.slab.within)


def whole_frames(frames: Iterator[Frame], share: ProcessShare) -> Iterator[Frame]:
    """Frames of all processes in process 0, with the energy of the whole lattice; every process has to go
    through its own."""
    for frame in frames:
        spins, field = share.gathered(frame.spins), share.gathered(frame.field)
        yield replace(frame, spins=spins, field=field, energy=share.total(frame.energy))


def _reduced(values: Tensor, how: Any) -> Tensor:
    values = values.clone()
    dist.all_reduce(values, how)
    return values


def _sites(rows: np.ndarray, stride: int, device: torch.device) -> Tensor:
    return torch.from_numpy((rows[:, None] * stride + np.arange(stride)).ravel()).to(device)
