"""Finished trainings side by side: error against cost, error against the amount of data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from magsim.report.frontier import Curve, Point, frontier, learning_curves
from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import Run
from magsim.tasks.comparison.entries import REPLICAS, Entry, differing_keys

STATES = ("random", "early", "late", "ordered")
COST, SNAPSHOTS, LIMIT = "cost/us_per_site", "train/snapshots", "trainer.max_snapshots"
HEADINGS = {
    COST: "µs / site",
    "train/weights": "weights",
    "train/invariants": "invariants",
    SNAPSHOTS: "snapshots",
    "train/seconds": "training (s)",
}


def classes(entries: Sequence[Entry]) -> list[str]:
    """What errors are compared for: the classes of state, else the sources of the test snapshots."""
    keys = dict.fromkeys(key for entry in entries for key in entry.metrics if key.endswith("/torque_error"))
    found = [key.split("/")[1] for key in keys if key.count("/") == 2]
    states = [name for name in STATES if name in found]
    if set(states) - {"random"}:
        return states
    return [name for name in found if name != "all"] or found


def error(entry: Entry, name: str) -> float:
    """Transverse rmse over rms on a class of test snapshots; NaN: the run has none."""
    return float(entry.metrics.get(f"test/{name}/torque_error", np.nan))


def trained_table(entries: Sequence[Entry]) -> Table:
    """What differs, the errors by class, cost and size: the numbers that a choice is made by."""
    settings, names = differing_keys(entries), classes(entries)
    several = len({entry.metrics.get(SNAPSHOTS) for entry in entries}) > 1
    shown = [key for key in HEADINGS if key != SNAPSHOTS or several]
    shown = [key for key in shown if any(key in entry.metrics for entry in entries)]
    rows = [
        [
            *(_text(entry.config.get(key)) for key in settings),
            *(error(entry, name) for name in names),
            *(entry.metrics.get(key) for key in shown),
        ]
        for entry in entries
    ]
    columns = (*settings, *(f"error, {name}" for name in names), *(HEADINGS[key] for key in shown))
    caption = "Errors: rmse of the transverse field over its rms on held-out snapshots."
    return Table(columns, rows, caption, digits=3)


def headline(entries: Sequence[Entry]) -> list[Metric]:
    """The smallest error of each class, and whose it is."""
    keys = _labels(entries)
    best = []
    for name in classes(entries):
        known = [entry for entry in entries if np.isfinite(error(entry, name))]
        if known and len(entries) > 1:
            winner = min(known, key=lambda entry: error(entry, name))
            best.append(Metric(f"smallest error, {name}", error(winner, name), target=describe(winner, keys)))
    return best


def frontier_section(entries: Sequence[Entry], run: Run) -> Section:
    """The figure of cost and accuracy; empty where no cost was measured or nothing differs."""
    title = "Cost and accuracy"
    timed = [entry for entry in entries if COST in entry.metrics]
    keys = [key for key in _labels(timed) if key != LIMIT]
    groups = _groups(_most_data(timed, keys), keys)
    if len(groups) < 2:
        return Section(title)
    options = [key for key in ("model.name", "descriptor.name", *keys) if key in keys]
    kind = next((key for key in options if key.endswith(".name")), "")  # has a colour of its own
    rest = [key for key in keys if key != kind]
    panels = {name: [p for g in groups if (p := _point(g, name, kind, rest))] for name in classes(timed)}
    path = frontier(run.folder / "figures" / "frontier.png", {k: v for k, v in panels.items() if v})
    run.image("frontier", path)
    labels = f", labelled by {', '.join(_short(key) for key in rest)}" if rest else ""
    return Section(
        title,
        f"Each point is a trained model{labels}. The step line joins those that no other model beats in both "
        "error and cost.",
        pictures=[
            Picture(path, "Relative error of the torque against the time of energy and field per site.")
        ],
    )


def learning_section(entries: Sequence[Entry], run: Run) -> Section:
    """The figure of error against training snapshots; empty where all runs have as many."""
    title = "Learning curves"
    keys = [key for key in _labels(entries) if key != LIMIT]
    panels: dict[str, dict[str, Curve]] = {}
    for name in classes(entries):
        known = [e for e in entries if SNAPSHOTS in e.metrics and np.isfinite(error(e, name))]
        if curves := {label: _curve(group, name) for label, group in _curves(known, keys).items()}:
            panels[name] = curves
    if not panels:
        return Section(title)
    floors = {name: floor for name in panels if (floor := _floor(entries, name)) is not None}
    path = learning_curves(run.folder / "figures" / "learning_curves.png", panels, floors)
    run.image("learning_curves", path)
    text = "Relative error of the torque against training snapshots; bars: standard deviation over seeds."
    if floors:
        text += " Dashed: what nearsightedness does not let a model of this reach get below (task=locality)."
    return Section(title, pictures=[Picture(path, text)])


def _floor(entries: Sequence[Entry], name: str) -> float | None:
    """That of the run that sees farthest."""
    known = [float(e.metrics[key]) for e in entries if (key := f"floor/{name}") in e.metrics]
    return min(known, default=None)


def describe(entry: Entry, keys: Sequence[str], named: bool = True) -> str:
    """Values of the keys that a run has as a label: with the ends of their names, or alone."""
    words = []
    for key in keys:
        if key not in entry.config:
            continue
        value, plain = entry.config[key], key.endswith(".name") or not named
        if isinstance(value, bool) and named:
            words.append(_short(key) if value else f"no {_short(key)}")
        else:
            words.append(f"{_text(value)}" if plain else f"{_short(key)} {_text(value)}")
    return ", ".join(words)


def _labels(entries: Sequence[Entry]) -> list[str]:
    """Keys that tell trained models from each other, repetitions with other seeds aside."""
    keys = [key for key in differing_keys(entries) if key not in REPLICAS]
    return [key for key in keys if key != "name"] or keys


def _groups(entries: Sequence[Entry], keys: Sequence[str]) -> list[list[Entry]]:
    """Runs that differ in nothing but the seed, together."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(repr([entry.config.get(key) for key in keys]), []).append(entry)
    return list(found.values())


def _most_data(entries: Sequence[Entry], keys: Sequence[str]) -> list[Entry]:
    """Of each model those that were trained on the most snapshots: a learning curve is one point."""
    best = []
    for group in _groups(entries, keys):
        most = max(entry.metrics.get(SNAPSHOTS, 0) for entry in group)
        best += [entry for entry in group if entry.metrics.get(SNAPSHOTS, 0) == most]
    return best


def _point(group: Sequence[Entry], name: str, kind: str, rest: Sequence[str]) -> Point | None:
    errors = np.array([error(entry, name) for entry in group])
    if not np.isfinite(errors).all():
        return None
    cost = min(float(entry.metrics[COST]) for entry in group)
    label, of = describe(group[0], rest, named=False), str(_text(group[0].config.get(kind)))
    return Point(cost, float(errors.mean()), float(errors.std()), label, of)


def _curves(entries: Sequence[Entry], keys: Sequence[str]) -> dict[str, list[Entry]]:
    """Label -> runs of one model with different numbers of snapshots."""
    groups = {describe(group[0], keys) or "model": group for group in _groups(entries, keys)}
    return {label: g for label, g in groups.items() if len({e.metrics[SNAPSHOTS] for e in g}) > 1}


def _curve(entries: Sequence[Entry], name: str) -> Curve:
    counts = sorted({int(entry.metrics[SNAPSHOTS]) for entry in entries})
    errors = [np.array([error(e, name) for e in entries if e.metrics[SNAPSHOTS] == n]) for n in counts]
    return Curve(counts, [float(e.mean()) for e in errors], [float(e.std()) for e in errors])


def _short(key: str) -> str:
    head, _, tail = key.rpartition(".")
    return (head if tail == "name" else tail).replace("_", " ")


def _text(value: object) -> str | float:
    """A value of the configuration in a cell or label."""
    if isinstance(value, list):
        return "-".join(str(item).rpartition("/")[2] for item in value)  # files by their names
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    return int(value) if value == int(value) else value
