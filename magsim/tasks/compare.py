"""task=compare: one table and overlay plots over finished runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from magsim.errors import ConfigError
from magsim.report.page import Picture, Section, Table, write_report
from magsim.report.series import overlay
from magsim.runs import Run, write_text
from magsim.tasks.active_learning.comparison import active_section
from magsim.tasks.comparison.entries import REPLICAS, Entry, differing_keys, find_runs, ordered, read_entry
from magsim.tasks.comparison.tradeoffs import (
    describe,
    frontier_section,
    headline,
    learning_section,
    trained_table,
)
from magsim.tasks.words import capital

MOST_FIGURES = 24
# series that are drawn of trainings unless others are wanted
TRAINING = {"val/torque_error": "torque error in validation, rmse / rms", "train/loss": "training loss"}


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """Compare the runs that ``cfg.runs`` names: ``comparison.csv``, figures and ``report.html``.

    Args:
        cfg: ``runs`` is a run folder, a sweep folder, a glob, or a list of them;
            ``task.metrics`` the series to draw (empty: those that at least two runs have).

    Returns:
        the number of finished, failed and running runs.

    Raises:
        ConfigError: no run folder there, none of them finished, or an unknown series.
    """
    entries = [read_entry(folder) for folder in find_runs(cfg.runs) if folder != run.folder]
    done = [entry for entry in entries if entry.status == "done"]
    others = [entry for entry in entries if entry.status != "done"]
    run.headline(f"Comparing {len(done)} finished runs")
    if not done:
        states = ", ".join(sorted({entry.status for entry in others}))
        which = "the run there is not" if len(entries) == 1 else f"none of the {len(entries)} runs there is"
        raise ConfigError("runs", cfg.runs, f"{which} finished ({states}).")
    done = ordered(done, differing_keys(done))
    write_text(run.folder / "comparison.csv", _csv(comparison(done)))
    run.say(f"  table: {run.folder / 'comparison.csv'}")
    places = [cfg.runs] if isinstance(cfg.runs, str) else cfg.runs
    runs = ", ".join("`" + "/".join(Path(str(place)).parts[-2:]) + "`" for place in places)
    page = write_report(
        run.folder,
        f"Comparison of {len(done)} runs" + (f": {cfg.name}" if cfg.name != "default" else ""),
        [*_results(done, run), _series(done, list(cfg.task.metrics), run), *_unfinished(others)],
        summary=f"Runs of {runs}. Only configuration keys that differ are shown.",
        origin="`task=compare`",
        metrics=headline(done),
    )
    run.say(f"  page: {page}")
    return {
        "compare/done": len(done),
        "compare/failed": sum(entry.status == "failed" for entry in others),
        "compare/running": sum(entry.status == "running" for entry in others),
    }


def comparison(entries: Sequence[Entry]) -> Table:
    """One row for each run: its name, the configuration that differs, the final metrics."""
    settings = differing_keys(entries)
    metrics = list(dict.fromkeys(key for entry in entries for key in entry.metrics))
    rows = [
        [
            entry.label,
            *(_cell(entry.config.get(key)) for key in settings),
            *(_cell(entry.metrics.get(key)) for key in metrics),
        ]
        for entry in entries
    ]
    return Table(("run", *settings, *metrics), rows)


def _results(entries: Sequence[Entry], run: Run) -> list[Section]:
    """Trained models by cost, accuracy and data; active learning by labels; of others all final metrics."""
    if active := active_section(entries, run):
        return [active, Section("Runs", tables=(comparison(entries),))]
    trained = [entry for entry in entries if any(key.endswith("/torque_error") for key in entry.metrics)]
    if not trained:
        return [Section("Runs", tables=(comparison(entries),))]
    table = trained_table(trained)
    return [
        frontier_section(trained, run),
        learning_section(trained, run),
        Section("Runs", "All final metrics are in `comparison.csv`.", tables=(table,)),
    ]


def _series(entries: Sequence[Entry], wanted: Sequence[str], run: Run) -> Section:
    """One overlay for each series."""
    settings = [key for key in differing_keys(entries) if key not in REPLICAS] or list(REPLICAS)
    pictures = []
    for key in _keys(entries, wanted, run):
        curves = {_legend(entry, settings): entry.series[key] for entry in entries if key in entry.series}
        path = run.folder / "figures" / f"{key.replace('/', '_')}.png"
        path.parent.mkdir(exist_ok=True)
        overlay(path, curves, xlabel="step", ylabel=TRAINING.get(key, key))
        run.image(key.replace("/", "_"), path)
        pictures.append(Picture(path, capital(TRAINING.get(key, key)) + ".", wide=False))
    return Section("Series", pictures=pictures)


def _keys(entries: Sequence[Entry], wanted: Sequence[str], run: Run) -> list[str]:
    """The series to draw: those that are wanted; of trainings error and loss, of others what several have."""
    counts: dict[str, int] = {}
    for entry in entries:
        for key in entry.series:
            counts[key] = counts.get(key, 0) + 1
    unknown = [key for key in wanted if key not in counts]
    if unknown:
        raise ConfigError(
            "task.metrics", unknown[0], f"no run has this series; there are {', '.join(counts)}."
        )
    training = [key for key in TRAINING if key in counts] if "val/torque_error" in counts else []
    keys = list(wanted) or training or [key for key, n in counts.items() if n >= min(2, len(entries))]
    if len(keys) > MOST_FIGURES:
        run.say(f"  {len(keys)} series; the first {MOST_FIGURES} are drawn, task.metrics=[...] chooses")
    return keys[:MOST_FIGURES]


def _legend(entry: Entry, settings: Sequence[str]) -> str:
    """The differing settings if they are few, with the end of the folder's name to keep labels apart."""
    tail = entry.label.rpartition("-")[2]
    if not 0 < len(settings) <= 3:
        return entry.label
    return f"{describe(entry, settings)} ({tail})"


def _unfinished(others: Sequence[Entry]) -> list[Section]:
    rows = [[entry.label, entry.status, entry.reason] for entry in others]
    tables = [Table(("run", "status", "reason"), rows)] if rows else []
    return [Section("Not finished", tables=tables)]


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, (int, float)) else str(value)
