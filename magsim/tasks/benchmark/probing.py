"""How the stochastic error of labeler=kpm falls with the number of columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers import EDLabeler, KPMLabeler
from magsim.lattice import make_lattice
from magsim.report.page import Metric, Section
from magsim.report.probing import probing_errors
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng, transverse
from magsim.tasks.benchmark.part import picture

SIDE = 32
COLUMNS = (8, 16, 32, 64, 128, 256, 512)
KINDS = ("colour", "random")
REPEATS = 4


@dataclass(frozen=True)
class Curve:
    """Errors for one kind of probes: square lattice, random spins, J = 1, filling 0.35, T = 0.05 (a metal).

    Attributes:
        kind: colour or random.
        columns: S of one repeat.
        errors: rms error of a component of the transverse field, of one repeat.
        estimates: the same from the spread of the repeats.
        slope: fitted exponent of ``errors`` in S.
        torque: rms transverse field.
    """

    kind: str
    columns: list[int]
    errors: list[float]
    estimates: list[float]
    slope: float
    torque: float


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> list[Curve]:
    """One curve for each of :data:`KINDS`."""
    lattice = make_lattice("square", (SIDE, SIDE))
    hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), J=1.0, filling=0.35, T=0.05)
    spins = random_spins(lattice.n_sites, rng(0, "benchmark"), (1,))
    exact = transverse(EDLabeler(hamiltonian).label(spins).field, spins)
    torque = float(np.sqrt(np.mean(exact**2)))
    curves = []
    for kind in KINDS:
        errors, estimates = [], []
        for S in COLUMNS:
            labels = KPMLabeler(hamiltonian, probes=kind, columns=S, repeats=REPEATS, tolerance=1e-5).label(
                spins
            )
            wrong = transverse(labels.field, spins) - exact
            errors.append(float(np.sqrt(REPEATS * np.mean(wrong**2))))
            estimates.append(float(np.sqrt(REPEATS) * labels.extra["stochastic_error"][0]))
            bar.advance(1, now=f"probing error, {kind}, {S} columns")
        slope = float(np.polyfit(np.log(COLUMNS), np.log(errors), 1)[0])
        curves.append(Curve(kind, list(COLUMNS), errors, estimates, slope, torque))
    return curves


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(KINDS) * len(COLUMNS)


def metrics(curves: list[Curve]) -> dict[str, float]:
    """Flat metrics."""
    return {f"benchmark/kpm_slope_{curve.kind}": curve.slope for curve in curves}


def section(cfg: DictConfig, run: Run, curves: list[Curve]) -> Section:
    """For the report page."""
    slopes = ", ".join(f"{curve.kind} {curve.slope:.2f}" for curve in curves)
    return Section(
        "Error of the probes",
        f"rms error of a torque component against the number of columns; fitted slopes: {slopes}.",
        pictures=picture(run, draw(run.folder / "benchmark_probing.png", curves)),
    )


def cards(curves: list[Curve]) -> list[Metric]:
    """How fast the error falls."""
    return [Metric(f"slope of the error, {curve.kind} probes", curve.slope) for curve in curves]


def draw(path: Path, curves: list[Curve]) -> Path:
    """The figure."""
    names = {"colour": "colour probing", "random": "random vectors"}
    errors = {names[curve.kind]: curve.errors for curve in curves}
    estimates = {names[curve.kind]: curve.estimates for curve in curves}
    return probing_errors(path, curves[0].columns, errors, estimates, curves[0].torque)
