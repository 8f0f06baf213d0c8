"""What a simulation with a learned field tells about its own errors: exact labels now and then (audit), the
disagreement of a committee at every measured frame, a warning where either is beyond what the test showed."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from magsim.dynamics import ClassicalField, CommitteeField
from magsim.learning.calibration import Calibration
from magsim.runs import Run, read_series
from magsim.spins import transverse
from magsim.tasks.simulation.truth import Auditor

CARTESIAN = np.sqrt(2 / 3)  # rms per component of the tangent plane -> per Cartesian component


class Domain:
    """Whether the errors are those of the test.

    Args:
        run: gets the warnings.
        test_rmse: of the torque per Cartesian component on held-out data; None: unknown, nothing is judged.
        factor: errors above ``factor * test_rmse`` are a warning.
    """

    def __init__(self, run: Run, test_rmse: float | None, factor: float) -> None:
        self.test_rmse, self.factor, self._run = test_rmse, factor, run
        self._told: set[str] = set()

    @property
    def limit(self) -> float:
        """Largest error that calls for no warning."""
        return float("inf") if self.test_rmse is None else self.factor * self.test_rmse

    def judge(self, what: str, step: int, rmse: float) -> None:
        """One line for the first error beyond the limit, of each kind."""
        if self.test_rmse is None or rmse <= self.limit or what in self._told:
            return
        self._told.add(what)
        self._run.warn(
            f"step {step}: the torque error {what} is {rmse:.3g}, {rmse / self.test_rmse:.1f} times that of "
            f"the test ({self.test_rmse:.3g}); the model is outside its domain"
        )


class Watch(ABC):
    """A series along the trajectory; rows that an earlier session has written are not made again.

    Attributes:
        rows: step -> name -> value.
    """

    prefix: str
    error: str  # name of the value that is judged
    what: str

    def __init__(self, run: Run, every: int, domain: Domain) -> None:
        self._run, self.every, self.domain = run, every, domain
        self.rows: dict[int, dict[str, float]] = {}
        path = run.folder / "metrics.csv"
        for key, (steps, values) in (read_series(path) if path.exists() else {}).items():
            if key.startswith(f"{self.prefix}/"):
                for step, value in zip(steps, values, strict=True):
                    self.rows.setdefault(step, {})[key.partition("/")[2]] = value

    def wants(self, step: int) -> bool:
        return step % self.every == 0 and step not in self.rows

    def see(self, step: int, time: float, spins: np.ndarray, field: np.ndarray) -> None:
        row = {"time": time, **self.measure(step, spins, field)}
        self.rows[step] = row
        self._run.log({f"{self.prefix}/{name}": value for name, value in row.items()}, step)
        if self.error in row:
            self.domain.judge(self.what, step, row[self.error])

    @abstractmethod
    def measure(self, step: int, spins: np.ndarray, field: np.ndarray) -> dict[str, float]:
        """The values of one frame, spins and field ``(R, N, 3)``."""

    def column(self, name: str) -> np.ndarray:
        """``(n,)`` values in order of the steps, NaN where there is none."""
        return np.array([self.rows[step].get(name, np.nan) for step in sorted(self.rows)])

    def metrics(self) -> dict[str, float]:
        """Last values, and how many rows are beyond the limit."""
        if not self.rows:
            return {}
        last = self.rows[max(self.rows)]
        final = {f"{self.prefix}/final_{name}": value for name, value in last.items() if name != "time"}
        beyond = self.column(self.error) > self.domain.limit
        final[f"{self.prefix}/warnings"] = int(beyond.sum())
        if beyond.any():
            final[f"{self.prefix}/first_warning_step"] = sorted(self.rows)[int(beyond.argmax())]
        return final


class Audit(Watch):
    """True errors of the torque: ``torque_rmse``, ``torque_rms`` per Cartesian component and their ratio
    ``torque_error``, the length of the ``largest`` error of a site, the stated ``cut_error``, the
    ``label_error``, the number of ``sites`` and the ``seconds`` it took."""

    prefix, error, what = "audit", "torque_rmse", "by exact labels"

    def __init__(
        self, run: Run, every: int, domain: Domain, auditor: Auditor, classical: ClassicalField | None
    ) -> None:
        super().__init__(run, every, domain)
        self.auditor, self._classical = auditor, classical

    def measure(self, step: int, spins: np.ndarray, field: np.ndarray) -> dict[str, float]:
        truth = self.auditor.truth(spins, step)
        if self._classical is not None:
            field = field - self._classical(spins)[1]
        at = truth.replica, truth.site
        error = transverse(field[at], spins[at]) - truth.torque
        rmse, rms = (float(np.sqrt(np.mean(values**2))) for values in (error, truth.torque))
        return {
            "torque_rmse": rmse,
            "torque_rms": rms,
            "torque_error": rmse / max(rms, 1e-300),
            "largest": float(np.linalg.norm(error, axis=-1).max()),
            "label_error": truth.error,
            "cut_error": truth.cut_error,
            "sites": len(truth.site),
            "seconds": truth.seconds,
        }

    def metrics(self) -> dict[str, float]:
        """Also the usual cost."""
        return {**super().metrics(), "audit/count": len(self.rows), "audit/seconds": self.seconds}

    @property
    def seconds(self) -> float:
        """Median over the audits: the first one of a session also prepares the solver."""
        return float(np.median(self.column("seconds"))) if self.rows else 0.0


class Spread(Watch):
    """What a committee knows of its error: rms ``spread`` over the sites, per component of the tangent plane;
    with a calibration the ``expected_rmse`` per Cartesian component, to be compared with that of an audit."""

    prefix, error, what = "uncertainty", "expected_rmse", "expected from the spread of the committee"

    def __init__(
        self, run: Run, every: int, domain: Domain, committee: CommitteeField, calibration: Calibration | None
    ) -> None:
        super().__init__(run, every, domain)
        self._committee, self.calibration = committee, calibration

    def measure(self, step: int, spins: np.ndarray, field: np.ndarray) -> dict[str, float]:
        spread = self._committee.spread(spins)
        row = {"spread": float(np.sqrt(np.mean(spread**2)))}
        if self.calibration is not None:
            sigma = self.calibration.expected(spread)
            row["expected_rmse"] = float(CARTESIAN * np.sqrt(np.mean(sigma**2)))
        return row
