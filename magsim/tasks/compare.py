"""task=compare: one table and overlay plots over finished runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from magsim.config import to_flat
from magsim.config.checks.job import matching
from magsim.errors import ConfigError
from magsim.report.page import Picture, Section, Table, write_report
from magsim.report.series import overlay
from magsim.runs import Run, read_json, read_series, read_status, write_text

SILENT = ("output", "resume", "debug", "runs")  # configuration keys that never explain a difference
MOST_FIGURES = 24


@dataclass(frozen=True)
class Entry:
    """A run folder as it is found on disk.

    Attributes:
        folder: the run folder.
        label: what tells it from the others.
        status: running, done or failed (a killed run counts as failed).
        reason: of the failure.
        config: flat configuration.
        metrics: final metrics.
        series: key -> (steps, values).
    """

    folder: Path
    label: str
    status: str
    reason: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    series: dict[str, tuple[list[int], list[float]]]


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
    folders = [folder for folder in find_runs(cfg.runs) if folder != run.folder]
    entries = [read_entry(folder) for folder in folders]
    done = [entry for entry in entries if entry.status == "done"]
    others = [entry for entry in entries if entry.status != "done"]
    run.headline(f"Comparing {len(done)} finished runs")
    if not done:
        states = ", ".join(sorted({entry.status for entry in others}))
        raise ConfigError("runs", cfg.runs, f"none of the {len(entries)} runs there is finished ({states}).")
    table = comparison(done)
    write_text(run.folder / "comparison.csv", _csv(table))
    run.say(f"  table: {run.folder / 'comparison.csv'}")
    pictures = _figures(done, list(cfg.task.metrics), run)
    page = write_report(
        run.folder,
        f"Comparison of {len(done)} runs",
        _sections(table, pictures, others),
        summary=f"Runs of {cfg.runs}. Only configuration keys that differ are shown.",
    )
    run.say(f"  page: {page}")
    return {
        "compare/done": len(done),
        "compare/failed": sum(entry.status == "failed" for entry in others),
        "compare/running": sum(entry.status == "running" for entry in others),
    }


def find_runs(runs: str | Sequence[str]) -> list[Path]:
    """Run folders that folders and globs (a list, or separated by commas) name, each once, in order.

    A folder that is no run folder (a sweep folder, ``outputs/train``) stands for all run folders below it.

    Raises:
        ConfigError: there is none.
    """
    found: dict[Path, None] = {}
    for path in matching(runs):
        if (path / "status.json").is_file():
            found[path.resolve()] = None
        elif path.is_dir():
            below = sorted(file.parent.resolve() for file in path.rglob("status.json"))
            found |= dict.fromkeys(sorted(below, key=_natural))
    if not found:
        raise ConfigError("runs", runs, "holds no run folder (a folder with a status.json).")
    return list(found)


def read_entry(folder: Path) -> Entry:
    """What a run folder holds; files that a failed run did not write count as empty."""
    status = read_status(folder)
    stored = (
        OmegaConf.load(folder / "config.yaml") if (folder / "config.yaml").is_file() else OmegaConf.create()
    )
    assert isinstance(stored, DictConfig)
    metrics, series = folder / "metrics.json", folder / "metrics.csv"
    return Entry(
        folder=folder,
        label=folder.name,
        status=str(status.get("status", "failed")),
        reason=str(status.get("reason", "")),
        config=to_flat(stored),
        metrics=read_json(metrics) if metrics.is_file() else {},
        series=read_series(series) if series.is_file() else {},
    )


def differing_keys(entries: Sequence[Entry]) -> list[str]:
    """Configuration keys whose value is not the same in all runs, in the order of the configuration."""
    keys = dict.fromkeys(key for entry in entries for key in entry.config if key not in SILENT)
    return [key for key in keys if len({repr(entry.config.get(key, "")) for entry in entries}) > 1]


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


def _figures(entries: Sequence[Entry], wanted: Sequence[str], run: Run) -> list[Picture]:
    """One overlay for each series."""
    settings = differing_keys(entries)
    counts: dict[str, int] = {}
    for entry in entries:
        for key in entry.series:
            counts[key] = counts.get(key, 0) + 1
    unknown = [key for key in wanted if key not in counts]
    if unknown:
        raise ConfigError(
            "task.metrics", unknown[0], f"no run has this series; there are {', '.join(counts)}."
        )
    keys = list(wanted) or [key for key, n in counts.items() if n >= min(2, len(entries))]
    if len(keys) > MOST_FIGURES:
        run.say(f"  {len(keys)} series; the first {MOST_FIGURES} are drawn, task.metrics=[...] chooses")
    pictures = []
    for key in keys[:MOST_FIGURES]:
        curves = {_legend(entry, settings): entry.series[key] for entry in entries if key in entry.series}
        path = run.folder / "figures" / f"{key.replace('/', '_')}.png"
        path.parent.mkdir(exist_ok=True)
        overlay(path, curves, xlabel="step", ylabel=key)
        run.image(key.replace("/", "_"), path)
        pictures.append(Picture(path, key, wide=False))
    return pictures


def _legend(entry: Entry, settings: Sequence[str]) -> str:
    """The differing settings if they are few, with the end of the folder's name to keep labels apart."""
    tail = entry.label.rpartition("-")[2]
    if not 0 < len(settings) <= 3:
        return entry.label
    return ", ".join(f"{key.rpartition('.')[2]}={entry.config.get(key)}" for key in settings) + f" ({tail})"


def _sections(table: Table, pictures: Sequence[Picture], others: Sequence[Entry]) -> list[Section]:
    sections = [Section("Runs", tables=(table,))]
    if pictures:
        sections.append(Section("Series", pictures=pictures))
    if others:
        rows = [[entry.label, entry.status, entry.reason, str(entry.folder)] for entry in others]
        sections.append(Section("Not finished", tables=(Table(("run", "status", "reason", "folder"), rows),)))
    return sections


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, (int, float)) else str(value)


def _natural(path: Path) -> tuple[str, int, str]:
    """Jobs of a sweep by number, other runs by their stamp."""
    head = path.name.partition("-")[0]
    return (str(path.parent), int(head) if head.isdigit() and len(head) < 6 else 0, path.name)
