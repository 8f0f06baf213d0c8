"""``metrics.csv``: series of metrics, one row for each call, columns added as they appear."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from magsim.runs.folder import write_text


class Series:
    """Appends rows ``step, key, ...`` to a CSV file.

    Every row is on disk when :meth:`append` returns. A new key rewrites the file with one more column; rows
    that lack a key leave its cell empty. An existing file is continued.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.columns = ["step"]
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.columns = next(csv.reader(file), self.columns)

    def append(self, values: Mapping[str, float], step: int) -> None:
        """Write one row."""
        new = [key for key in values if key not in self.columns]
        if new or not self.path.exists():
            self._widen(new)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            row = {"step": step, **{key: f"{value:.10g}" for key, value in values.items()}}
            csv.DictWriter(file, self.columns).writerow(row)

    def _widen(self, new: list[str]) -> None:
        rows: list[dict[str, str]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        self.columns = [*self.columns, *new]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())


def read_series(path: str | Path) -> dict[str, tuple[list[int], list[float]]]:
    """``{key: (steps, values)}`` of a ``metrics.csv``, steps ascending.

    A step written twice (a resumed run repeats the steps after its last checkpoint) counts once, with
    its last value. A last line that was cut by a kill is skipped.
    """
    found: dict[str, dict[int, float]] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for key, text in row.items():
                if key is None or key == "step" or not text:
                    continue
                try:
                    found.setdefault(key, {})[int(row["step"])] = float(text)
                except ValueError:
                    found.setdefault(key, {})
    return {
        key: (sorted(points), [points[step] for step in sorted(points)])
        for key, points in found.items()
        if any(math.isfinite(value) for value in points.values())
    }
