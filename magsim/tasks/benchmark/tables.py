"""What the benchmark shows: tables in the terminal and on the page, bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import Run
from magsim.tasks.benchmark import classical, electrons, training
from magsim.tasks.pages import publish

WIDTH = 110  # of a table in a log file


def describe(machine: Mapping[str, Any]) -> list[str]:
    """The machine in two lines."""
    gpu = machine["gpu"] or "none"
    first = f"{machine['processor']}, {machine['cores']} cores, {machine['torch_threads']} threads, GPU {gpu}"
    load = "unknown" if machine["load_before"] is None else f"{machine['load_before']:g}"
    return [first, f"load of the machine before the run {load} (0: idle)"]


def show(
    cfg: DictConfig,
    run: Run,
    machine: Mapping[str, Any],
    llg: Sequence[electrons.Row],
    samples: training.Samples,
    spins: Sequence[classical.Row],
) -> None:
    """Print the tables, draw the bars, write the page."""
    sections = [
        Section(
            "Exact and learned dynamics",
            f"LLG with the integrator {cfg.integrator.name} on the {cfg.lattice.name} lattice, one replica. "
            f"Learned field: {electrons.learned_name(cfg)}.\n\n"
            "Exact rates: measured; or from the time of one solution; or, where marked so, extrapolated from "
            "the largest lattice that was labelled with the cost N³ of diagonalisation.",
            tables=(_llg_table(llg),),
            pictures=_pictures(run, "benchmark_llg", _llg_bars(run.folder / "benchmark_llg.png", llg)),
        ),
        Section("Training", tables=(_training_table(samples),)),
        Section(
            "Classical spins",
            f"Heisenberg ferromagnet, square {classical.SIDE} x {classical.SIDE}, float64, one replica, "
            f"beside the package spirit in the same run, turn by turn ({classical.spirit_version()}).",
            tables=(_classical_table(spins),),
            pictures=_pictures(
                run, "benchmark_classical", _classical_bars(run.folder / "benchmark_classical.png", spins)
            ),
        ),
    ]
    for section in sections:
        for table in section.tables:
            print_table(table)
    cards = [Metric(f"learned over exact, {row.name}", row.ratio, row.exact) for row in llg]
    cards += [
        Metric(f"magsim over spirit, {row.integrator}, T = {row.T:g}", row.ratio)
        for row in spins
        if row.ratio is not None
    ]
    publish(cfg, run, "Benchmark", sections, cards, ". ".join(describe(machine)) + ".")


def print_table(table: Table) -> None:
    """A table of the report in the terminal."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    drawn = RichTable(title=table.caption, title_justify="left")
    cells = table.cells()
    for k, column in enumerate(table.columns):
        numeric = bool(cells) and cells[0][k][1]
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*(text for text, _ in row))
    console.print(drawn)


def _llg_table(rows: Sequence[electrons.Row]) -> Table:
    columns = ("lattice", "sites", "labels/s", "exact steps/s", "learned steps/s", "ratio", "exact rate")
    return Table(
        columns,
        [
            [
                row.name,
                row.sites,
                row.labels_per_second,
                row.exact_steps_per_second,
                row.learned_steps_per_second,
                row.ratio,
                row.exact,
            ]
            for row in rows
        ],
        "Labels and LLG steps per second",
    )


def _training_table(s: training.Samples) -> Table:
    columns = ("model", "invariants", "weights", "sites", "batch", "samples/s", "sites/s")
    row = [s.model, s.invariants, s.weights, s.sites, s.batch_size, s.samples_per_second, s.sites_per_second]
    return Table(columns, [row], "Training: forward, backward, optimiser")


def _classical_table(rows: Sequence[classical.Row]) -> Table:
    columns = ("integrator", "T", "magsim (10⁶/s)", "spirit (10⁶/s)", "magsim/spirit")
    return Table(
        columns,
        [[r.integrator, r.T, _millions(r.magsim), _millions(r.spirit), r.ratio] for r in rows],
        "Spin updates per second, classical Heisenberg field",
    )


def _millions(rate: float | None) -> float | None:
    return None if rate is None else rate / 1e6


def _llg_bars(path: Path, rows: Sequence[electrons.Row]) -> Path:
    from magsim.report.figures import bars

    values = {
        "exact": [row.exact_steps_per_second for row in rows],
        "learned": [row.learned_steps_per_second for row in rows],
    }
    return bars(path, [row.name for row in rows], values, "LLG steps per second", log=True)


def _classical_bars(path: Path, rows: Sequence[classical.Row]) -> Path:
    from magsim.report.figures import bars

    def column(name: str) -> list[float]:
        found = [_millions(getattr(row, name)) for row in rows]
        return [np.nan if value is None else value for value in found]

    values = {name: column(name) for name in ("magsim", "spirit")}
    shown = {name: column for name, column in values.items() if np.isfinite(column).any()}
    groups = [f"{row.integrator}, T = {row.T:g}" for row in rows]
    return bars(path, groups, shown, "million spin updates per second")


def _pictures(run: Run, name: str, path: Path) -> tuple[Picture, ...]:
    run.image(name, path)
    return (Picture(path, "Rates of the table."),)
