"""Datasets on disk, and one door for reading them.

A store is a Zarr group (see :mod:`magsim.zarr_store`) with one array per name of
:data:`magsim.datasets.dataset.ARRAYS` that its labeler knows, and whatever else it delivers; the attribute
``arrays`` lists them. All grow along the snapshot axis, and the attribute ``snapshots`` counts what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import (
    ARRAYS,
    FORMAT_VERSION,
    PROVENANCE,
    REQUIRED,
    UNITS,
    SpinDataset,
    content_hash,
)
from magsim.datasets.npz import open_npz
from magsim.datasets.trajectory_data import open_trajectory_dataset
from magsim.datasets.validation import check_dataset, check_learnable
from magsim.errors import DataError
from magsim.zarr_store import (
    TRAJECTORY,
    Layout,
    attributes_of,
    fill_value,
    open_store,
    read_array,
    stored_format,
)

DATASET = Layout(
    kind="dataset",
    version=FORMAT_VERSION,
    counter="snapshots",
    attributes=("key", "lattice", "sources"),
    arrays=(*REQUIRED, *PROVENANCE),
)


def open_dataset(
    path: str | Path, *, allow_incomplete: bool = False, verify: bool = True, learnable: bool = True
) -> SpinDataset:
    """Read and validate a dataset: a Zarr store, a folder that holds one, or an ``.npz`` file.

    An ``.npz`` file needs the arrays ``spins (n, N, 3)`` and ``field (n, N, 3)``; ``energy (n,)``, ``density
    (n, N)``, ``step (n,)`` and ``shape`` are used where present (see :func:`magsim.datasets.npz.provenance`
    for what ``step`` means). float32 is promoted to float64; no number is altered. A finished trajectory is
    read as the snapshots it holds, see :func:`magsim.datasets.trajectory_data.open_trajectory_dataset`.

    Args:
        path: what to open.
        allow_incomplete: also read the complete batches of an unfinished store.
        verify: recompute the content hash of a complete store.
        learnable: also refuse data without any torque and copies in several trajectories, see
            :func:`magsim.datasets.validation.check_learnable`.

    Raises:
        DataError: one sentence with path, array and index of the first offender.
    """
    path = find_dataset(path)
    if path.is_file():
        return open_npz(path, learnable=learnable)
    if stored_format(path) == TRAJECTORY.format:
        return open_trajectory_dataset(
            path, allow_incomplete=allow_incomplete, verify=verify, learnable=learnable
        )
    group = open_store(path, DATASET, "r")
    attributes = attributes_of(group)
    count = int(attributes["snapshots"])
    if not attributes["complete"] and not allow_incomplete:
        raise DataError(
            path, f"unfinished ({count} snapshots so far); run task=label with its settings to resume it."
        )
    names = attributes.get("arrays", ARRAYS)
    arrays = {name: read_array(path, group, name, count, "snapshots") for name in names}
    digest = content_hash(arrays)
    if attributes["complete"] and verify and digest != attributes.get("content_hash"):
        _blame(path, arrays, attributes["lattice"])
        raise DataError(
            path, "the arrays do not match the attribute 'content_hash': altered since they were written."
        )
    check_dataset(path, arrays, attributes["lattice"])
    _check_source(path, arrays["source"], len(attributes["sources"]))
    if learnable:
        check_learnable(path, arrays)
    return SpinDataset(
        path=path,
        **{name: array for name, array in arrays.items() if name in ARRAYS},
        extra={name: array for name, array in arrays.items() if name not in ARRAYS},
        sources=tuple(attributes["sources"]),
        lattice=attributes["lattice"],
        config=attributes.get("config", {}),
        units=attributes.get("units", dict(UNITS)),
        key=attributes["key"],
        method=attributes.get("method", ""),
        dt=attributes.get("dt"),
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


def _blame(path: Path, arrays: Mapping[str, np.ndarray], lattice: Mapping[str, Any]) -> None:
    """Name the offender behind a wrong content hash where a check can find it (a lost chunk reads as NaN)."""
    check_dataset(path, arrays, lattice)
    for name in PROVENANCE:
        lost = arrays[name] == fill_value(arrays[name].dtype)
        if lost.any():
            raise DataError(path, f"array '{name}' at snapshot {int(lost.argmax())} was never written.")


def _check_source(path: Path, source: np.ndarray, n_sources: int) -> None:
    bad = (source < 0) | (source >= n_sources)
    if bad.any():
        k = int(bad.argmax())
        raise DataError(
            path, f"array 'source' at snapshot {k} is {source[k]}, there are {n_sources} sources."
        )
