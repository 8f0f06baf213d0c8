"""Spin updates per second of a classical Heisenberg ferromagnet, beside the ``spirit`` package.

Both integrate the same system: square lattice, nearest-neighbour exchange, periodic, random initial spins,
one replica, float64. Their turns alternate, so that other users of the machine slow both.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from magsim.dynamics import INTEGRATORS, ClassicalField, Quench, evolve, make_integrator
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark import spirit_package
from magsim.tasks.benchmark.part import ENDLESS, millions, picture
from magsim.tasks.benchmark.timing import time_calls

SIDE = 100
TEMPERATURES = (0.0, 0.1)  # in units of the exchange
ALPHA, DT = 0.1, 0.05
TURNS = 4
STEPS = 50  # per call that is timed


@dataclass(frozen=True)
class Row:
    """Rates of one method.

    Attributes:
        integrator: any; midpoint and suzuki_trotter are not in spirit.
        T: temperature of the bath in units of the exchange.
        sites: spins.
        magsim, spirit: spin updates per second; None where a program does not have the method.
        ratio: magsim over spirit.
    """

    integrator: str
    T: float
    sites: int
    magsim: float | None
    spirit: float | None
    ratio: float | None


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(TEMPERATURES) * len(_methods())


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> list[Row]:
    """One row for each method and temperature, ``task.seconds`` for each program."""
    seconds = float(cfg.task.seconds)
    rows = []
    for T in TEMPERATURES:
        for name in _methods():
            with ExitStack() as stack:
                ours = _ours(name, T, device) if name in INTEGRATORS else None
                theirs = None
                if name in spirit_package.SOLVERS:
                    theirs = stack.enter_context(spirit_package.ferromagnet(name, T, SIDE, DT, ALPHA))
                advance = None if theirs is None else partial(theirs.advance, STEPS)
                rates = _alternate([ours, advance], seconds)
            rows.append(_row(name, T, rates))
            bar.advance(1, now=f"classical {name}, T = {T:g}")
    return rows


def metrics(rows: Sequence[Row]) -> dict[str, float]:
    """Flat metrics: spin updates per second and ratios."""
    found = {}
    for row in rows:
        name = f"{row.integrator}_T{row.T:g}"
        if row.magsim is not None:
            found[f"benchmark/spin_updates_per_second_{name}"] = row.magsim
        if row.spirit is not None:
            found[f"benchmark/spirit_spin_updates_per_second_{name}"] = row.spirit
        if row.ratio is not None:
            found[f"benchmark/magsim_over_spirit_{name}"] = row.ratio
    return found


def section(cfg: DictConfig, run: Run, rows: Sequence[Row]) -> Section:
    """For the report page."""
    path = _bars(run.folder / "benchmark_classical.png", rows)
    return Section(
        "Classical spins",
        f"Heisenberg ferromagnet, square {SIDE} x {SIDE}, float64, one replica, "
        f"beside the package spirit in the same run, turn by turn ({spirit_version()}).",
        tables=(_table(rows),),
        pictures=picture(run, path),
    )


def cards(rows: Sequence[Row]) -> list[Metric]:
    """How much faster than spirit."""
    return [
        Metric(f"magsim over spirit, {row.integrator}, T = {row.T:g}", row.ratio)
        for row in rows
        if row.ratio is not None
    ]


def _table(rows: Sequence[Row]) -> Table:
    columns = ("integrator", "T", "magsim (10⁶/s)", "spirit (10⁶/s)", "magsim/spirit")
    return Table(
        columns,
        [[r.integrator, r.T, millions(r.magsim), millions(r.spirit), r.ratio] for r in rows],
        "Spin updates per second, classical Heisenberg field",
    )


def _bars(path: Path, rows: Sequence[Row]) -> Path:
    from magsim.report.figures import bars

    def column(name: str) -> list[float]:
        found = [millions(getattr(row, name)) for row in rows]
        return [np.nan if value is None else value for value in found]

    values = {name: column(name) for name in ("magsim", "spirit")}
    shown = {name: column for name, column in values.items() if np.isfinite(column).any()}
    groups = [f"{row.integrator}, T = {row.T:g}" for row in rows]
    return bars(path, groups, shown, "million spin updates per second")


def spirit_version() -> str:
    """Version and build of spirit, or that it is not installed."""
    return spirit_package.version()


def _methods() -> list[str]:
    others = () if spirit_package.load() is None else spirit_package.SOLVERS
    return [*INTEGRATORS, *(name for name in others if name not in INTEGRATORS)]


def _ours(name: str, T: float, device: str) -> Callable[[], Any]:
    lattice = make_lattice("square", (SIDE, SIDE))
    field = ClassicalField(ClassicalHamiltonian(lattice, heisenberg=(-1.0,)))
    spins = torch.from_numpy(random_spins(lattice.n_sites, rng(0, "benchmark"), (1,))).to(device)
    integrator = make_integrator(name, DT, ALPHA, T)
    frames: Iterator[Any] = evolve(field, spins, integrator, Quench(ENDLESS, STEPS), seed=0)
    next(frames)
    return lambda: next(frames)


def _alternate(programs: Sequence[Callable[[], Any] | None], seconds: float) -> list[float | None]:
    """Spin updates per second of each program: the median over its turns."""
    rates: list[list[float]] = [[] for _ in programs]
    for _ in range(TURNS):
        for found, work in zip(rates, programs, strict=True):
            if work is not None:
                found.append(STEPS * SIDE**2 / time_calls(work, seconds / TURNS).seconds)
    return [statistics.median(found) if found else None for found in rates]


def _row(name: str, T: float, rates: Sequence[float | None]) -> Row:
    ours, theirs = rates
    ratio = ours / theirs if ours is not None and theirs is not None else None
    return Row(name, T, SIDE**2, ours, theirs, ratio)
