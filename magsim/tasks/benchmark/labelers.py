"""Time of an exact label by Green's functions, beside LAPACK's fastest eigensolver, with the error measured.

From the same measurements come the rates that ``labeler=auto`` chooses by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.arrays import cores
from magsim.hamiltonian.electronic import Electrons, SDHamiltonian
from magsim.labelers import Costs, EDLabeler, GreensLabeler, KPMLabeler, Labels
from magsim.labelers.auto import solutions
from magsim.lattice import Lattice
from magsim.report.costs import label_times
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark.eigensolver import diagonalised, fastest_driver
from magsim.tasks.benchmark.limits import products
from magsim.tasks.benchmark.part import OnLattice, picture
from magsim.tasks.benchmark.timing import machine, time_calls
from magsim.tasks.build import build_hamiltonian, build_lattice, labeler_device, plain
from magsim.tasks.costs import store_costs
from magsim.tasks.words import electrons

TOLERANCE = 1e-8  # of a field component
LARGE = 1000  # states: smaller systems say little about rates
SMALL = 128  # states: what a label costs however small the lattice
STEPS = 1000  # of exact dynamics
EVALUATIONS = 2  # of the field in a step of heun
COLUMNS = 64  # of the Chebyshev probes whose error is measured


@dataclass(frozen=True)
class Row(OnLattice):
    """Seconds of one label of random spins.

    Attributes:
        states: of the lattice.
        poles: number of poles.
        double, single: by Green's functions in complex128 and complex64.
        error, single_error: largest difference of a field component from diagonalisation, or None.
        stated: the error that the complex128 label states.
        eigh: by diagonalisation (eigenvalues and vectors, nothing else), or None.
        ratio: eigh over double.
        arithmetic: share of the rate of complex matrix products on all cores.
    """

    states: int
    poles: int
    double: float
    single: float
    error: float | None
    single_error: float | None
    stated: float
    eigh: float | None
    ratio: float | None
    arithmetic: float

    @property
    def gain(self) -> float:
        """Of single precision."""
        return self.double / self.single


@dataclass(frozen=True)
class Result:
    """The rows, what they have in common, and what follows.

    Attributes:
        rows: one for each lattice.
        driver: of LAPACK.
        exponent: fitted exponent of the cost of a complex128 label in the number of sites.
        costs: rates for ``labeler=auto``.
    """

    rows: list[Row]
    driver: str
    exponent: float
    costs: Costs


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(cfg.task.label_shapes) + 1


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Result:
    """One row for each of ``task.label_shapes``; keeps the rates for ``labeler=auto``."""
    where = labeler_device(cfg)
    base = build_lattice(cfg)
    budget = float(cfg.task.seconds)
    driver = fastest_driver() if where == "cpu" else "cuSOLVER"
    limit = products(where, budget)
    rows: list[Row] = []
    for shape in cfg.task.label_shapes:
        lattice = base.with_shape(list(shape))
        diagonalise = lattice.n_sites <= int(cfg.task.eigh_max_sites)
        rows.append(
            _row(build_hamiltonian(cfg, lattice), where, budget, driver if diagonalise else "", limit)
        )
        bar.advance(1, now=f"exact label {rows[-1].name}")
    costs = _costs(build_hamiltonian(cfg, base), rows, where, budget, limit)
    if max(row.states for row in rows) >= LARGE:
        store_costs(where, costs)
    bar.advance(1, now="rates of the labelers")
    return Result(rows, driver, _exponent(rows), costs)


def metrics(result: Result) -> dict[str, float]:
    """Flat metrics."""
    found = {"benchmark/greens_exponent": result.exponent}
    for row in result.rows:
        found[f"benchmark/greens_seconds_{row.name}"] = row.double
        found[f"benchmark/greens_single_gain_{row.name}"] = row.gain
        if row.ratio is not None and row.error is not None:
            found[f"benchmark/greens_over_eigh_{row.name}"] = row.ratio
            found[f"benchmark/greens_error_{row.name}"] = row.error
    return found


def section(cfg: DictConfig, run: Run, result: Result) -> Section:
    """For the report page."""
    law = f"\n\nCost of a label ~ N^{result.exponent:.2f} (complex128)." if isfinite(result.exponent) else ""
    points = [(row.states, row.double, row.single, row.eigh) for row in result.rows]
    path = label_times(run.folder / "benchmark_labelers.png", points, result.exponent)
    return Section(
        "Exact labels",
        f"One label of random spins, {cfg.lattice.name} lattice, {electrons(plain(cfg.hamiltonian))}: "
        f"Green's functions (tolerance {TOLERANCE:g}) against all eigenvalues and vectors by "
        f"LAPACK's {result.driver} alone, on the same cores in the same run. The error is the largest "
        f"difference of a field component between the two.{law}",
        tables=(_table(result.rows), _exact_dynamics_table(result.rows)),
        pictures=picture(run, path),
    )


def cards(result: Result) -> list[Metric]:
    """How much faster than diagonalisation."""
    return [
        Metric(f"eigh over greens, {row.name}", row.ratio, "times")
        for row in result.rows
        if row.ratio is not None
    ]


def _table(rows: Sequence[Row]) -> Table:
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


def _exact_dynamics_table(rows: Sequence[Row]) -> Table:
    minutes = STEPS * EVALUATIONS / 60
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
    return Table(columns, cells, f"{STEPS} steps of heun in the exact field, minutes at these rates")


def _row(h: Electrons, device: str, budget: float, driver: str, limit: float) -> Row:
    spins = random_spins(h.lattice.n_sites, rng(0, "benchmark"), (1,))
    double, single = (
        GreensLabeler(h, device, tolerance=TOLERANCE, precision=precision)
        for precision in ("complex128", "complex64")
    )
    for labeler in (double, single):
        labeler.label(spins)  # compiles, dissects the lattice, builds the poles
    seconds = time_calls(lambda: double.label(spins), budget).seconds
    fast = time_calls(lambda: single.label(spins), budget).seconds
    exact = field = None
    if driver:
        exact, field = diagonalised(h, spins, driver, device)

    def off(labels: Labels) -> float | None:
        return None if field is None else float(np.abs(labels.field - field).max())

    labels = double.label(spins)
    work = 8 * solutions(h) * double.n_poles * double.solver.inverse.multiplications
    return Row(
        shape=list(h.lattice.shape),
        states=h.n_states,
        poles=double.n_poles,
        double=seconds,
        single=fast,
        error=off(labels),
        single_error=off(single.label(spins)),
        stated=float(labels.error[0]),
        eigh=exact,
        ratio=None if exact is None else exact / seconds,
        arithmetic=work / seconds / limit,
    )


def _exponent(rows: Sequence[Row]) -> float:
    """Of the cost in N, fitted over all lattices from 24 x 24 on (below, the start-up time counts)."""
    large = [row for row in rows if row.states >= LARGE] or list(rows)
    if len(large) < 2:
        return float("nan")
    logs = np.log([[row.states, row.double] for row in large])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def _costs(h: Electrons, rows: Sequence[Row], device: str, budget: float, limit: float) -> Costs:
    """Rates from the largest lattices, start-up times from a small one."""
    tiny = _sized(h, SMALL)
    start = {
        "ed": _seconds(EDLabeler(tiny, device), tiny, budget),
        "greens": _seconds(GreensLabeler(tiny, device, tolerance=TOLERANCE), tiny, budget),
    }
    rows = sorted(rows, key=lambda row: row.states)
    solved = [row for row in rows if row.eigh is not None]
    default = Costs()
    last = rows[-1]
    work = last.arithmetic * limit * last.double / 8  # complex multiplications
    described = machine(device)
    found: dict[str, Any] = {
        "ed": solved[-1].states ** 3 / float(solved[-1].eigh or 1.0) if solved else default.ed,
        "greens": work / max(last.double - start["greens"], 0.5 * last.double),
        "ed_start": start["ed"],
        # of one set of poles, as the work above: labeler=auto multiplies both
        "greens_start": start["greens"] / solutions(h),
        "machine": f"{described['processor']}, {cores()} cores, {device}, {described['date']}",
    }
    if isinstance(h, SDHamiltonian) and h.T > 0:
        found |= _chebyshev(_sized(h, 8 * SMALL), device, budget)
    return Costs(**found)


def _chebyshev(h: SDHamiltonian, device: str, budget: float) -> dict[str, float]:
    """Rate of Chebyshev labels, and their error at a number of columns."""
    labeler = KPMLabeler(h, device, columns=COLUMNS, tolerance=1e-5)
    spins = random_spins(h.lattice.n_sites, rng(0, "benchmark"), (1,))
    exact = EDLabeler(h, device).label(spins).field
    wrong = float(np.abs(labeler.label(spins).field - exact).max())
    work = float(h.n_states) * labeler.expansion.n_moments * COLUMNS * labeler.repeats
    return {
        "kpm": work / _seconds(labeler, h, budget),
        "kpm_error": wrong * COLUMNS / abs(h.J),
    }


def _sized(h: Any, states: int) -> Any:
    """The same Hamiltonian on a lattice of about so many states, sides all equal."""
    lattice: Lattice = h.lattice
    per_cell = h.n_states / lattice.n_cells
    side = max(4, round((states / per_cell) ** (1 / lattice.dim)))
    return replace(h, lattice=lattice.with_shape([side] * lattice.dim))


def _seconds(labeler: Any, h: Electrons, budget: float) -> float:
    spins = random_spins(h.lattice.n_sites, rng(0, "benchmark"), (1,))
    return time_calls(lambda: labeler.label(spins), budget).seconds
