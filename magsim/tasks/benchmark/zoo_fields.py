"""The learned fields of the zoo on a million spins, and a step of LLG beside one in the exact field.

A step in the exact field is two labels (heun) of the model's own Hamiltonian on a smaller lattice, on the
same device: by Green's functions, and by diagonalisation, whose cost is that of the number of states alone.
They are compared per site, though their costs grow faster. Driven strips have neither; ``llg`` compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig

from magsim.dynamics import LearnedField, load_field
from magsim.labelers import EDLabeler, GreensLabeler, Labeler
from magsim.lattice import Lattice, make_lattice
from magsim.learning.zoo import zoo_models
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark.limits import Limits, fastest, limits, work_of
from magsim.tasks.benchmark.part import failed
from magsim.tasks.benchmark.timing import attempt, time_calls
from magsim.tasks.benchmark.updates import random_tensor, stepper
from magsim.tasks.build import labeler_device, make_hamiltonian

SIDE = {"cpu": 64, "cuda": 1024}
EXACT_SIDE = {"cpu": 12, "cuda": 50}
TOLERANCE = 1e-6  # of the exact field
EVALUATIONS = 2  # of a step of heun


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        name: in the zoo.
        sites: of the lattice.
        weights: of the model.
        precision: of its evaluation.
        field: seconds of energy and field.
        step: seconds of a step of heun.
        bandwidth: share of the rate of a copy, counting what each kernel reads and writes.
        arithmetic: share of the rate of float32 matrix products, counting dense products alone.
        exact_sites: of the lattice that was solved exactly; None where it was not.
        greens_step, dense_step: seconds of a step there, by Green's functions and by diagonalisation.
        over_greens, over_dense: of these to the learned step, per site.
    """

    name: str
    sites: int
    weights: int
    precision: str
    field: float
    step: float
    bandwidth: float
    arithmetic: float
    exact_sites: int | None = None
    greens_step: float | None = None
    dense_step: float | None = None
    over_greens: float | None = None
    over_dense: float | None = None


@dataclass(frozen=True)
class Result:
    """All rows, what they were measured with, and what failed."""

    rows: list[Row]
    limits: Limits
    failures: list[str]


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(zoo_models())


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Iterator[Result]:
    """``task.seconds`` for each rate, and the time that it takes to bind a model to a large lattice."""
    seconds = float(cfg.task.seconds)
    result = Result([], limits(device, seconds), [])
    known: dict[str, float] = {}  # seconds of exact steps
    for name, entry in zoo_models().items():
        with attempt(f"field {name}", result.failures):
            row = _row(name, device, seconds, result.limits)
            result.rows.append(row)
            if entry["hamiltonian"]["name"] != "driven":
                result.rows[-1] = _compared(cfg, row, entry, device, seconds, known, result.failures)
        if device == "cuda":
            torch.cuda.empty_cache()
        yield result
        bar.advance(1, now=f"field {name}")


def _row(name: str, device: str, seconds: float, bound: Limits) -> Row:
    field = load_field(name, device=device)
    if not isinstance(field, LearnedField):
        raise TypeError(f"{name} is not a single model.")
    lattice = _square(field.lattice, SIDE[device])
    field.bind(lattice)
    if field.takes_voltage:
        field.set_voltage(0.0)
    spins = random_tensor(lattice.n_sites, device)
    evaluation = fastest(lambda: field(spins), device, seconds)
    bandwidth, arithmetic = work_of(lambda: field(spins)).share(evaluation, bound)
    return Row(
        name=name,
        sites=lattice.n_sites,
        weights=sum(p.numel() for p in field.model.parameters()),
        precision=str(field.dtype).removeprefix("torch."),
        field=evaluation,
        step=fastest(stepper(field, spins, "heun"), device, seconds),
        bandwidth=bandwidth,
        arithmetic=arithmetic,
    )


def _compared(
    cfg: DictConfig,
    row: Row,
    entry: dict[str, Any],
    device: str,
    seconds: float,
    known: dict[str, float],
    failures: list[str],
) -> Row:
    """With the steps in the field of the model's own electrons that could be measured."""
    lattice = _square(make_lattice(**entry["lattice"]), EXACT_SIDE[device])
    electrons = make_hamiltonian(entry["hamiltonian"], lattice)
    place = labeler_device(cfg)
    ways: dict[str, tuple[str, Callable[[], Labeler]]] = {
        "greens": (str(entry["hamiltonian"]), lambda: GreensLabeler(electrons, place, tolerance=TOLERANCE)),
        "dense": (f"{electrons.n_states} states", lambda: EDLabeler(electrons, place)),
    }
    found: dict[str, Any] = {"exact_sites": lattice.n_sites}
    for way, (key, make) in ways.items():
        with attempt(f"{way}, field of {row.name}", failures):
            if key not in known:
                labeler, spins = make(), random_spins(lattice.n_sites, rng(0, "benchmark"), (1,))
                known[key] = EVALUATIONS * time_calls(partial(labeler.label, spins), seconds).seconds
            found[f"{way}_step"] = known[key]
            found[f"over_{way}"] = known[key] / lattice.n_sites / (row.step / row.sites)
    return replace(row, **found)


def _square(lattice: Lattice, side: int) -> Lattice:
    return lattice.with_shape([side] * lattice.dim)


def metrics(result: Result) -> dict[str, float]:
    """Flat metrics."""
    found: dict[str, float] = {}
    for row in result.rows:
        found[f"benchmark/field_seconds_{row.name}"] = row.field
        found[f"benchmark/step_seconds_{row.name}"] = row.step
        for way, ratio in (("greens", row.over_greens), ("dense", row.over_dense)):
            if ratio is not None:
                found[f"benchmark/{way}_over_step_{row.name}"] = ratio
    return found


def section(cfg: DictConfig, run: Run, result: Result) -> Section:
    """For the report page."""
    exact = next((row.exact_sites for row in result.rows if row.exact_sites), 0)
    return Section(
        "Fields of the zoo on a large lattice",
        f"One replica; a field is energy and field, a step one of heun. {result.limits.words} Beside "
        f"them a step in the field of the model's own electrons on {exact} sites of the same device, by "
        f"Green's functions (tolerance {TOLERANCE:g}) and by diagonalisation; ratios are per site."
        + failed(result.failures),
        tables=(_table(result.rows),),
    )


def cards(result: Result) -> list[Metric]:
    """How much cheaper than the exact field."""
    return [Metric(f"exact over learned step, {r.name}", r.over_dense) for r in result.rows if r.over_dense]


def _table(rows: Sequence[Row]) -> Table:
    columns = (
        "model",
        "sites",
        "field (ms)",
        "step (ms)",
        "10⁶ sites/s",
        "of bandwidth",
        "of arithmetic",
        "greens (s)",
        "greens/step",
        "ed (s)",
        "ed/step",
    )
    cells = [
        [
            r.name,
            r.sites,
            1e3 * r.field,
            1e3 * r.step,
            r.sites / r.field / 1e6,
            r.bandwidth,
            r.arithmetic,
            r.greens_step,
            r.over_greens,
            r.dense_step,
            r.over_dense,
        ]
        for r in rows
    ]
    return Table(columns, cells, "Fields of the zoo")
