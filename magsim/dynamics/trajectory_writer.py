"""Writing a trajectory, one frame at a time.

Zarr replaces files atomically (3.1.3 and later) and the count of frames is replaced after the data, so
whatever a killed run left beyond the count is cut off when the store is reopened.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr

from magsim.arrays import to_numpy
from magsim.dynamics.trajectory import (
    ARRAYS,
    FORMAT,
    FORMAT_VERSION,
    first_hash,
    next_hash,
    open_group,
    read_frame,
)
from magsim.errors import DataError

UNITS = {
    "spins": "1",
    "energy": "hopping, total per replica",
    "time": "1/hopping",
    "temperature": "hopping",
    "step": "time steps",
}
SERIES_CHUNK = 256  # frames per chunk of the small arrays


class FrameLike(Protocol):
    """What a writer stores of a frame (:class:`magsim.dynamics.Frame` is one)."""

    @property
    def step(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def spins(self) -> Any: ...
    @property
    def energy(self) -> Any: ...
    @property
    def temperature(self) -> float: ...


class TrajectoryWriter:
    """Appends frames to a store; each :meth:`append` is one commit. Use :func:`open_trajectory_writer`."""

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
                raise DataError(self.path, f"array '{name}' has {array.shape[0]} of {len(self)} frames.")
            if array.shape[0] > len(self):
                array.resize((len(self), *array.shape[1:]))

    def __len__(self) -> int:
        """Number of frames that are certainly on disk."""
        return int(self._group.attrs["frames"])  # type: ignore[arg-type]

    @property
    def complete(self) -> bool:
        return bool(self._group.attrs["complete"])

    @property
    def last_step(self) -> int | None:
        """Step of the last frame; None if there is none."""
        return int(self._arrays["step"][len(self) - 1]) if len(self) else None

    def last_spins(self) -> np.ndarray:
        """Spins ``(R, N, 3)`` of the last frame, from which the run continues bit by bit.

        Raises:
            DataError: there is no frame, or it cannot be read back as it was written.
        """
        if not len(self):
            raise DataError(self.path, "holds no frame to continue from.")
        return read_frame(self.path, self._arrays["spins"], len(self) - 1)

    def append(self, frame: FrameLike) -> None:
        """Append one frame; committed on return.

        Raises:
            ValueError: its shape differs from the store's, or its step is not after the last one.
        """
        k = len(self)
        values = {
            "spins": to_numpy(frame.spins),
            "energy": to_numpy(frame.energy),
            "step": np.asarray(frame.step),
            "time": np.asarray(frame.time),
            "temperature": np.asarray(frame.temperature),
        }
        for name, array in self._arrays.items():
            if values[name].shape != array.shape[1:]:
                raise ValueError(f"{name} has shape {values[name].shape}, the store needs {array.shape[1:]}.")
        if k and frame.step <= int(self._arrays["step"][k - 1]):
            raise ValueError(f"step {frame.step} is not after the last frame of {self.path}.")
        for name, array in self._arrays.items():
            array.resize((k + 1, *array.shape[1:]))
            array[k] = values[name].astype(array.dtype, copy=False)
        chain = next_hash(str(self._group.attrs["chain"]), values, self._arrays)
        # one file, replaced at once: attrs.update would write it once per name
        before = str(self._group.attrs["chain"])
        progress = {"frames": k + 1, "chain": chain, "chain_before": before}
        self._group.update_attributes({**progress, "complete": False, "content_hash": None})

    def drop_last(self) -> None:
        """Take back the last frame, once: the end of a run that goes on, off its recording stride.

        Raises:
            DataError: there is no frame, or the one before was taken back already.
        """
        if not len(self) or self._group.attrs["chain_before"] is None:
            raise DataError(self.path, "has no last frame to take back.")
        progress = {"frames": len(self) - 1, "chain": self._group.attrs["chain_before"], "chain_before": None}
        self._group.update_attributes({**progress, "complete": False, "content_hash": None})
        self._discard_uncommitted()

    def finish(self) -> str:
        """Seal the store with its content hash, which is returned."""
        digest = str(self._group.attrs["chain"])
        self._group.update_attributes({"complete": True, "content_hash": digest})
        return digest


def open_trajectory_writer(
    path: str | Path,
    *,
    key: str,
    replicas: int,
    n_sites: int,
    lattice: Mapping[str, Any],
    seed: int,
    config: Mapping[str, Any],
    parents: Mapping[str, str] | None = None,
    units: Mapping[str, str] = UNITS,
) -> TrajectoryWriter:
    """Create a store, or reopen the one of the same key at its last complete frame.

    Args:
        path: folder of the store; its parents are made.
        key: hash of what determines the trajectory.
        replicas, n_sites: R, N.
        lattice: ``{"name", "shape", "boundary"}``.
        seed: of the run.
        config: resolved configuration, JSON types only.
        parents: content hashes of what it was made with, e.g. ``{"model": ...}``.
        units: unit of each array.

    Raises:
        DataError: something else is at ``path``, or a trajectory of another key.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        found = str(open_group(path, mode="r").attrs.get("key"))
        if found != key:
            keys = f"key {found[:12]}, not {key[:12]}"
            raise DataError(path, f"holds a trajectory of other settings ({keys}); give another output.")
        return TrajectoryWriter(path)
    attributes: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "key": key,
        "lattice": dict(lattice),
        "seed": seed,
        "config": dict(config),
        "parents": dict(parents or {}),
        "units": dict(units),
        "frames": 0,
        "chain": first_hash(key),
        "chain_before": None,
        "complete": False,
        "content_hash": None,
    }
    _create(path, replicas, n_sites, attributes)
    return TrajectoryWriter(path)


def _create(path: Path, replicas: int, n_sites: int, attributes: dict[str, Any]) -> None:
    """Make an empty store elsewhere and move it into place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    axes = {"spins": ("replica", "site", "component"), "energy": ("replica",)}
    size = {"replica": replicas, "site": n_sites, "component": 3}
    try:
        group = zarr.create_group(temporary, zarr_format=3, attributes=attributes)
        for name in ARRAYS:
            tail = tuple(size[axis] for axis in axes.get(name, ()))
            dtype = np.dtype("i8" if name == "step" else "f8")
            group.create_array(
                name,
                shape=(0, *tail),
                chunks=(1 if name == "spins" else SERIES_CHUNK, *tail),
                dtype=dtype,
                fill_value=-1 if name == "step" else float("nan"),
                dimension_names=("frame", *axes.get(name, ())),
            )
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
