"""Chebyshev moments per second: the fused kernel beside scipy's sparse products and kwant.kpm.

The unit is orbital x moment x vector per second: moments of N orbitals, M of them with S columns, are N M S.
All programs take two moments from each vector.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from scipy import sparse

from magsim.arrays import cores
from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers.kpm.bounds import spectral_interval
from magsim.labelers.kpm.chebyshev import pair_weights
from magsim.labelers.kpm.products import ProductRecursion
from magsim.labelers.kpm.stencil import LatticeRecursion, Recursion, Stencil
from magsim.lattice import make_lattice
from magsim.report.page import Metric, Section, Table
from magsim.runs import ProgressBar, Run
from magsim.spins import random_spins, rng
from magsim.tasks.benchmark.part import OnLattice, millions
from magsim.tasks.benchmark.timing import fastest

SHAPES = ((64, 64), (128, 128), (256, 256), (512, 512))
MOMENTS = 256
COLUMNS = 8
NEIGHBOURS = 4
BYTES = 48  # of a step without waves, per orbital and vector: x read, y read and written
FLOPS = 4 * NEIGHBOURS + 10 + 4 + 8  # hopping, spin, recursion, two moments
COPIED = 2**28  # bytes of the array that measures the memory
KWANT = "MAGSIM_KWANT_PYTHON"
SCRIPT = Path(__file__).parents[3] / "scripts" / "kwant_kpm.py"


@dataclass(frozen=True)
class Row(OnLattice):
    """Rates in orbital x moment x vector per second, on one core unless it says otherwise.

    Attributes:
        shape, orbitals: of the square lattice.
        kernel: moments by the fused kernel.  gradient: moments and gradient together.
        all_cores: ``kernel`` on all cores.
        scipy: moments by CSR products of the same columns.  kwant: by kwant.kpm, or None.
        over_scipy, over_kwant: ratios.
        memory: share of what the bandwidth of a copy allows a recursion that reads and writes its vectors in
            every step; above 1 where the cache serves several steps.
        arithmetic: share of the rate of operations of a matrix product.
    """

    orbitals: int
    kernel: float
    gradient: float
    all_cores: float
    scipy: float
    kwant: float | None
    over_scipy: float
    over_kwant: float | None
    memory: float
    arithmetic: float


def count(cfg: DictConfig) -> int:
    """Number of measurements."""
    return len(SHAPES)


def measure(cfg: DictConfig, device: str, bar: ProgressBar) -> list[Row]:
    """One row for each of :data:`SHAPES`, ``task.seconds`` for each rate."""
    budget = float(cfg.task.seconds)
    bandwidth, operations = copied_bytes(budget), multiplied(budget)
    rows = []
    for shape in SHAPES:
        rows.append(_row(shape, budget, bandwidth, operations))
        bar.advance(1, now=f"Chebyshev moments {rows[-1].name}")
    return rows


def metrics(rows: Sequence[Row]) -> dict[str, float]:
    """Flat metrics."""
    found = {}
    for row in rows:
        for key in ("kernel", "gradient", "all_cores", "scipy", "kwant", "over_scipy", "over_kwant"):
            value = getattr(row, key)
            if value is not None:
                found[f"benchmark/kpm_{key}_{row.name}"] = value
    return found


def section(cfg: DictConfig, run: Run, rows: Sequence[Row]) -> Section:
    """For the report page."""
    return Section(
        "Chebyshev moments",
        "Orbital x moment x vector per second, square lattice, s-d model, one core unless it says otherwise: "
        "the fused kernel, beside CSR products of scipy and kwant.kpm. Shares of what the memory's bandwidth "
        "and the arithmetic of one core allow; above 1 where the cache serves several steps.\n\n"
        f"Cost of a column ~ N^{exponent(rows):.2f}.",
        tables=(_table(rows),),
    )


def cards(rows: Sequence[Row]) -> list[Metric]:
    """How much faster than sparse products."""
    return [Metric(f"Chebyshev kernel over scipy, {row.name}", row.over_scipy) for row in rows]


def _table(rows: Sequence[Row]) -> Table:
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
            *(millions(x) for x in (row.kernel, row.gradient, row.all_cores, row.scipy, row.kwant)),
            row.over_scipy,
            row.over_kwant,
            row.memory,
            row.arithmetic,
        ]
        for row in rows
    ]
    return Table(columns, cells, "Chebyshev moments")


def exponent(rows: Sequence[Row]) -> float:
    """Fitted exponent of the cost of a column in N; 1 is linear."""
    orbitals = np.log([row.orbitals for row in rows])
    cost = np.log([row.orbitals / row.gradient for row in rows])
    return float(np.polyfit(orbitals, cost, 1)[0]) if len(rows) > 1 else float("nan")


def copied_bytes(budget: float) -> float:
    """Bytes per second that one core reads and writes in a copy."""
    source = np.ones(COPIED // 8)
    target = np.empty_like(source)
    return 2.0 * COPIED / fastest(lambda: np.copyto(target, source), budget)


def multiplied(budget: float, n: int = 768) -> float:
    """Operations per second of a float64 matrix product on one core: what the arithmetic can do."""
    from threadpoolctl import threadpool_limits

    a = np.random.default_rng(0).normal(size=(n, n))
    with threadpool_limits(1, user_api="blas"):
        return 2.0 * n**3 / fastest(lambda: a @ a, budget)


def _row(shape: tuple[int, int], budget: float, bandwidth: float, operations: float) -> Row:
    lattice = make_lattice("square", shape)
    hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), J=3.0, mu=0.0, T=0.05)
    spins = random_spins(lattice.n_sites, rng(0, "benchmark"))
    a, b = spectral_interval(hamiltonian)
    stencil = Stencil(hamiltonian)
    fused = LatticeRecursion(hamiltonian, stencil, spins, a, b)
    columns = np.exp(2j * np.pi * rng(0, "columns").random((hamiltonian.n_states, COLUMNS)))
    work = float(hamiltonian.n_states * MOMENTS * COLUMNS)
    products = ProductRecursion(hamiltonian, spins, a, b)
    kernel = work / fastest(_moments(fused, columns), budget)
    plain = work / fastest(_moments(products, columns), budget)
    kwant = _kwant_rate(hamiltonian.sparse(spins), a, b)
    return Row(
        shape=list(shape),
        orbitals=hamiltonian.n_states,
        kernel=kernel,
        gradient=work / fastest(_gradient(fused, columns), budget),
        all_cores=_on_all_cores(fused, columns, work, budget),
        scipy=plain,
        kwant=kwant,
        over_scipy=kernel / plain,
        over_kwant=None if kwant is None else kernel / kwant,
        memory=kernel / (2.0 * bandwidth / BYTES),
        arithmetic=0.5 * kernel * FLOPS / operations,
    )


def _moments(recursion: Recursion, columns: np.ndarray) -> Callable[[], object]:
    return lambda: recursion.forward(columns, MOMENTS // 2)


def _gradient(recursion: Recursion, columns: np.ndarray) -> Callable[[], object]:
    p, q = pair_weights(np.ones(MOMENTS))
    return lambda: recursion.backward(columns, recursion.forward(columns, MOMENTS // 2)[1], p, q)


def _on_all_cores(recursion: Recursion, columns: np.ndarray, work: float, budget: float) -> float:
    n = cores()
    call = _moments(recursion, columns)
    with ThreadPoolExecutor(n) as pool:
        return n * work / fastest(lambda: list(pool.map(lambda _: call(), range(n))), budget)


def kwant_python() -> str | None:
    """A Python that has kwant: that of the environment variable ``MAGSIM_KWANT_PYTHON``, or this one."""
    for python in (os.environ.get(KWANT), sys.executable):
        if python and SCRIPT.exists():
            try:
                found = subprocess.run(
                    [python, "-W", "ignore", "-c", "import kwant.kpm"], capture_output=True
                )
            except OSError:
                continue
            if found.returncode == 0:
                return python
    return None


def _kwant_rate(matrix: sparse.csr_matrix, a: float, b: float) -> float | None:
    """Rate of kwant, or None where there is none."""
    python = kwant_python()
    if python is None:
        return None
    vectors = 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.npz"
        sparse.save_npz(path, matrix)
        command = [python, str(SCRIPT), str(path), repr(a), repr(b), str(MOMENTS), str(vectors)]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
    return matrix.shape[0] * MOMENTS * vectors / float(done.stdout)
