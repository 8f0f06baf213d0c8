"""Writing a dataset store, one batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import ARRAYS, PROVENANCE, REQUIRED, UNITS, content_hash
from magsim.datasets.store import DATASET
from magsim.zarr_store import ArraySpec, GrowingStore, create_store, holds_key

CHUNK_BYTES = 2**20
MAX_CHUNK = 64  # snapshots


class DatasetWriter(GrowingStore):
    """Appends batches of labelled snapshots to a store; each :meth:`append` is one commit.

    Use :func:`open_writer`.
    """

    layout = DATASET

    def spins(self, start: int, stop: int) -> np.ndarray:
        """Stored spins ``(stop - start, N, 3)``, from which a killed trajectory continues."""
        return np.asarray(self._arrays["spins"][start:stop])

    def append(self, extra: Mapping[str, Any] | None = None, **arrays: Any) -> None:
        """Append B snapshots; committed on return.

        The first batch decides which arrays there are; every other must bring the same ones. Appending to a
        complete store reopens it: it loses its content hash until :meth:`finish`.

        Args:
            extra: arrays ``(B, ...)`` by names that are not in :data:`ARRAYS`.
            arrays: by names of :data:`ARRAYS`, ``(B, ...)``: spins, field and provenance, and what is known.

        Raises:
            ValueError: wrong names or shapes.
        """
        rows = self._rows(arrays, dict(extra or {}))
        count = len(rows["spins"])
        if not len(self):
            self._add_arrays(
                {name: self._spec(name, row) for name, row in rows.items() if name not in self._arrays}
            )
        if set(rows) != set(self._arrays):
            raise ValueError(f"append needs exactly the arrays {sorted(self._arrays)}, got {sorted(rows)}")
        for name, array in self._arrays.items():
            if rows[name].shape != (count, *array.shape[1:]):
                expected = (count, *array.shape[1:])
                raise ValueError(f"array {name!r} has shape {rows[name].shape}, expected {expected}")
        self._commit(rows, count, arrays=list(self._arrays))

    def finish(self) -> str:
        """Seal the store with its content hash, which is returned."""
        digest = content_hash(self._arrays)
        self.note(complete=True, content_hash=digest)
        return digest

    def _rows(self, arrays: dict[str, Any], extra: dict[str, Any]) -> dict[str, np.ndarray]:
        """Arrays in the types they are stored in."""
        unknown, taken = set(arrays) - set(ARRAYS), set(extra) & set(ARRAYS)
        missing = {*REQUIRED, *PROVENANCE} - set(arrays)
        if unknown or taken or missing:
            raise ValueError(
                f"append needs {sorted((*REQUIRED, *PROVENANCE))} of {sorted(ARRAYS)} and other names in "
                f"extra, got {sorted(arrays)} and {sorted(extra)}"
            )
        rows = {name: np.asarray(values, dtype=ARRAYS[name][0]) for name, values in arrays.items()}
        for name, values in extra.items():
            stored = self._arrays.get(name)
            rows[name] = np.asarray(values, dtype=None if stored is None else stored.dtype)
            if rows[name].ndim == 0 or rows[name].dtype.kind not in "fiucb":
                raise ValueError(f"extra array {name!r} must hold numbers, one row for each snapshot")
        return rows

    def _spec(self, name: str, row: np.ndarray) -> ArraySpec:
        if name in ARRAYS:
            return _known(name, int(self._arrays["spins"].shape[1]))
        chunk = int(self._arrays["spins"].chunks[0])
        return ArraySpec(row.dtype, row.shape[1:], tuple(f"{name}_{k}" for k in range(row.ndim - 1)), chunk)


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
    if not holds_key(path, DATASET, key):
        attributes = {
            "key": key,
            "lattice": dict(lattice),
            "sources": list(sources),
            "config": dict(config),
            "units": dict(units),
            "arrays": list(DATASET.arrays),
        }
        create_store(path, DATASET, attributes, {name: _known(name, n_sites) for name in DATASET.arrays})
    return DatasetWriter(path)


def _known(name: str, n_sites: int) -> ArraySpec:
    dtype, axes = ARRAYS[name]
    tail = tuple({"N": n_sites, "3": 3}[axis] for axis in axes)
    chunk = max(1, min(MAX_CHUNK, CHUNK_BYTES // (n_sites * 3 * 8)))
    return ArraySpec(np.dtype(dtype), tail, tuple({"N": "site", "3": "component"}[a] for a in axes), chunk)
