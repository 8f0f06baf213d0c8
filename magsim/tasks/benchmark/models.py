"""What learned fields cost: microseconds per site for energy and field, beside the published network on e3nn.

All rates are of one run on one machine, and of one precision. Weights do not change what an evaluation costs:
but for ``checkpoint`` the models are untrained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from omegaconf import DictConfig

from magsim.config import compose
from magsim.config.paths import groups
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import load_model
from magsim.models import Model, build_model
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark import e3nn_network
from magsim.tasks.benchmark.limits import Limits, limits, work_of
from magsim.tasks.build import build_lattice, plain, torch_dtype
from magsim.tasks.training.model_cost import about, microseconds_per_site

SITES = 10**4
MANY = 10**6  # on a GPU, which ten thousand do not keep busy
PUBLISHED = "published"
START = 16  # side of the lattice on which models are built


@dataclass(frozen=True)
class Row:
    """Cost of one model on one lattice.

    Attributes:
        name: of the option, the preset, the checkpoint or the published network.
        sites: of the lattice.
        weights: of the model.
        microseconds: per site, for energy and field of one replica.
        ratio: of the published network to it, at as many sites; None where that was not measured.
        bandwidth: share of the rate of a copy, counting what each kernel reads and writes; above 1 where
            caches serve.
        arithmetic: share of the rate of float32 matrix products, counting dense products alone.
    """

    name: str
    sites: int
    weights: int
    microseconds: float
    ratio: float | None
    bandwidth: float
    arithmetic: float


@dataclass(frozen=True)
class Result:
    """All rows, and what they were measured with.

    Attributes:
        rows: by model and number of sites.
        published: version of e3nn, or that it is not installed.
        precision: of all models.
        limits: of the device.
    """

    rows: list[Row]
    published: str
    precision: str
    limits: Limits


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return 2 * e3nn_network.installed() + len(cfg.task.models) + (cfg.checkpoint is not None)


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Result:
    """A row for each model and size, ``task.seconds`` for each."""
    seconds, dtype = float(cfg.task.seconds), torch_dtype(cfg)
    bound = limits(device, seconds)
    sizes = (SITES, MANY) if device == "cuda" else (SITES,)
    rows: list[Row] = []
    yardstick: dict[int, float] = {}
    for name, model in _models(cfg):
        model = model.to(dtype).to(device)
        for sites in sizes:
            row = _row(name, model, sites, seconds, bound, yardstick)
            if row is not None:
                rows.append(row)
        bar.advance(1, now=f"energy and field of {name}")
    return Result(rows, e3nn_network.version(), str(dtype).removeprefix("torch."), bound)


def metrics(result: Result) -> dict[str, float]:
    """Flat metrics."""
    found = {}
    for row in result.rows:
        found[f"benchmark/microseconds_per_site_{row.name}_{row.sites}"] = row.microseconds
        if row.ratio is not None:
            found[f"benchmark/published_over_{row.name}_{row.sites}"] = row.ratio
    return found


def section(cfg: DictConfig, run: Run, result: Result) -> Section:
    """For the report page."""
    return Section(
        "Learned fields",
        f"Energy and field of one replica, {result.precision}, all cores, the fastest of several "
        "evaluations. Published: the equivariant network of arXiv:2305.03804 "
        f"({result.published}); merged: with all neighbours in one product. {result.limits.words}",
        tables=(_table(result.rows),),
    )


def cards(result: Result) -> list[Metric]:
    """How much cheaper each model is."""
    return [
        Metric(f"published over {row.name}, {row.sites} sites", row.ratio)
        for row in result.rows
        if row.ratio is not None and not row.name.startswith(PUBLISHED)
    ]


def _table(rows: Sequence[Row]) -> Table:
    columns = (
        "model",
        "weights",
        "sites",
        "µs/site",
        "10⁶ sites/s",
        "published/model",
        "of bandwidth",
        "of arithmetic",
    )
    cells = [
        [r.name, r.weights, r.sites, r.microseconds, 1 / r.microseconds, r.ratio, r.bandwidth, r.arithmetic]
        for r in rows
    ]
    return Table(columns, cells, "Learned fields: energy and field")


def _models(cfg: DictConfig) -> Iterator[tuple[str, Model]]:
    """The published network first: the others are compared with it."""
    if e3nn_network.installed():
        square = make_lattice("square", (START, START))
        yield PUBLISHED, e3nn_network.PublishedNetwork(square)
        yield f"{PUBLISHED}, merged", e3nn_network.PublishedNetwork(square, merged=True)
    base = build_lattice(cfg)
    lattice = base.with_shape((START,) * base.dim)
    for name in cfg.task.models:
        kind = "model" if name in groups()["model"] else "experiment"
        chosen = compose([f"{kind}={name}"])
        yield name, build_model(lattice, plain(chosen.descriptor), plain(chosen.model))
    if cfg.checkpoint is not None:
        yield "checkpoint", load_model(cfg.checkpoint)


def _row(
    name: str, model: Model, sites: int, seconds: float, bound: Limits, yardstick: dict[int, float]
) -> Row | None:
    """None where the model does not fit into the memory of the GPU; the published one fills ``yardstick``."""
    model.eval().requires_grad_(False).bind(about(model.lattice, sites))
    spins = torch.from_numpy(random_spins(model.lattice.n_sites, rng(0, "benchmark"), (1,)))
    spins = spins.to(model.energy_scale)
    try:
        microseconds = microseconds_per_site(model, seconds, sites)
        work = work_of(lambda: model(spins, **model.given(spins.new_zeros(len(spins)))))
    except torch.OutOfMemoryError:
        return None
    if name == PUBLISHED:
        yardstick[sites] = microseconds
    bandwidth, arithmetic = work.share(1e-6 * microseconds * model.lattice.n_sites, bound)
    return Row(
        name=name,
        sites=model.lattice.n_sites,
        weights=sum(p.numel() for p in model.parameters()),
        microseconds=microseconds,
        ratio=yardstick[sites] / microseconds if sites in yardstick else None,
        bandwidth=bandwidth,
        arithmetic=arithmetic,
    )
