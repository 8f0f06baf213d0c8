"""Writing a dataset store, one batch at a time.

Zarr replaces files atomically (3.1.3 and later) and the count of snapshots is replaced after the data, so
whatever a killed run left beyond the count is cut off when the store is reopened.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from magsim.errors import DataError
from magsim.learning.dataset import ARRAYS, FORMAT_VERSION, UNITS, content_hash
from magsim.learning.store import FORMAT, attributes_of, fill_value, open_group

CHUNK_BYTES = 2**20
MAX_CHUNK = 64  # snapshots


class DatasetWriter:
    """Appends batches of labelled snapshots to a store; each :meth:`append` is one commit.

    Use :func:`open_writer`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group = open_group(path, mode="r+")
        self._arrays: dict[str, Any] = {name: self._group[name] for name in ARRAYS}
        self._discard_uncommitted()

    def _discard_uncommitted(self) -> None:
        for leftover in self.path.rglob("*.partial"):  # Zarr's temporary files of a killed writer
            leftover.unlink(missing_ok=True)
        for name, array in self._arrays.items():
            if array.shape[0] < len(self):
                raise DataError(self.path, f"array '{name}' has {array.shape[0]} of {len(self)} snapshots.")
            if array.shape[0] > len(self):
                array.resize((len(self), *array.shape[1:]))

    def __len__(self) -> int:
        return int(attributes_of(self._group)["snapshots"])

    @property
    def complete(self) -> bool:
        return bool(self._group.attrs["complete"])

    def spins(self, start: int, stop: int) -> np.ndarray:
        """Stored spins ``(stop - start, N, 3)``, from which a killed trajectory continues."""
        return np.asarray(self._arrays["spins"][start:stop])

    def note(self, **facts: Any) -> None:
        """Attributes that are no content, e.g. ``method``."""
        self._group.attrs.update(facts)

    def append(self, **arrays: Any) -> None:
        """Append B snapshots, all arrays of :data:`ARRAYS` by name, ``(B, ...)``; committed on return.

        Appending to a complete store reopens it: it loses its content hash until :meth:`finish`.
        """
        if set(arrays) != set(ARRAYS):
            raise ValueError(f"append needs exactly the arrays {sorted(ARRAYS)}, got {sorted(arrays)}")
        start, count = len(self), len(arrays["spins"])
        if self.complete:
            self._group.attrs.update({"complete": False, "content_hash": None})
        for name, array in self._arrays.items():
            values = np.asarray(arrays[name], dtype=array.dtype)
            if values.shape != (count, *array.shape[1:]):
                raise ValueError(
                    f"array {name!r} has shape {values.shape}, expected {(count, *array.shape[1:])}"
                )
            array.resize((start + count, *array.shape[1:]))
            array[start : start + count] = values
        self._group.attrs.update({"snapshots": start + count})

    def finish(self) -> str:
        """Seal the store with its content hash, which is returned."""
        digest = content_hash(self._arrays)
        self._group.attrs.update({"complete": True, "content_hash": digest})
        return digest


def open_writer(
    path: str | Path,
    *,
    key: str,
    n_sites: int,
    lattice: Mapping[str, Any],
    sources: Sequence[str],
    config: Mapping[str, Any],
    units: Mapping[str, str] = UNITS,
) -> DatasetWriter:
    """Create a store, or reopen the one of the same key at its last complete batch.

    Args:
        path: folder of the store; its parents are made.
        key: hash of what determines the content.
        n_sites: N.
        lattice: ``{"name", "shape", "boundary"}``.
        sources: names that the array ``source`` indexes.
        config: resolved configuration, JSON types only.
        units: unit of each array.

    Raises:
        DataError: something else is at ``path``, or a dataset of another key.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        found = str(attributes_of(open_group(path, mode="r"))["key"])
        if found != key:
            raise DataError(
                path,
                f"holds a dataset of other settings (key {found[:12]}, not {key[:12]}); give another output.",
            )
        return DatasetWriter(path)
    attributes = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "key": key,
        "lattice": dict(lattice),
        "sources": list(sources),
        "config": dict(config),
        "units": dict(units),
        "snapshots": 0,
        "complete": False,
        "content_hash": None,
    }
    _create(path, n_sites, attributes)
    return DatasetWriter(path)


def _create(path: Path, n_sites: int, attributes: dict[str, Any]) -> None:
    """Make an empty store elsewhere and move it into place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    chunk = max(1, min(MAX_CHUNK, CHUNK_BYTES // (n_sites * 3 * 8)))
    try:
        group = zarr.create_group(temporary, zarr_format=3, attributes=attributes)
        for name, (dtype, axes) in ARRAYS.items():
            tail = tuple({"N": n_sites, "3": 3}[axis] for axis in axes)
            group.create_array(
                name,
                shape=(0, *tail),
                chunks=(chunk, *tail),
                dtype=np.dtype(dtype),
                fill_value=fill_value(name),
                dimension_names=("snapshot", *("site" if axis == "N" else "component" for axis in axes)),
            )
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
