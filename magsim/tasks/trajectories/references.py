"""What a run measured beside the reference values of its configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from magsim.dynamics import open_trajectory
from magsim.report.numbers import number
from magsim.report.page import Metric, Section, Table
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.trajectories.scene import lowest_replica, references_of
from magsim.tasks.words import number_text, quantity


@dataclass(frozen=True)
class Reference:
    """A value known from elsewhere, and what the run has for it.

    Attributes:
        quantity: observable or fitted quantity.
        value: of the reference.
        tolerance: largest difference that counts as reproduced; None: not judged.
        time: at which it holds; None: the end of the run.
        replica: ``mean``, ``lowest`` or the number of one.
        voltage: of that replica, at which it holds; None: at any.
        label: words beside its line.
        source: where it is from.
        measured: mean over replicas, or of the one with the lowest energy at the end; NaN where the run does
            not get that far.
        error: standard error of that mean; None for a single replica.
    """

    quantity: str
    value: float
    tolerance: float | None
    time: float | None
    replica: str
    voltage: float | None
    label: str
    source: str
    measured: float
    error: float | None

    @property
    def reproduced(self) -> bool | None:
        """Whether the run has the value; None where that is not judged."""
        if self.tolerance is None or math.isnan(self.measured):
            return None
        return abs(self.measured - self.value) <= self.tolerance

    @property
    def key(self) -> str:
        """Name of its metrics."""
        time = "" if self.time is None else f"_t{self.time:g}"
        return f"reference/{self.quantity}" + ("" if self.replica == "mean" else f"_{self.replica}") + time

    @property
    def words(self) -> str:
        """The quantity and whose it is."""
        whose = {"mean": "", "lowest": ", run of lowest energy"}.get(self.replica, f", {self.label}")
        return quantity(self.quantity)[0] + whose

    @property
    def unit(self) -> str:
        """Of the quantity."""
        return quantity(self.quantity)[1]


def set_against(cfg: DictConfig, result: Simulation, metrics: Mapping[str, Any]) -> list[Reference]:
    """The references of a configuration with what a simulation measured.

    Args:
        cfg: whose ``references`` count.
        result: series of the observables.
        metrics: final metrics under ``simulate/``, for what is fitted to the whole run; the standard error of
            ``simulate/<quantity>`` is ``simulate/<quantity>_error``.
    """
    found = []
    lowest = lowest_replica(open_trajectory(result.path))
    for node in references_of(cfg):
        reference: dict[str, Any] = dict(OmegaConf.to_container(node, resolve=True))  # type: ignore[arg-type]
        name, time = reference["quantity"], reference["time"]
        if name in result.series:
            values = result.series[name]
            whose = reference["replica"]
            chosen = values if whose == "mean" else values[:, [lowest if whose == "lowest" else int(whose)]]
            measured, error = _at(result.time, chosen, time)
        else:
            each = "" if reference["replica"] in ("mean", "lowest") else f"_{reference['replica']}"
            measured = float(metrics.get(f"simulate/{name}{each}", math.nan))
            error = metrics.get(f"simulate/{name}{each}_error")
        found.append(Reference(**reference, measured=measured, error=error))
    return found


def _at(times: np.ndarray, values: np.ndarray, when: float | None) -> tuple[float, float | None]:
    """Mean over replicas ``values (F, R)`` and its standard error at a time, linear between frames."""
    if when is not None and when > times[-1] * (1 + 1e-9):
        return math.nan, None
    at = times[-1] if when is None else when
    each = np.array([np.interp(at, times, column) for column in values.T])
    error = float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else None
    return float(each.mean()), error


def metrics_of(references: Sequence[Reference]) -> dict[str, float]:
    """``reference/<quantity>``, with ``_lowest`` and ``_t<time>`` where they apply: measured minus
    reference, of what the run has reached; a second reference of the same quantity has ``_2``, and so on."""
    found: dict[str, float] = {}
    for r in references:
        if not math.isnan(r.measured):
            names = (r.key if k == 1 else f"{r.key}_{k}" for k in count(1))
            found[next(name for name in names if name not in found)] = r.measured - r.value
    return found


def reference_section(references: Sequence[Reference]) -> Section:
    """Table of what was measured, what it is set against, and where that is from."""
    rows = [
        [
            f"{r.words} ({r.unit})" if r.unit else r.words,
            "end" if r.time is None else f"{r.time:g}",
            "not reached" if math.isnan(r.measured) else r.measured,
            "" if r.error is None else "± " + number(r.error, 2),
            r.value,
            "" if r.tolerance is None else f"± {r.tolerance:g}",
            {True: "yes", False: "no", None: ""}[r.reproduced],
            r.source,
        ]
        for r in references
    ]
    columns = (
        "quantity",
        "time (ħ/t)",
        "measured",
        "standard error",
        "reference",
        "tolerance",
        "reproduced",
        "source",
    )
    return Section("Against reference values", tables=(Table(columns, rows),) if rows else ())


def verdict(references: Sequence[Reference]) -> str:
    """How many of the judged ones were reproduced, as a sentence; empty where none is judged."""
    judged = [r.reproduced for r in references if r.tolerance is not None]
    if not judged:
        return ""
    reached = [r for r in judged if r is not None]
    if not reached:
        return "The run ends before any judged reference value."
    words = f"{sum(reached)} of {len(judged)} judged reference values "
    words += "is reproduced" if len(judged) == 1 else "are reproduced"
    early = len(judged) - len(reached)
    return words + (f", the run ends before {early} of them." if early else ".")


def headline(references: Sequence[Reference]) -> list[Metric]:
    """The judged ones, large at the top of the page."""
    return [
        Metric(
            r.words + ("" if r.time is None else f" at t = {r.time:g}"),
            "not reached" if math.isnan(r.measured) else r.measured,
            "" if math.isnan(r.measured) else r.unit,
            target=f"{'' if r.replica.isdigit() else r.label or 'reference'} {number_text(r.value)}".strip()
            + (f" ± {r.tolerance:g}" if r.tolerance else ""),
            passed=r.reproduced,
        )
        for r in references
        if r.tolerance is not None
    ]
