"""Time of a label out of equilibrium: energies and seconds against the tolerance, beside dense inversion.

The strip is that of arXiv:2112.12124: square lattice, y periodic, J = 3.8, wide-band leads with Gamma = 2,
bath with Gamma = 0.02, mu = -3.2, eV = 0.2, T = 0.02.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.arrays import array_module
from magsim.hamiltonian import DrivenStrip
from magsim.labelers import Labels, NEGFLabeler
from magsim.labelers.negf.recursion import Columns, equilibrium, injected
from magsim.lattice import make_lattice
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng, transverse
from magsim.tasks.benchmark.part import OnLattice
from magsim.tasks.benchmark.timing import time_calls
from magsim.tasks.build import labeler_device

SHAPES: tuple[tuple[int, int], ...] = ((20, 10), (30, 20), (32, 24), (60, 20))
TOLERANCES = (1e-3, 1e-5, 1e-7)
EXACT = 1e-10  # tolerance of the label that errors are measured against
BATCH = {"cpu": 1, "cuda": 64}  # configurations of a call
ENERGIES = {"cpu": 16, "cuda": 512}  # of the rates per energy
DENSE = {"cpu": 1, "cuda": 8}  # dense matrices that are inverted together


@dataclass(frozen=True)
class Row(OnLattice):
    """One strip at one tolerance; random spins.

    Attributes:
        tolerance: of a field component.
        nodes: energies of a label.
        still: of these in the equilibrium part.
        seconds: of a label, in batches of ``batch``.
        cpu: seconds of a label on the processor, all threads together, which other jobs hardly change.
        batch: configurations of a call.
        error: largest error of a component of the transverse field.
        stated: the error that the label states.
    """

    tolerance: float
    nodes: int
    still: int
    seconds: float
    cpu: float
    batch: int
    error: float
    stated: float


@dataclass(frozen=True)
class Energy(OnLattice):
    """Seconds of one energy.

    Attributes:
        real: ``G Gamma G+`` on sites and bonds by the recursion.
        imaginary: G on sites and bonds by the recursion, at a complex energy.
        dense: inverse of ``E - H_eff`` as a whole.
        ratio: dense over real.
    """

    real: float
    imaginary: float
    dense: float
    ratio: float


@dataclass(frozen=True)
class Result:
    """Labels, and single energies of the same strips."""

    labels: list[Row]
    energies: list[Energy]
    device: str


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(SHAPES) * (len(TOLERANCES) + 1)


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> Result:
    """``task.seconds`` for each rate; the largest strips take longer, for their reference."""
    device, seconds = labeler_device(cfg), float(cfg.task.seconds)
    labels, energies = [], []
    for shape in SHAPES:
        strip = published_strip(shape)
        spins = random_spins(strip.lattice.n_sites, rng(0, "benchmark"), (BATCH[device],))
        exact = NEGFLabeler(strip, device, tolerance=EXACT).label(spins[:1])
        for tolerance in TOLERANCES:
            labels.append(_row(strip, device, tolerance, spins, exact, seconds))
            bar.advance(1, now=f"driven {labels[-1].name}, tolerance {tolerance:g}")
        energies.append(_energy(strip, spins[:1], array_module(device), device, seconds))
        bar.advance(1, now=f"driven {energies[-1].name}, one energy")
    return Result(labels, energies, device)


def published_strip(shape: tuple[int, int]) -> DrivenStrip:
    """The strip of the head of this module at another size."""
    return DrivenStrip(
        make_lattice("square", shape, ["open", "periodic"]),
        (1.0,),
        mu=-3.2,
        T=0.02,
        J=3.8,
        voltage=0.2,
        gamma=2.0,
        gamma_bath=0.02,
    )


def _row(
    strip: DrivenStrip, device: str, tolerance: float, spins: np.ndarray, exact: Labels, seconds: float
) -> Row:
    labeler = NEGFLabeler(strip, device, tolerance=tolerance)
    start = time.process_time()
    labels = labeler.label(spins[:1])
    cpu = time.process_time() - start
    error = transverse(labels.field - exact.field, spins[:1])
    return Row(
        shape=list(strip.lattice.shape),
        tolerance=tolerance,
        nodes=int(labels.extra["nodes"][0]),
        still=len(labeler.equilibrium_nodes.z),
        seconds=time_calls(lambda: labeler.label(spins), seconds).seconds / len(spins),
        cpu=cpu,
        batch=len(spins),
        error=float(np.abs(error).max()),
        stated=float(labels.error[0]),
    )


def _energy(strip: DrivenStrip, spins: np.ndarray, xp: ModuleType, device: str, seconds: float) -> Energy:
    columns, many, few = Columns.of(strip, spins, xp), ENERGIES[device], DENSE[device]
    owner, energies = np.zeros(many, dtype=np.int64), np.linspace(-3.3, -3.1, many)
    real = _timed(lambda: injected(columns, owner, energies, np.ones(many)).site, xp, seconds) / many
    above = energies + 0.1j
    imaginary = _timed(lambda: equilibrium(columns, owner, above, np.ones(many)).site, xp, seconds) / many
    matrix = _effective(strip, spins, xp)
    identity = xp.eye(matrix.shape[-1])
    stack = xp.asarray(energies[:few])[:, None, None] * identity - matrix
    dense = _timed(lambda: xp.linalg.inv(stack), xp, seconds) / few
    return Energy(list(strip.lattice.shape), real, imaginary, dense, dense / real)


def _timed(work: Any, xp: ModuleType, seconds: float) -> float:
    """Seconds of a call, with the GPU's queue empty at its end."""

    def whole() -> None:
        work()
        if xp is not np:
            xp.cuda.Device().synchronize()

    return time_calls(whole, seconds).seconds


def _effective(strip: DrivenStrip, spins: np.ndarray, xp: ModuleType) -> Any:
    """H_eff, dense."""
    matrix = strip.dense(spins, xp)
    n, size = matrix.shape[-1], 2 * strip.lattice.shape[1]
    width = np.full(n, strip.gamma_bath)
    width[:size] += strip.gamma
    width[-size:] += strip.gamma
    matrix[:, xp.arange(n), xp.arange(n)] -= xp.asarray(0.5j * width)
    return matrix


def metrics(result: Result) -> dict[str, float]:
    """Flat metrics."""
    found: dict[str, float] = {}
    for row in result.labels:
        name = f"{row.name}_{row.tolerance:g}"
        found |= {f"benchmark/negf_seconds_{name}": row.seconds, f"benchmark/negf_nodes_{name}": row.nodes}
    return found | {f"benchmark/dense_over_negf_{row.name}": row.ratio for row in result.energies}


def section(cfg: DictConfig, run: Run, result: Result) -> Section:
    """For the report page."""
    return Section(
        "Labels out of equilibrium",
        f"labeler=negf on {result.device}, random spins on strips with y periodic, the parameters of "
        "arXiv:2112.12124 (J = 3.8, Γ = 2, Γ_b = 0.02, eV = 0.2, T = 0.02). The error is the largest of a "
        f"component of the transverse field, against tolerance {EXACT:g}.",
        tables=(_labels_table(result.labels), _energies_table(result.energies)),
    )


def cards(result: Result) -> list[Metric]:
    """How much cheaper than dense inversion."""
    return [Metric(f"dense inversion over recursion, {row.name}", row.ratio) for row in result.energies]


def _labels_table(rows: Sequence[Row]) -> Table:
    columns = ("strip", "tolerance", "energies", "equilibrium", "seconds", "CPU", "batch", "error", "stated")
    cells = [
        [r.name, r.tolerance, r.nodes, r.still, r.seconds, r.cpu, r.batch, r.error, r.stated] for r in rows
    ]
    return Table(columns, cells, "Driven labels: energies and seconds each")


def _energies_table(rows: Sequence[Energy]) -> Table:
    columns = ("strip", "real energy (ms)", "complex energy (ms)", "dense (ms)", "dense/recursion")
    cells = [[r.name, 1e3 * r.real, 1e3 * r.imaginary, 1e3 * r.dense, r.ratio] for r in rows]
    return Table(columns, cells, "One energy")
