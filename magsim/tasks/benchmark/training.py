"""Samples per second of the training: forward, loss, backward, optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig

from magsim.learning.closed_form import ClosedFormModule
from magsim.learning.losses import field_loss
from magsim.models import LinearModel, Model, build_model
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark.timing import time_calls
from magsim.tasks.build import build_lattice, plain, torch_dtype


@dataclass(frozen=True)
class Samples:
    """Rate of the training.

    Attributes:
        shape, sites: of the lattice.
        model, invariants, weights: what is trained.
        batch_size: snapshots per step.
        samples_per_second: snapshots.
        sites_per_second: snapshots times sites.
    """

    shape: list[int]
    sites: int
    model: str
    invariants: int
    weights: int
    batch_size: int
    samples_per_second: float
    sites_per_second: float


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return 1


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Samples:
    """Rate on ``lattice.shape`` with random spins and random targets, which cost what real ones cost."""
    lattice = build_lattice(cfg)
    model = build_model(lattice, plain(cfg.descriptor), plain(cfg.model)).to(torch_dtype(cfg)).to(device)
    batch = int(cfg.trainer.batch_size)
    drawn = random_spins(lattice.n_sites, rng(0, "benchmark", "training"), (2, batch))
    spins, field = torch.from_numpy(drawn).to(model.energy_scale)
    timing = time_calls(_step(cfg, model, spins, field), float(cfg.task.seconds))
    bar.advance(1, now="training")
    rate = batch / timing.seconds
    return Samples(
        shape=list(lattice.shape),
        sites=lattice.n_sites,
        model=str(cfg.model.name),
        invariants=model.n_features,
        weights=sum(p.numel() for p in model.parameters()),
        batch_size=batch,
        samples_per_second=rate,
        sites_per_second=rate * lattice.n_sites,
    )


def metrics(samples: Samples) -> dict[str, float]:
    """Flat metrics."""
    return {"benchmark/training_samples_per_second": samples.samples_per_second}


def section(cfg: DictConfig, run: Run, samples: Samples) -> Section:
    """For the report page."""
    return Section("Training", tables=(_table(samples),))


def cards(samples: Samples) -> list[Metric]:
    """The rate."""
    return [Metric("samples/s in training", samples.samples_per_second)]


def _table(s: Samples) -> Table:
    columns = ("model", "invariants", "weights", "sites", "batch", "samples/s", "sites/s")
    row = [s.model, s.invariants, s.weights, s.sites, s.batch_size, s.samples_per_second, s.sites_per_second]
    return Table(columns, [row], "Training: forward, backward, optimiser")


def _step(cfg: DictConfig, model: Model, spins: torch.Tensor, field: torch.Tensor) -> Callable[[], Any]:
    """One optimisation step, or one batch of the normal equations."""
    weight = torch.ones(len(spins), dtype=spins.dtype, device=spins.device)
    if isinstance(model, LinearModel):
        module = ClosedFormModule(model, float(cfg.model.ridge), ("random",), {})
        batch = {"spins": spins, "field": field, "weight": weight}
        return lambda: module.training_step(batch, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()

    def step() -> float:
        optimizer.zero_grad()
        predicted = model(spins, **model.given(spins.new_zeros(len(spins))))[1]
        loss = field_loss(predicted, field, spins, weight, float(cfg.trainer.gamma))
        loss.backward()
        optimizer.step()
        return float(loss.detach())  # waits for the GPU

    return step
