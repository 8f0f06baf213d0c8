"""What a trained field costs: microseconds per site of energy and field on about ten thousand sites."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from magsim.lattice import Lattice
from magsim.models import Model
from magsim.spins import random_spins, rng

SITES = 10_000  # large enough that the overhead of a call is not what is measured
FEWEST = 2  # evaluations, whatever they take


@dataclass(frozen=True)
class ModelCost:
    """Cost of one evaluation of energy and field.

    Attributes:
        microseconds_per_site: the fastest of several evaluations, which other jobs have disturbed least; with
            one thread of a CPU its time on the core, which they hardly disturb.
        sites: of the lattice it was measured on.
        evaluations: how many were timed.
        precision, device, threads: what it was measured with.
    """

    microseconds_per_site: float
    sites: int
    evaluations: int
    precision: str
    device: str
    threads: int

    def __str__(self) -> str:
        return (
            f"{self.microseconds_per_site:.3g} us per site for energy and field of {self.sites} sites "
            f"({self.precision}, {self.device}, {self.threads} threads, best of {self.evaluations})"
        )


def microseconds_per_site(model: Model, seconds: float = 1.0, sites: int = SITES) -> float:
    """The number of :func:`model_cost` alone."""
    return model_cost(model, seconds, sites).microseconds_per_site


def model_cost(model: Model, seconds: float = 1.0, sites: int = SITES) -> ModelCost:
    """Time ``model(spins)`` as dynamics call it: one replica, evaluation mode, no gradients of the weights.

    Args:
        model: bound to any size of its crystal, to which it is bound again afterwards.
        seconds: to spend after one evaluation to warm up; at least two evaluations are timed.
        sites: about how many.

    Returns:
        see :class:`ModelCost`.
    """
    scale = model.energy_scale
    with _bound(model, about(model.lattice, sites)) as lattice:
        spins = torch.from_numpy(random_spins(lattice.n_sites, rng(0, "cost"), (1,))).to(scale)
        _seconds(model, spins)
        end = time.perf_counter() + seconds
        times = [_seconds(model, spins) for _ in range(FEWEST)]
        while time.perf_counter() < end:
            times.append(_seconds(model, spins))
    return ModelCost(
        microseconds_per_site=1e6 * min(times) / lattice.n_sites,
        sites=lattice.n_sites,
        evaluations=len(times),
        precision=str(scale.dtype).removeprefix("torch."),
        device=scale.device.type,
        threads=torch.get_num_threads(),
    )


def about(lattice: Lattice, sites: int) -> Lattice:
    """The same crystal with equal sides and about so many sites."""
    side = round((sites / lattice.n_basis) ** (1 / lattice.dim))
    return lattice.with_shape((side,) * lattice.dim)


@contextmanager
def _bound(model: Model, lattice: Lattice) -> Iterator[Lattice]:
    """The model on another lattice, in the state in which dynamics use it; as it was on leaving."""
    before, training = model.lattice, model.training
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.bind(lattice).eval().requires_grad_(False)
        yield lattice
    finally:
        model.bind(before).train(training)
        for parameter in trained:
            parameter.requires_grad_(True)


def _seconds(model: Model, spins: Tensor) -> float:
    """Of one evaluation; on a GPU until it has finished."""
    alone = torch.get_num_threads() == 1 and not spins.is_cuda
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    _, field = model(spins, **model.given(spins.new_zeros(len(spins))))
    if field.is_cuda:
        torch.cuda.synchronize()
    return clock() - start
