"""Spin updates per second of classical spins where a device is busiest: on a lattice that no cache holds.

Heisenberg ferromagnet, square, periodic, one replica, float64, as in :mod:`.classical`; on a GPU also a
lattice on which the launches of its kernels are what takes time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from omegaconf import DictConfig

from magsim.dynamics import ClassicalField, EffectiveField, Quench, make_integrator
from magsim.dynamics.make_walk import make_walk
from magsim.dynamics.thermostat import Noise
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.tasks.benchmark.limits import Limits, fastest, limits
from magsim.tasks.benchmark.part import ENDLESS, failed
from magsim.tasks.benchmark.timing import attempt

SIDES = {"cpu": (512,), "cuda": (4096, 100)}
METHODS = (("heun", 0.0), ("heun", 0.1), ("depondt", 0.0), ("sib", 0.0))  # T in units of the exchange
ALPHA, DT = 0.1, 0.05
STEPS = {"cpu": 4, "cuda": 20}  # of a measurement
NEEDED = 48  # bytes of a spin that every step must at least read and write


@dataclass(frozen=True)
class Row:
    """One method on one lattice.

    Attributes:
        integrator, T: the method; T in units of the exchange.
        sites: spins.
        rate: spin updates per second.
        share: of what the bandwidth of a copy would allow if a step read each spin once and wrote it once.
    """

    integrator: str
    T: float
    sites: int
    rate: float
    share: float


@dataclass(frozen=True)
class Result:
    """All rows, what they were measured with, and what failed."""

    rows: list[Row]
    limits: Limits
    failures: list[str]


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(METHODS)


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Iterator[Result]:
    """``task.seconds`` for each rate; on a GPU some more to compile each step."""
    seconds = float(cfg.task.seconds)
    result = Result([], limits(device, seconds), [])
    for name, T in METHODS:
        for side in SIDES[device]:
            with attempt(f"{name}, T = {T:g}, {side}²", result.failures):
                result.rows.append(_row(name, T, side, device, seconds, result.limits))
        yield result
        bar.advance(1, now=f"updates, {name}, T = {T:g}")


def _row(name: str, T: float, side: int, device: str, seconds: float, bound: Limits) -> Row:
    lattice = make_lattice("square", (side, side))
    field = ClassicalField(ClassicalHamiltonian(lattice, heisenberg=(-1.0,)))
    work = stepper(field, random_tensor(lattice.n_sites, device), name, T, STEPS[device])
    rate = STEPS[device] * lattice.n_sites / fastest(work, device, seconds)
    return Row(name, T, lattice.n_sites, rate, rate * NEEDED / bound.bandwidth)


def random_tensor(n_sites: int, device: str) -> torch.Tensor:
    """Random spins ``(1, N, 3)``, drawn on the device."""
    draw = torch.Generator(device=device).manual_seed(0)
    spins = torch.randn(1, n_sites, 3, dtype=torch.float64, device=device, generator=draw)
    return spins / spins.norm(dim=-1, keepdim=True)


def stepper(
    field: EffectiveField, spins: torch.Tensor, name: str, T: float = 0.0, steps: int = 1
) -> Callable[[], None]:
    """What makes some steps of a run that is under way, as a run without records makes them."""
    walk = make_walk(
        field, make_integrator(name, DT, ALPHA, T), Quench(ENDLESS, ENDLESS), spins, Noise(0, (0,))
    )
    walk.enter(0)
    done = 0

    def work() -> None:
        nonlocal done
        for _ in range(steps):
            walk.advance(done)
            done += 1
            walk.enter(done)

    return work


def metrics(result: Result) -> dict[str, float]:
    """Flat metrics."""
    return {f"benchmark/updates_per_second_{r.integrator}_T{r.T:g}_{r.sites}": r.rate for r in result.rows}


def section(cfg: DictConfig, run: Run, result: Result) -> Section:
    """For the report page."""
    columns = ("integrator", "T", "sites", "10⁶ updates/s", "of bandwidth")
    cells = [[r.integrator, r.T, r.sites, r.rate / 1e6, r.share] for r in result.rows]
    return Section(
        "Classical spins on large lattices",
        "Heisenberg ferromagnet, square, float64, one replica. Of bandwidth: share of what the rate of a "
        f"copy ({result.limits.bandwidth / 1e9:.3g} GB/s) allows if a step reads and writes each spin once."
        + failed(result.failures),
        tables=(Table(columns, cells, "Spin updates per second, classical field"),),
    )


def cards(result: Result) -> list[Metric]:
    """The largest rate."""
    best = max(result.rows, key=lambda r: r.rate, default=None)
    return [] if best is None else [Metric(f"updates/s, {best.integrator}, {best.sites} spins", best.rate)]
