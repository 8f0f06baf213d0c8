"""Labels per second of every method, on the device and on the processor beside it.

Electrons: s-d model on the square lattice, t = 1, J = 3, T = .1 at a filling of .4; the driven strip is that
of :mod:`.driven`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.hamiltonian import SDHamiltonian
from magsim.labelers import EDLabeler, GreensLabeler, KPMLabeler, Labeler, NEGFLabeler
from magsim.lattice import make_lattice
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark.driven import published_strip
from magsim.tasks.benchmark.part import OnLattice, failed, shape_name
from magsim.tasks.benchmark.timing import attempt, time_calls
from magsim.tasks.build import labeler_device

KINDS: dict[str, Any] = {"greens": GreensLabeler, "ed": EDLabeler, "kpm": KPMLabeler}
Shape = tuple[int, int]
SMALL: Shape = (6, 6)
SIDES: dict[str, dict[str, tuple[int, ...]]] = {
    "cpu": {"greens": (8,), "ed": (8,), "kpm": (8,)},
    "cuda": {"greens": (24, 30, 50), "ed": (24, 30), "kpm": (24, 30)},
}
STRIPS: dict[str, Shape] = {"cpu": (8, 6), "cuda": (32, 24)}
STRIP_TOLERANCE = 1e-5
BATCHES = {"cpu": (1,), "cuda": (1, 16)}
STRIP_BATCHES = {"cpu": (1,), "cuda": (1, 16, 64)}


@dataclass(frozen=True)
class Row(OnLattice):
    """One method on one lattice.

    Attributes:
        method: name of the labeler.
        batch: configurations of a call.
        rate: labels per second on the device.
        host: labels per second on the processor; None on it.
        ratio: device over processor.
    """

    method: str
    batch: int
    rate: float
    host: float | None
    ratio: float | None


@dataclass(frozen=True)
class Result:
    """All rows, where they were measured, and what failed."""

    rows: list[Row]
    device: str
    failures: list[str]


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(KINDS) + 1


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Iterator[Result]:
    """``task.seconds`` for each rate, or one call where it takes longer."""
    device, seconds = labeler_device(cfg), float(cfg.task.seconds)
    result = Result([], device, [])

    def strip(shape: Shape, where: str) -> Labeler:
        return NEGFLabeler(published_strip(shape), where, tolerance=STRIP_TOLERANCE)

    _rows(result, "negf", strip, [STRIPS[device]], STRIP_BATCHES[device], seconds)
    yield result
    bar.advance(1, now="labels by negf")
    for method, kind in KINDS.items():

        def labeler(shape: Shape, where: str, kind: Any = kind) -> Labeler:
            lattice = make_lattice("square", shape)
            return kind(SDHamiltonian(lattice, (1.0,), J=3.0, T=0.1, filling=0.4), device=where)

        shapes = [(side, side) for side in SIDES[device][method]]
        _rows(result, method, labeler, shapes, BATCHES[device], seconds)
        yield result
        bar.advance(1, now=f"labels by {method}")


def _rows(
    result: Result,
    method: str,
    make: Callable[[Shape, str], Labeler],
    shapes: Sequence[Shape],
    batches: Sequence[int],
    seconds: float,
) -> None:
    places = dict.fromkeys((result.device, "cpu"))
    with attempt(f"{method}, {shape_name(SMALL)}", result.failures):
        for where in places:  # compilers and libraries set themselves up
            make(SMALL, where).label(_spins(SMALL, 1))
    for shape in shapes:
        with attempt(f"{method}, {shape_name(shape)}", result.failures):
            host = _rate(make, shape, "cpu", 1, seconds) if len(places) > 1 else None
            for batch in batches:
                rate = _rate(make, shape, result.device, batch, seconds)
                ratio = None if host is None else rate / host
                result.rows.append(Row(list(shape), method, batch, rate, host, ratio))


def _rate(
    make: Callable[[Shape, str], Labeler], shape: Shape, where: str, batch: int, seconds: float
) -> float:
    labeler, spins = make(shape, where), _spins(shape, batch)
    return batch / time_calls(lambda: labeler.label(spins), seconds).seconds


def _spins(shape: Shape, batch: int) -> np.ndarray:
    return random_spins(shape[0] * shape[1], rng(0, "benchmark"), (batch,))


def metrics(result: Result) -> dict[str, float]:
    """Flat metrics."""
    return {f"benchmark/labels_per_second_{r.method}_{r.name}_batch{r.batch}": r.rate for r in result.rows}


def section(cfg: DictConfig, run: Run, result: Result) -> Section:
    """For the report page."""
    columns = ("labeler", "lattice", "batch", "labels/s", "on the processor", "ratio")
    cells = [[r.method, r.name, r.batch, r.rate, r.host, r.ratio] for r in result.rows]
    return Section(
        "Labels per second",
        f"On {result.device}, random spins: s-d model on the square lattice (J = 3, T = 0.1, filling 0.4), "
        "default tolerances; the driven strip of arXiv:2112.12124 for negf (tolerance "
        f"{STRIP_TOLERANCE:g}). On the processor one configuration at a time." + failed(result.failures),
        tables=(Table(columns, cells, "Labels per second"),),
    )


def cards(result: Result) -> list[Metric]:
    """The best ratio to the processor."""
    best = max((r for r in result.rows if r.ratio is not None), key=lambda r: r.ratio or 0.0, default=None)
    return [] if best is None else [Metric(f"device over processor, {best.method} {best.name}", best.ratio)]
