"""What a simulation tells while it runs: series of observables, progress between frames."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import torch

from magsim.arrays import to_numpy
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables import measure, nn_correlation
from magsim.runs import ProgressBar, Run, read_series

UPDATE_INTERVAL = 0.2  # seconds between two updates of the progress bar


class Watcher(Protocol):
    """Looks at recorded frames while a simulation runs."""

    def wants(self, step: int) -> bool:
        """Whether the frame of this step is still to be seen."""
        ...

    def see(self, step: int, time: float, spins: np.ndarray, field: np.ndarray) -> None:
        """Take a frame, spins and field ``(R, N, 3)``."""
        ...


class StepCounter:
    """Moves the progress bar on after every step, also between frames.

    Args:
        bar: counts steps.
        n_spins: spins updated in one step.

    Attributes:
        info: numbers shown beside the bar.
    """

    def __init__(self, bar: ProgressBar, n_spins: int) -> None:
        self.info: dict[str, float] = {}
        self._bar, self._n_spins = bar, n_spins
        self._steps, self._told, self._updated = 0, 0, time.monotonic()

    def __call__(self, steps: int) -> None:
        self._steps += steps
        if time.monotonic() - self._updated > UPDATE_INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Tell the bar about all steps so far."""
        self._bar.advance(self._steps - self._told)
        self._bar.advance(0, **self.info, **{"spin updates/s": f"{self._bar.rate * self._n_spins:.3g}"})
        self._told, self._updated = self._steps, time.monotonic()


class Recorder:
    """Measures frames, keeps the series and logs their mean over replicas.

    Args:
        lattice: of the spins.
        names: observables.
        run: whose series get a row per measured frame, unless an earlier session has written it.
        prefix: of the keys of the series.
        stride: steps between measured frames.
        device: where to measure.
    """

    def __init__(
        self,
        lattice: Lattice,
        names: Sequence[str],
        run: Run,
        prefix: str,
        stride: int,
        device: str | torch.device,
    ) -> None:
        self._lattice, self._names, self._run = lattice, tuple(names), run
        self._prefix, self._stride, self._device = prefix, stride, device
        self._rows: dict[int, tuple[float, dict[str, np.ndarray]]] = {}
        self._last: tuple[int, float, Any, Any] | None = None
        path = run.folder / "metrics.csv"
        known = read_series(path) if path.exists() else {}
        self._logged = set(known.get(f"{prefix}/time", ([], []))[0])

    def add(self, step: int, time: float, spins: Any, energy: Any) -> None:
        """Take a frame, spins ``(R, N, 3)`` and total energies ``(R,)``; it is measured if it is its turn."""
        self._last = (step, time, spins, energy)
        if step % self._stride == 0:
            self._measure(*self._last)

    def series(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Steps ``(F,)``, times ``(F,)`` and values ``(F, R)`` of the measured frames and the last one."""
        if self._last is not None and self._last[0] not in self._rows:
            self._measure(*self._last)
        steps = sorted(self._rows)
        values = {name: np.stack([self._rows[s][1][name] for s in steps]) for name in self._names}
        return np.array(steps), np.array([self._rows[s][0] for s in steps]), values

    def info(self, spins: torch.Tensor, energy: torch.Tensor) -> dict[str, float]:
        """Energy per site and nearest-neighbour correlation, for the progress display."""
        mean = float(energy.mean())
        shown = {} if math.isnan(mean) else {"E/N": mean / self._lattice.n_sites}  # a drive has no energy
        with suppress(ConfigError):  # a lattice without bonds
            shown["S.S"] = float(nn_correlation(self._lattice, spins).mean())
        return shown

    def _measure(self, step: int, time: float, spins: Any, energy: Any) -> None:
        # stored frames take the way of live ones, so that a continued series is the same to the last digit
        spins, energy = (torch.as_tensor(value, device=self._device) for value in (spins, energy))
        values = {k: to_numpy(v) for k, v in measure(self._names, self._lattice, spins, energy).items()}
        self._rows[step] = (time, values)
        if step not in self._logged:
            row = {f"{self._prefix}/{name}": float(value.mean()) for name, value in values.items()}
            self._run.log({f"{self._prefix}/time": time, **row}, step)
