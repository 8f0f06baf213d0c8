"""Labelled snapshots that wait for their place in a dataset: a file for each piece, written by any process.

A file appears under its name all at once (written aside, then renamed), so that whoever is killed leaves
whole files or none. They lie in the folder of the dataset they belong to, and vanish with it.
"""

from __future__ import annotations

import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import ARRAYS

FOLDER = ".parts"
EXTRA = "extra."  # before the names of arrays of the labeler's own
FACTS = "fact."


@dataclass(frozen=True, eq=False)
class Records:
    """B labelled snapshots as a dataset stores them.

    Attributes:
        arrays: ``(B, ...)`` by names of :data:`magsim.datasets.dataset.ARRAYS`.
        extra: ``(B, ...)`` by other names.
        method: of the labeler.
        dt: time step of the dynamics; None without.
    """

    arrays: Mapping[str, np.ndarray]
    extra: Mapping[str, np.ndarray]
    method: str = ""
    dt: float | None = None

    def __len__(self) -> int:
        return len(self.arrays["spins"])

    def taken(self, index: Any) -> Records:
        """Some of the snapshots."""
        arrays = {name: values[index] for name, values in self.arrays.items()}
        return Records(
            arrays, {name: values[index] for name, values in self.extra.items()}, self.method, self.dt
        )


class PartStore:
    """The parts of one dataset.

    Args:
        dataset: folder of the dataset store.
    """

    def __init__(self, dataset: str | Path) -> None:
        self.folder = Path(dataset) / FOLDER

    def write(self, rows: np.ndarray, records: Records) -> str:
        """Store snapshots that belong at ``rows`` of the dataset; returns the name of the part."""
        name = self.name(rows)
        self.folder.mkdir(exist_ok=True)
        facts = {"method": records.method, "dt": np.nan if records.dt is None else records.dt}
        content = {
            "rows": rows,
            **records.arrays,
            **{EXTRA + key: values for key, values in records.extra.items()},
            **{FACTS + key: np.asarray(value) for key, value in facts.items()},
        }
        aside = self.folder / f"{name}.{uuid.uuid4().hex[:8]}.partial"
        try:
            with aside.open("wb") as file:
                np.savez(file, **content)  # type: ignore[arg-type]  # NumPy's stubs take names for options
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.folder / name)
        finally:
            aside.unlink(missing_ok=True)
        return name

    @staticmethod
    def name(rows: np.ndarray) -> str:
        """Name of the part of these rows, which are those between the first and the last of some pattern."""
        return f"{rows[0]:08d}-{rows[-1]:08d}-{len(rows)}.npz"

    def holds(self, rows: np.ndarray) -> bool:
        """Whether exactly these rows are there."""
        path = self.folder / self.name(rows)
        return path.exists() and np.array_equal(self._rows(path), rows)

    def read(self, name: str, rows: np.ndarray) -> Records:
        """The snapshots of a part that belong at ``rows``, in this order."""
        with np.load(self.folder / name) as file:
            places = {int(row): k for k, row in enumerate(file["rows"])}
            index = np.array([places[int(row)] for row in rows])
            arrays = {key: file[key] for key in file.files if key in ARRAYS}
            extra = {key.removeprefix(EXTRA): file[key] for key in file.files if key.startswith(EXTRA)}
            dt = float(file[FACTS + "dt"])
            whole = Records(arrays, extra, str(file[FACTS + "method"]), None if np.isnan(dt) else dt)
        return whole.taken(index)

    def found(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and rows of every readable part; what cannot be read is removed."""
        for path in sorted(self.folder.glob("*.npz")):
            try:
                yield path.name, self._rows(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # the disk was full
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _rows(path: Path) -> np.ndarray:
        with np.load(path) as file:
            return file["rows"]
