"""What the benchmark shows: tables in the terminal and on the page, bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import Run
from magsim.tasks.benchmark import (
    classical,
    driven,
    electrons,
    kpm,
    label_rates,
    labelers,
    model_table,
    probing,
    training,
    updates,
    zoo_fields,
)
from magsim.tasks.benchmark.console_table import print_table
from magsim.tasks.pages import publish


def describe(machine: Mapping[str, Any]) -> list[str]:
    """The machine in two lines."""
    gpu = machine["gpu"] or "none"
    first = f"{machine['processor']}, {machine['cores']} cores, {machine['torch_threads']} threads, GPU {gpu}"
    load = "unknown" if machine["load_before"] is None else f"{machine['load_before']:g}"
    return [first, f"load of the machine before the run {load} (0: idle)"]


def show(cfg: DictConfig, run: Run, machine: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Print the tables, draw the figures, write the page; ``found`` by name of the part."""
    sections = [SECTIONS[name](cfg, run, result) for name, result in found.items()]
    for section in sections:
        for table in section.tables:
            print_table(table)
    cards = [card for name, result in found.items() if name in CARDS for card in CARDS[name](result)]
    publish(cfg, run, "Benchmark", sections, cards, ". ".join(describe(machine)) + ".")


def _llg_section(cfg: DictConfig, run: Run, rows: Sequence[electrons.Row]) -> Section:
    return Section(
        "Exact and learned dynamics",
        f"LLG with the integrator {cfg.integrator.name} on the {cfg.lattice.name} lattice, one replica. "
        f"Learned field: {electrons.learned_name(cfg)}. Exact labels: {cfg.labeler.name}.\n\n"
        "Exact rates: measured; or from the time of one solution; or, where marked so, extrapolated from "
        "the largest lattice that was labelled with the cost N³ of diagonalisation.",
        tables=(_llg_table(rows),),
        pictures=_pictures(run, "benchmark_llg", _llg_bars(run.folder / "benchmark_llg.png", rows)),
    )


def _training_section(cfg: DictConfig, run: Run, samples: training.Samples) -> Section:
    return Section("Training", tables=(_training_table(samples),))


def _classical_section(cfg: DictConfig, run: Run, rows: Sequence[classical.Row]) -> Section:
    path = _classical_bars(run.folder / "benchmark_classical.png", rows)
    return Section(
        "Classical spins",
        f"Heisenberg ferromagnet, square {classical.SIDE} x {classical.SIDE}, float64, one replica, "
        f"beside the package spirit in the same run, turn by turn ({classical.spirit_version()}).",
        tables=(_classical_table(rows),),
        pictures=_pictures(run, "benchmark_classical", path),
    )


def _labelers_section(cfg: DictConfig, run: Run, result: labelers.Result) -> Section:
    from magsim.report.costs import label_times

    node = cfg.hamiltonian
    ensemble = f"mu={node.mu:g}" if node.mu is not None else f"filling={node.filling:g}"
    points = [(row.states, row.double, row.single, row.eigh) for row in result.rows]
    path = label_times(run.folder / "benchmark_labelers.png", points, result.exponent)
    return Section(
        "Exact labels",
        f"One label of random spins, {cfg.lattice.name} lattice, {node.name} with {ensemble}, T={node.T:g}: "
        f"Green's functions (tolerance {labelers.TOLERANCE:g}) against all eigenvalues and vectors by "
        f"LAPACK's {result.driver} alone, on the same cores in the same run. The error is the largest "
        "difference of a field component between the two.\n\n"
        f"Cost of a label ~ N^{result.exponent:.2f} (complex128).",
        tables=(_labelers_table(result.rows), _exact_dynamics_table(result.rows)),
        pictures=_pictures(run, "benchmark_labelers", path),
    )


def _labelers_table(rows: Sequence[labelers.Row]) -> Table:
    columns = [
        "lattice",
        "poles",
        "greens",
        "error",
        "complex64",
        "its error",
        "eigh",
        "eigh/greens",
        "of peak",
    ]
    cells = [
        [
            row.name,
            row.poles,
            row.double,
            row.error,
            row.single,
            row.single_error,
            row.eigh,
            row.ratio,
            row.arithmetic,
        ]
        for row in rows
    ]
    return Table(columns, cells, "Exact labels, seconds each; of peak: share of the rate of matrix products")


def _exact_dynamics_table(rows: Sequence[labelers.Row]) -> Table:
    minutes = labelers.STEPS * labelers.EVALUATIONS / 60
    cells = [
        [
            row.name,
            minutes * row.double,
            minutes * row.single,
            None if row.eigh is None else minutes * row.eigh,
        ]
        for row in rows
    ]
    columns = ["lattice", "greens", "complex64", "eigh"]
    return Table(columns, cells, f"{labelers.STEPS} steps of heun in the exact field, minutes at these rates")


def _kpm_section(cfg: DictConfig, run: Run, rows: Sequence[kpm.Row]) -> Section:
    return Section(
        "Chebyshev moments",
        "Orbital x moment x vector per second, square lattice, s-d model, one core unless it says otherwise: "
        "the fused kernel, beside CSR products of scipy and kwant.kpm. Shares of what the memory's bandwidth "
        "and the arithmetic of one core allow; above 1 where the cache serves several steps.\n\n"
        f"Cost of a column ~ N^{kpm.exponent(rows):.2f}.",
        tables=(_kpm_table(rows),),
    )


def _kpm_table(rows: Sequence[kpm.Row]) -> Table:
    columns = [
        "lattice",
        "moments (10⁶/s)",
        "with gradient",
        "all cores",
        "scipy",
        "kwant",
        "/scipy",
        "/kwant",
        "of memory",
        "of arithmetic",
    ]
    cells = [
        [
            row.name,
            *(_millions(x) for x in (row.kernel, row.gradient, row.all_cores, row.scipy, row.kwant)),
            row.over_scipy,
            row.over_kwant,
            row.memory,
            row.arithmetic,
        ]
        for row in rows
    ]
    return Table(columns, cells, "Chebyshev moments")


def _probing_section(cfg: DictConfig, run: Run, curves: list[probing.Curve]) -> Section:
    slopes = ", ".join(f"{curve.kind} {curve.slope:.2f}" for curve in curves)
    return Section(
        "Error of the probes",
        f"rms error of a torque component against the number of columns; fitted slopes: {slopes}.",
        pictures=_pictures(
            run, "benchmark_probing", probing.draw(run.folder / "benchmark_probing.png", curves)
        ),
    )


def _llg_cards(rows: Sequence[electrons.Row]) -> list[Metric]:
    return [Metric(f"learned over exact, {row.name}", row.ratio, row.exact) for row in rows]


def _classical_cards(rows: Sequence[classical.Row]) -> list[Metric]:
    return [
        Metric(f"magsim over spirit, {row.integrator}, T = {row.T:g}", row.ratio)
        for row in rows
        if row.ratio is not None
    ]


def _labelers_cards(result: labelers.Result) -> list[Metric]:
    return [
        Metric(f"eigh over greens, {row.name}", row.ratio) for row in result.rows if row.ratio is not None
    ]


SECTIONS: dict[str, Callable[[DictConfig, Run, Any], Section]] = {
    "labelers": _labelers_section,
    "kpm": _kpm_section,
    "probing": _probing_section,
    "llg": _llg_section,
    "models": model_table.section,
    "training": _training_section,
    "classical": _classical_section,
    "negf": driven.section,
    "updates": updates.section,
    "fields": zoo_fields.section,
    "labels": label_rates.section,
}
CARDS: dict[str, Callable[[Any], list[Metric]]] = {
    "labelers": _labelers_cards,
    "models": model_table.cards,
    "llg": _llg_cards,
    "classical": _classical_cards,
    "negf": driven.cards,
    "updates": updates.cards,
    "fields": zoo_fields.cards,
    "labels": label_rates.cards,
}


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
