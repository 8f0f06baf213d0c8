"""Labels per second, and steps per second of LLG with the exact and with the learned field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from magsim.arrays import SMALL_MATRIX
from magsim.dynamics import (
    EffectiveField,
    ExactField,
    Integrator,
    LearnedField,
    Quench,
    evolve,
    load_field,
    make_integrator,
)
from magsim.hamiltonian.driven import DrivenStrip
from magsim.lattice import Lattice
from magsim.learning.checkpoint import build_model
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark.part import ENDLESS, OnLattice, picture, shape_name
from magsim.tasks.benchmark.timing import Timing, time_calls
from magsim.tasks.build import (
    build_hamiltonian,
    build_labeler,
    build_lattice,
    labeler_device,
    plain,
    torch_dtype,
)

BATCH = 16  # configurations solved together, as a labelling run does
FALLBACK_DT = 0.1  # the cost of a step does not depend on its length


@dataclass(frozen=True)
class Row(OnLattice):
    """Rates on one lattice.

    Attributes:
        sites: of the lattice.
        labels_per_second: exact solutions.
        exact_steps_per_second, learned_steps_per_second: of LLG with one replica.
        ratio: learned over exact.
        exact: how the exact rate was obtained: "measured"; "one solution", timed once because a step takes
            longer than a measurement may; "extrapolated", as N^-3 from the largest lattice that was labelled.
    """

    sites: int
    labels_per_second: float
    exact_steps_per_second: float
    learned_steps_per_second: float
    ratio: float
    exact: str


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return 2 * len(cfg.task.shapes)


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> list[Row]:
    """One row for each of ``task.shapes``."""
    budget, largest = float(cfg.task.seconds), int(cfg.task.exact_max_sites)
    base = build_lattice(cfg)
    lattices = [base.with_shape(list(shape)) for shape in cfg.task.shapes]
    integrator = _integrator(cfg)
    learned = []
    for lattice in lattices:
        learned.append(_steps(learned_field(cfg, lattice, device), lattice, integrator, device, budget))
        bar.advance(1, now=f"learned LLG {shape_name(lattice.shape)}")
    exact: dict[int, tuple[float, float, str]] = {}  # by position: labels/s, steps/s, how
    for position, lattice in enumerate(lattices):
        if lattice.n_sites <= largest:
            exact[position] = _exact(cfg, lattice, integrator, budget)
        bar.advance(1, now=f"exact labels and LLG {shape_name(lattice.shape)}")
    rows = []
    for position, (lattice, fast) in enumerate(zip(lattices, learned, strict=True)):
        labels, slow, how = exact.get(position) or _extrapolated(lattices, exact, lattice.n_sites)
        shape = list(lattice.shape)
        rows.append(Row(shape, lattice.n_sites, labels, slow, 1 / fast.seconds, 1 / fast.seconds / slow, how))
    return rows


def metrics(rows: Sequence[Row]) -> dict[str, float]:
    """Flat metrics."""
    found = {}
    for row in rows:
        found[f"benchmark/labels_per_second_{row.name}"] = row.labels_per_second
        found[f"benchmark/exact_steps_per_second_{row.name}"] = row.exact_steps_per_second
        found[f"benchmark/learned_steps_per_second_{row.name}"] = row.learned_steps_per_second
        found[f"benchmark/learned_over_exact_{row.name}"] = row.ratio
    return found


def section(cfg: DictConfig, run: Run, rows: Sequence[Row]) -> Section:
    """For the report page."""
    return Section(
        "Exact and learned dynamics",
        f"LLG with the integrator {cfg.integrator.name} on the {cfg.lattice.name} lattice, one replica. "
        f"Learned field: {learned_name(cfg)}. Exact labels: {cfg.labeler.name}.\n\n"
        "Exact rates: measured; or from the time of one solution; or, where marked so, extrapolated from "
        "the largest lattice that was labelled with the cost N³ of diagonalisation.",
        tables=(_table(rows),),
        pictures=picture(run, _bars(run.folder / "benchmark_llg.png", rows)),
    )


def cards(rows: Sequence[Row]) -> list[Metric]:
    """How much faster the learned field is."""
    return [Metric(f"learned over exact steps, {row.name}", row.ratio, f"times, {row.exact}") for row in rows]


def _table(rows: Sequence[Row]) -> Table:
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


def _bars(path: Path, rows: Sequence[Row]) -> Path:
    from magsim.report.figures import bars

    values = {
        "exact": [row.exact_steps_per_second for row in rows],
        "learned": [row.learned_steps_per_second for row in rows],
    }
    return bars(path, [row.name for row in rows], values, "LLG steps per second", log=True)


def learned_name(cfg: DictConfig) -> str:
    """Which learned field is timed."""
    if cfg.checkpoint is not None:
        return str(cfg.checkpoint)
    return f"{cfg.model.name} as configured, untrained (an evaluation costs the same)"


def learned_field(cfg: DictConfig, lattice: Lattice, device: str) -> EffectiveField:
    """The field of the checkpoint, or an untrained one of the configured architecture."""
    field: EffectiveField
    if cfg.checkpoint is not None:
        field = load_field(cfg.checkpoint, lattice, device=device, dtype=torch_dtype(cfg))
    else:
        model = build_model(lattice, plain(cfg.descriptor), plain(cfg.model)).to(torch_dtype(cfg))
        field = LearnedField(model.requires_grad_(False).to(device))
    strip = build_hamiltonian(cfg, lattice)
    if field.takes_voltage and isinstance(strip, DrivenStrip):
        field.set_voltage(strip.voltage)
    return field


def _integrator(cfg: DictConfig) -> Integrator:
    integrator = make_integrator(**plain(cfg.integrator))
    return integrator if integrator.dt is not None else replace(integrator, dt=FALLBACK_DT)


def _exact(
    cfg: DictConfig, lattice: Lattice, integrator: Integrator, budget: float
) -> tuple[float, float, str]:
    """Labels and steps per second, and how the latter was obtained."""
    labeler = build_labeler(cfg, lattice)
    # small matrices of a batch share the cores (or the GPU); a large one takes them all
    batch = BATCH if labeler.hamiltonian.n_states <= SMALL_MATRIX or labeler_device(cfg) == "cuda" else 1
    spins = random_spins(lattice.n_sites, rng(0, "benchmark"), (batch,))
    label = time_calls(lambda: labeler.label(spins), budget)
    one = label.seconds / batch
    if integrator.evaluations * one > budget:
        return 1 / one, 1 / (integrator.evaluations * one), "one solution"
    step = _steps(ExactField(labeler), lattice, integrator, "cpu", budget)
    return 1 / one, 1 / step.seconds, "measured"


def _extrapolated(
    lattices: Sequence[Lattice], exact: dict[int, tuple[float, float, str]], sites: int
) -> tuple[float, float, str]:
    """Rates of the largest lattice that was measured, scaled with the cost N^3 of diagonalisation."""
    if not exact:
        return float("nan"), float("nan"), "not measured"
    position = max(exact, key=lambda k: lattices[k].n_sites)
    factor = (lattices[position].n_sites / sites) ** 3
    labels, steps, _ = exact[position]
    return labels * factor, steps * factor, "extrapolated"


def _steps(
    field: EffectiveField, lattice: Lattice, integrator: Integrator, device: str, budget: float
) -> Timing:
    """Time of one step of a run that is under way."""
    spins = torch.from_numpy(random_spins(lattice.n_sites, rng(0, "benchmark"), (1,))).to(device)
    frames = evolve(field, spins, integrator, Quench(ENDLESS, 1), seed=0)
    next(frames)
    return time_calls(lambda: next(frames), budget)
