"""Datasets on disk: Zarr v3 stores that survive a kill at any moment, and one door for reading.

A store is a Zarr group with one array per name of :data:`magsim.learning.dataset.ARRAYS`, growing along the snapshot
axis. Its attribute ``snapshots`` counts what is certainly there. Zarr replaces files atomically (3.1.3 and later) and the
count is replaced after the data, so whatever a killed run left beyond the count is cut off when the store is reopened.
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
from magsim.learning.dataset import ARRAYS, FORMAT_VERSION, UNITS, SpinDataset, content_hash
from magsim.learning.npz import open_npz
from magsim.learning.validation import check_dataset

FORMAT = "magsim-dataset"
CHUNK_BYTES = 2**20
MAX_CHUNK = 64  # snapshots


def fill_value(name: str) -> float | int:
    """What an array holds where nothing was written; validation refuses it."""
    dtype = np.dtype(ARRAYS[name][0])
    return int(np.iinfo(dtype).min) if dtype.kind == "i" else float("nan")


class DatasetWriter:
    """Appends batches of labelled snapshots to a store; each :meth:`append` is one commit.

    Use :func:`open_writer`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group = open_group(path, mode="r+")
        self._arrays = {name: self._group[name] for name in ARRAYS}
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
        return int(self._group.attrs["snapshots"])

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
                raise ValueError(f"array {name!r} has shape {values.shape}, expected {(count, *array.shape[1:])}")
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
        found = open_group(path, mode="r").attrs.get("key")
        if found != key:
            raise DataError(
                path, f"holds a dataset of other settings (key {str(found)[:12]}, not {key[:12]}); give another output."
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


def open_group(path: Path, mode: str) -> zarr.Group:
    """The Zarr group of a dataset store, its format checked.

    Raises:
        DataError: not a store of this program and version.
    """
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
        attributes = dict(group.attrs)
    except Exception as error:  # zarr's errors for broken metadata are of many types
        raise DataError(path, f"not a readable Zarr v3 store: {_first_line(error)}") from error
    if attributes.get("format") != FORMAT:
        raise DataError(path, "not a magsim dataset: the attribute 'format' is not 'magsim-dataset'.")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise DataError(
            path, f"format_version is {attributes.get('format_version')}, this program reads {FORMAT_VERSION}."
        )
    for name in ("key", "lattice", "sources", "snapshots", "complete"):
        if name not in attributes:
            raise DataError(path, f"the attribute '{name}' is missing.")
    for name in ARRAYS:
        if name not in group:
            raise DataError(path, f"array '{name}' is missing or its metadata cannot be read.")
    return group


def open_dataset(path: str | Path, *, allow_incomplete: bool = False, verify: bool = True) -> SpinDataset:
    """Read and validate a dataset: a Zarr store, a folder that holds one, or an ``.npz`` file.

    An ``.npz`` file needs the arrays ``spins (n, N, 3)`` and ``field (n, N, 3)``; ``energy (n,)``, ``density (n, N)``,
    ``step (n,)`` and ``shape`` are used where present (see :func:`magsim.learning.npz.provenance` for what ``step``
    means). float32 is promoted to float64; no number is altered.

    Args:
        path: what to open.
        allow_incomplete: also read the complete batches of an unfinished store.
        verify: recompute the content hash of a complete store.

    Raises:
        DataError: one sentence with path, array and index of the first offender.
    """
    path = find_dataset(path)
    if path.is_file():
        return open_npz(path)
    group = open_group(path, mode="r")
    attributes = dict(group.attrs)
    count = int(attributes["snapshots"])
    if not attributes["complete"] and not allow_incomplete:
        raise DataError(path, f"unfinished ({count} snapshots so far); run task=label with its settings to resume it.")
    arrays = {name: _read(path, group, name, count) for name in ARRAYS}
    digest = content_hash(arrays)
    if attributes["complete"] and verify and digest != attributes.get("content_hash"):
        _blame(path, arrays, attributes["lattice"])
        raise DataError(path, "the arrays do not match the attribute 'content_hash': altered since they were written.")
    check_dataset(path, arrays, attributes["lattice"])
    _check_source(path, arrays["source"], len(attributes["sources"]))
    return SpinDataset(
        path=path,
        **arrays,
        sources=tuple(attributes["sources"]),
        lattice=attributes["lattice"],
        config=attributes.get("config", {}),
        units=attributes.get("units", dict(UNITS)),
        key=attributes["key"],
        method=attributes.get("method", ""),
        content_hash=digest,
        complete=bool(attributes["complete"]),
    )


def find_dataset(path: str | Path) -> Path:
    """The store or ``.npz`` file that a path means: itself, or the only one in that folder.

    Raises:
        DataError: nothing there, not a known format, or several candidates.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(path, "no such file or folder.")
    if path.is_file():
        if path.suffix != ".npz":
            raise DataError(path, "not a known format; give an .npz file or a Zarr store.")
        return path
    if (path / "zarr.json").exists():
        return path
    inside = sorted(p for p in path.iterdir() if p.suffix == ".npz" or (p / "zarr.json").exists())
    if len(inside) != 1:
        names = ", ".join(p.name for p in inside) or "none"
        raise DataError(path, f"neither a Zarr store nor a folder that holds exactly one dataset (found: {names}).")
    return inside[0]


def _read(path: Path, group: zarr.Group, name: str, count: int) -> np.ndarray:
    try:
        array = group[name]
        if array.shape[0] < count:
            raise DataError(path, f"array '{name}' has {array.shape[0]} of {count} snapshots.")
        return np.asarray(array[:count])
    except DataError:
        raise
    except Exception as error:  # a truncated chunk fails inside its codec, with the codec's own error
        raise DataError(path, f"array '{name}' cannot be read (corrupt chunk): {_first_line(error)}") from error


def _blame(path: Path, arrays: Mapping[str, np.ndarray], lattice: Mapping[str, Any]) -> None:
    """Name the offender behind a wrong content hash where a check can find it (a lost chunk reads as NaN)."""
    check_dataset(path, arrays, lattice)
    for name in ("trajectory", "step", "source"):
        lost = arrays[name] == fill_value(name)
        if lost.any():
            raise DataError(path, f"array '{name}' at snapshot {int(lost.argmax())} was never written.")


def _check_source(path: Path, source: np.ndarray, n_sources: int) -> None:
    bad = (source < 0) | (source >= n_sources)
    if bad.any():
        k = int(bad.argmax())
        raise DataError(path, f"array 'source' at snapshot {k} is {source[k]}, there are {n_sources} sources.")


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
