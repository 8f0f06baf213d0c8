"""Datasets on disk: Zarr v3 stores that survive a kill at any moment, and one door for reading.

A store is a Zarr group with one array per name of :data:`magsim.learning.dataset.ARRAYS`, growing along the
snapshot axis. Its attribute ``snapshots`` counts what is certainly there. Zarr replaces files atomically
(3.1.3 and later) and the count is replaced after the data, so whatever a killed run left beyond the count is
cut off when the store is reopened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr

from magsim.errors import DataError
from magsim.learning.dataset import ARRAYS, FORMAT_VERSION, UNITS, SpinDataset, content_hash
from magsim.learning.npz import open_npz
from magsim.learning.validation import check_dataset

FORMAT = "magsim-dataset"


def fill_value(name: str) -> float | int:
    """What an array holds where nothing was written; validation refuses it."""
    dtype = np.dtype(ARRAYS[name][0])
    return int(np.iinfo(dtype).min) if dtype.kind == "i" else float("nan")


def attributes_of(group: zarr.Group) -> dict[str, Any]:
    """The attributes of a store, as plain Python objects."""
    return cast("dict[str, Any]", dict(group.attrs))


def open_group(path: Path, mode: Literal["r", "r+"]) -> zarr.Group:
    """The Zarr group of a dataset store, its format checked.

    Raises:
        DataError: not a store of this program and version.
    """
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
        attributes = attributes_of(group)
    except Exception as error:  # zarr's errors for broken metadata are of many types
        raise DataError(path, f"not a readable Zarr v3 store: {_first_line(error)}") from error
    if attributes.get("format") != FORMAT:
        raise DataError(path, "not a magsim dataset: the attribute 'format' is not 'magsim-dataset'.")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise DataError(
            path,
            f"format_version is {attributes.get('format_version')}, this program reads {FORMAT_VERSION}.",
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

    An ``.npz`` file needs the arrays ``spins (n, N, 3)`` and ``field (n, N, 3)``; ``energy (n,)``, ``density
    (n, N)``, ``step (n,)`` and ``shape`` are used where present (see :func:`magsim.learning.npz.provenance`
    for what ``step`` means). float32 is promoted to float64; no number is altered.

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
    attributes = attributes_of(group)
    count = int(attributes["snapshots"])
    if not attributes["complete"] and not allow_incomplete:
        raise DataError(
            path, f"unfinished ({count} snapshots so far); run task=label with its settings to resume it."
        )
    arrays = {name: _read(path, group, name, count) for name in ARRAYS}
    digest = content_hash(arrays)
    if attributes["complete"] and verify and digest != attributes.get("content_hash"):
        _blame(path, arrays, attributes["lattice"])
        raise DataError(
            path, "the arrays do not match the attribute 'content_hash': altered since they were written."
        )
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
        raise DataError(
            path, f"neither a Zarr store nor a folder that holds exactly one dataset (found: {names})."
        )
    return inside[0]


def _read(path: Path, group: zarr.Group, name: str, count: int) -> np.ndarray:
    try:
        array: Any = group[name]
        if array.shape[0] < count:
            raise DataError(path, f"array '{name}' has {array.shape[0]} of {count} snapshots.")
        return np.asarray(array[:count])
    except DataError:
        raise
    except Exception as error:  # a truncated chunk fails inside its codec, with the codec's own error
        raise DataError(
            path, f"array '{name}' cannot be read (corrupt chunk): {_first_line(error)}"
        ) from error


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
        raise DataError(
            path, f"array 'source' at snapshot {k} is {source[k]}, there are {n_sources} sources."
        )


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
