"""Strategies of active learning against each other: error by number of labels, and labels for an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from magsim.report.active import compared_curves
from magsim.report.page import Picture, Section, Table
from magsim.runs import Run
from magsim.tasks.comparison.entries import REPLICAS, Entry, differing_keys

STRATEGIES = {
    "committee": "largest disagreement",
    "random": "random ones of the same runs",
    "fresh": "fresh random spins",
}
LEVELS = 3  # errors for which the labels needed are told


@dataclass(frozen=True, eq=False)
class Curves:
    """Runs that differ in their seed alone.

    Attributes:
        name: what tells them from the others.
        seeds: of the runs.
        labels: ``(R,)`` of the rounds that all of them finished.
        errors: class of states, or ``mean`` of all -> ``(R, seeds)``.
    """

    name: str
    seeds: tuple[int, ...]
    labels: np.ndarray
    errors: dict[str, np.ndarray]


def active_section(entries: Sequence[Entry], run: Run) -> Section | None:
    """Figure and tables over runs of ``task=active``; None if there are fewer than two of them."""
    mine = [e for e in entries if e.config.get("task.name") == "active" and "active/error" in e.series]
    if len(mine) < 2:
        return None
    groups = grouped(mine, [key for key in differing_keys(mine) if key not in REPLICAS])
    path = compared_curves(run.folder / "active_learning.png", {g.name: (g.labels, g.errors) for g in groups})
    run.image("active_learning", path)
    seeds = max(len(g.seeds) for g in groups)
    picture = Picture(
        path,
        "Torque error on the test set against the number of exact labels; mean over the seeds and its "
        "standard error. 'mean' counts every class of states the same.",
    )
    tables = [final_table(groups), labels_table(groups)]
    return Section("Active learning", f"{len(mine)} runs, up to {seeds} seeds each.", tables, [picture])


def grouped(entries: Sequence[Entry], settings: Sequence[str]) -> list[Curves]:
    """Runs by what differs besides their seeds, each group cut to the numbers of labels that all have."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        name = ", ".join(_setting(key, entry.config.get(key)) for key in settings) or "all runs"
        found.setdefault(name, []).append(entry)
    return [_curves(name, members) for name, members in found.items()]


def _setting(key: str, value: Any) -> str:
    return STRATEGIES[str(value)] if key == "task.strategy" else f"{key.rpartition('.')[2]}={value}"


def _curves(name: str, members: Sequence[Entry]) -> Curves:
    steps = [set(entry.series["active/error"][0]) for entry in members]
    labels = sorted(set.intersection(*steps))
    keys = [key for key in members[0].series if key.startswith("active/error")]
    errors = {}
    for key in keys:
        if all(key in entry.series for entry in members):
            columns = [dict(zip(*entry.series[key], strict=True)) for entry in members]
            short = key.removeprefix("active/error").lstrip("_") or "mean"
            errors[short] = np.array([[column[n] for column in columns] for n in labels])
    return Curves(name, tuple(int(e.config.get("seed", 0)) for e in members), np.array(labels), errors)


def final_table(groups: Sequence[Curves]) -> Table:
    """Errors at the largest number of labels that all groups have."""
    common = sorted(set.intersection(*(set(g.labels.tolist()) for g in groups)))
    last = common[-1] if common else None
    classes = list(groups[0].errors)
    rows = []
    for g in groups:
        k = -1 if last is None else int(np.flatnonzero(g.labels == last)[0])
        rows.append([g.name, len(g.seeds), int(g.labels[k]), *(with_error(g.errors[c][k]) for c in classes)])
    return Table(("runs", "seeds", "labels", *classes), rows, "Torque error, mean ± standard error.")


def labels_table(groups: Sequence[Curves]) -> Table:
    """Labels that each group needs for the same errors."""
    levels = common_levels(groups)
    rows = []
    for level in levels:
        needed = [[labels_for(g.labels, e, level) for e in g.errors["mean"].T] for g in groups]
        rows.append([level, *(with_error(np.array(n)) for n in needed)])
    caption = (
        "Labels needed for a mean torque error, by straight lines between rounds; mean ± standard error."
    )
    return Table(("torque error", *(g.name for g in groups)), rows, caption)


def common_levels(groups: Sequence[Curves]) -> list[float]:
    """Errors that every run starts above and ends below, the smallest last."""
    start = min(float(g.errors["mean"][0].min()) for g in groups)
    end = max(float(g.errors["mean"].min(axis=0).max()) for g in groups)
    if end >= start:
        return []
    between = [start * (end / start) ** (k / LEVELS) for k in range(1, LEVELS)]
    return [float(f"{level:.3g}") for level in between] + [float(np.ceil(1e3 * end) / 1e3)]


def labels_for(labels: np.ndarray, errors: np.ndarray, level: float) -> float:
    """Number of labels from which on the error is below a level for the first time; NaN if it never is."""
    below = np.flatnonzero(errors <= level)
    if not len(below):
        return float("nan")
    k = int(below[0])
    if k == 0:
        return float(labels[0])
    share = (errors[k - 1] - level) / (errors[k - 1] - errors[k])
    return float(labels[k - 1] + share * (labels[k] - labels[k - 1]))


def with_error(values: np.ndarray) -> str:
    """``mean ± standard error of the mean`` over seeds; the mean alone for one."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3g}"
    return f"{mean:.3g} ± {float(np.std(values, ddof=1) / np.sqrt(len(values))):.1g}"
