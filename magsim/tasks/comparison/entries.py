"""Finished runs as they lie on disk, and what tells them from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from magsim.config import to_flat
from magsim.config.checks.job import matching
from magsim.errors import ConfigError
from magsim.runs import read_json, read_series, read_status

SILENT = ("output", "resume", "debug", "runs")  # configuration keys that never explain a difference
REPLICAS = ("seed", "trainer.split_seed")  # runs that differ in nothing else repeat each other


@dataclass(frozen=True)
class Entry:
    """A run folder as it is found on disk.

    Attributes:
        folder: the run folder.
        label: what tells it from the others.
        status: running, done or failed (a killed run counts as failed).
        reason: of the failure.
        config: flat configuration.
        given: configuration keys that its command line, or the sweep, set.
        metrics: final metrics.
        series: key -> (steps, values).
    """

    folder: Path
    label: str
    status: str
    reason: str
    config: dict[str, Any]
    given: tuple[str, ...]
    metrics: dict[str, Any]
    series: dict[str, tuple[list[int], list[float]]]


def find_runs(runs: str | Sequence[str]) -> list[Path]:
    """Run folders that folders and globs (a list, or separated by commas) name, each once, in order.

    A folder that is no run folder (a sweep folder, ``outputs/train``) stands for all run folders below it,
    those of earlier comparisons aside.

    Raises:
        ConfigError: there is none.
    """
    found: dict[Path, None] = {}
    for path in matching(runs):
        if (path / "status.json").is_file():
            found[path.resolve()] = None
        elif path.is_dir():
            below = [file.parent.resolve() for file in path.rglob("status.json")]
            runs_there = [folder for folder in below if read_status(folder).get("task") != "compare"]
            found |= dict.fromkeys(sorted(runs_there, key=_natural))
    if not found:
        raise ConfigError("runs", runs, "holds no run folder (a folder with a status.json).")
    return list(found)


def read_entry(folder: Path) -> Entry:
    """What a run folder holds; files that a failed run did not write count as empty."""
    status = read_status(folder)
    metrics, series = folder / "metrics.json", folder / "metrics.csv"
    return Entry(
        folder=folder,
        label=folder.name,
        status=str(status.get("status", "failed")),
        reason=str(status.get("reason", "")),
        config=to_flat(_stored(folder / "config.yaml")),
        given=tuple(str(word).partition("=")[0].lstrip("+~") for word in _stored(folder / "overrides.yaml")),
        metrics=read_json(metrics) if metrics.is_file() else {},
        series=read_series(series) if series.is_file() else {},
    )


def _stored(file: Path) -> Any:
    return OmegaConf.load(file) if file.is_file() else OmegaConf.create()


def differing_keys(entries: Sequence[Entry]) -> list[str]:
    """Configuration keys that tell runs from each other: chosen options, then the others, in the order of the
    configuration.

    A key that nobody set and that the chosen options determine (``descriptor.name`` and the keys of a
    descriptor, where models differ) is left out.
    """
    keys = dict.fromkeys(key for entry in entries for key in entry.config if key not in SILENT)
    count = {key: len({_value(entry, key) for entry in entries}) for key in keys}
    differing = [key for key in keys if count[key] > 1]
    given = {key for entry in entries for key in entry.given}
    given |= {f"{key}.name" for key in given}
    names = [key for key in differing if key.endswith(".name")]
    options: list[str] = []
    for key in sorted(names, key=lambda key: (key not in given, -count[key])):
        if key in given or not _determined(entries, options, key):
            options.append(key)
    others = [key for key in differing if key in given or not _determined(entries, options, key)]
    return list(dict.fromkeys([*(key for key in names if key in options), *others]))


def _determined(entries: Sequence[Entry], options: Sequence[str], key: str) -> bool:
    """Whether all runs with the same options have the same value."""
    if not options:
        return False
    seen: dict[tuple[str, ...], set[str]] = {}
    for entry in entries:
        seen.setdefault(tuple(_value(entry, o) for o in options), set()).add(_value(entry, key))
    return all(len(values) == 1 for values in seen.values())


def _value(entry: Entry, key: str) -> str:
    return repr(entry.config.get(key, ""))


def ordered(entries: Sequence[Entry], keys: Sequence[str]) -> list[Entry]:
    """Runs sorted by the values of the keys, numbers as numbers."""
    return sorted(entries, key=lambda entry: [_rank(entry.config.get(key)) for key in keys])


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value))


def _natural(path: Path) -> tuple[str, int, str]:
    """Jobs of a sweep by number, other runs by their stamp."""
    head = path.name.partition("-")[0]
    return (str(path.parent), int(head) if head.isdigit() and len(head) < 6 else 0, path.name)
