"""Steps of classical fields in compiled loops on the CPU; equal to those by torch operations to rounding."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from magsim.dynamics.effective_field import ClassicalField
from magsim.dynamics.integrators import INTEGRATORS, FieldFunction, Integrator
from magsim.dynamics.integrators.midpoint import MAX_ITERATIONS, TOLERANCE, not_converged
from magsim.dynamics.philox import fill_rows
from magsim.dynamics.sweeps import unit
from magsim.dynamics.thermostat import Noise

PARALLEL = 1 << 16  # sites and replicas from which threads share a sweep
NONE = np.zeros(0)


def compilable(field: FieldFunction, integrator: Integrator, spins: Tensor) -> bool:
    """Whether the steps of this run can be compiled: classical terms, float64 on the CPU, and a method that
    says what its sweeps are."""
    return (
        isinstance(field, ClassicalField)
        and spins.device.type == "cpu"
        and spins.dtype == torch.float64
        and type(integrator) is INTEGRATORS.get(integrator.name)  # a subclass may step otherwise
        and bool(integrator.sweeps())
    )


class CompiledSteps:
    """The spins of a run in rows (:class:`magsim.hamiltonian.stencil.Stencil`), and how they move.

    Args:
        field, integrator, spins: that are :func:`compilable`.
        noise: of the bath.
    """

    def __init__(self, field: ClassicalField, integrator: Integrator, spins: Tensor, noise: Noise) -> None:
        self._stencil, self._noise, self._dt = field.hamiltonian.stencil, noise, integrator.step_size
        self._plan, self._is_implicit = integrator.sweeps(), integrator.implicit
        *neighbours, onsite = self._stencil.terms
        self._onsite = onsite.copy()
        self._terms, self._zeeman = (*neighbours, self._onsite), onsite[:3]
        self._llg = (float(integrator.alpha), float(integrator.sense))
        *buffers, self._kept, self._thermal = self._stencil.buffers(len(spins), 5)
        self._buffers = buffers
        self._spins = buffers[0]
        self._stencil.pack(spins.numpy(), self._spins)
        n_rows, parts = self._stencil.n_rows, 1
        if spins.shape[0] * spins.shape[1] >= PARALLEL:
            parts = min(torch.get_num_threads(), n_rows)
        bounds = pairwise([n_rows * k // parts for k in range(parts + 1)])
        self._tasks = [(r, low, high) for low, high in bounds for r in range(len(spins))]
        self._pool = ThreadPoolExecutor(parts) if parts > 1 else None

    @property
    def spins(self) -> Tensor:
        """A copy, ``(R, N, 3)``."""
        return torch.from_numpy(self._stencil.unpack(self._spins))

    def set_external(self, B: tuple[float, float, float] | None) -> None:
        """A uniform field besides that of the classical terms."""
        self._onsite[:3] = self._zeeman + (0.0 if B is None else np.array(B))

    def finite(self) -> bool:
        """Whether all spins are."""
        return bool(np.isfinite(self._stencil.sites(self._spins).sum()))

    def advance(self, step: int, D: float) -> None:
        """One step, in a bath of strength D."""
        hot = D > 0
        if hot:
            self._run(partial(self._draw, step, float(np.sqrt(2 * D / self._dt))))
        start = x = self._spins
        if self._is_implicit:
            self._spins = self._implicit(hot)
            return
        for sweep, c in self._plan:
            out = next(b for b in self._buffers if b is not start and b is not x)
            self._run(partial(self._sweep, sweep, c, start, x, out, hot))
            x = out
        self._spins = x

    def _implicit(self, hot: bool) -> np.ndarray:
        """The only sweep again and again, for each replica until its spins stay."""
        (sweep, c), start = self._plan[0], self._spins
        a, b = (buffer for buffer in self._buffers if buffer is not start)
        self._kept[:] = start
        for r in range(len(start)):
            tasks = [task for task in self._tasks if task[0] == r]
            x, out = start, a
            change = self._run(partial(self._sweep, sweep, c, start, x, out, hot), tasks)
            for _ in range(MAX_ITERATIONS):
                x, out = out, b if out is a else a
                change = self._run(partial(self._sweep, sweep, c, start, x, out, hot), tasks)
                if change <= TOLERANCE:
                    break
            else:
                raise not_converged(change, TOLERANCE)
        self._run(lambda task: unit(*task[1:], self._stencil.grid, self._kept[task[0]], a[task[0]]))
        return a

    def _run(self, work: Any, tasks: Any = None) -> float:
        """Work on parts of the rows; the largest of what it returns."""
        tasks = self._tasks if tasks is None else tasks
        results = map(work, tasks) if self._pool is None else self._pool.map(work, tasks)
        return max(result or 0.0 for result in results)

    def _draw(self, step: int, scale: float, task: tuple[int, int, int]) -> None:
        r, low, high = task
        key, n_basis = self._noise.keys[r], self._stencil.lattice.n_basis
        fill_rows(
            key[0], key[1], np.uint64(step), low, high, self._stencil.grid, n_basis, scale, self._thermal[r]
        )

    def _sweep(
        self,
        sweep: Any,
        c: tuple[float, ...],
        start: np.ndarray,
        x: np.ndarray,
        out: np.ndarray,
        hot: bool,
        task: tuple[int, int, int],
    ) -> float:
        r, low, high = task
        how = (self._stencil.grid, self._terms, self._llg, c)
        thermal = self._thermal[r] if hot else NONE
        return float(sweep(low, high, *how, start[r], x[r], thermal, self._kept[r], out[r]))
