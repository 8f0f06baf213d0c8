"""Writing a trajectory, one frame at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from magsim.arrays import to_numpy
from magsim.dynamics.trajectory import PER_FRAME, read_frame
from magsim.errors import DataError
from magsim.zarr_store import (
    TRAJECTORY,
    ArraySpec,
    GrowingStore,
    create_store,
    first_hash,
    holds_key,
    next_hash,
    read_rows,
)

UNITS = {
    "spins": "1",
    "field": "hopping",
    "energy": "hopping, total per replica",
    "time": "1/hopping",
    "temperature": "hopping",
    "step": "time steps",
}
AXES = {
    "spins": ("replica", "site", "component"),
    "field": ("replica", "site", "component"),
    "energy": ("replica",),
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
    def field(self) -> Any: ...
    @property
    def energy(self) -> Any: ...
    @property
    def temperature(self) -> float: ...


class TrajectoryWriter(GrowingStore):
    """Appends frames to a store; each :meth:`append` is one commit. Use :func:`open_trajectory_writer`."""

    layout = TRAJECTORY

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

    def last_torque(self) -> float:
        """``max_i |S_i x F_i|`` over the replicas of the last frame.

        Raises:
            DataError: there is no frame, or it cannot be read back as it was written.
        """
        spins = self.last_spins()
        field = read_rows(self.path, "field", self._arrays["field"], len(self) - 1)
        return float(np.linalg.norm(np.cross(spins, field), axis=-1).max())

    def append(self, frame: FrameLike) -> None:
        """Append one frame; committed on return.

        Raises:
            ValueError: its shape differs from the store's, or its step is not after the last one.
        """
        rows = {
            name: to_numpy(getattr(frame, name)).astype(array.dtype, copy=False)
            if name in AXES
            else np.asarray(getattr(frame, name), dtype=array.dtype)
            for name, array in self._arrays.items()
        }
        for name, array in self._arrays.items():
            if rows[name].shape != array.shape[1:]:
                raise ValueError(f"{name} has shape {rows[name].shape}, the store needs {array.shape[1:]}.")
        last = self.last_step
        if last is not None and frame.step <= last:
            raise ValueError(f"step {frame.step} is not after the last frame of {self.path}.")
        before = str(self.attributes["chain"])
        self._commit(
            {k: row[None] for k, row in rows.items()}, 1, chain=next_hash(before, rows), chain_before=before
        )

    def drop_last(self) -> None:
        """Take back the last frame, once: the end of a run that goes on, off its recording stride.

        Raises:
            DataError: there is no frame, or the one before was taken back already.
        """
        before = self.attributes["chain_before"]
        if not len(self) or before is None:
            raise DataError(self.path, "has no last frame to take back.")
        self.note(frames=len(self) - 1, chain=before, chain_before=None, complete=False, content_hash=None)
        self._discard_uncommitted()

    def finish(self) -> str:
        """Seal the store with its content hash, which is returned."""
        digest = str(self.attributes["chain"])
        self.note(complete=True, content_hash=digest)
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
    conservative: bool = True,
) -> TrajectoryWriter:
    """Create a store, or reopen the one of the same key at its last complete frame.

    Args:
        path: folder of the store; its parents are made.
        key: hash of what determines the trajectory.
        replicas, n_sites: R, N.
        lattice: ``{"name", "shape", "boundary"}``.
        seed: of the run.
        config: resolved configuration, JSON types only; ``dt`` is the time step that is used.
        parents: content hashes of what it was made with, e.g. ``{"model": ...}``.
        conservative: whether the field has an energy; without one, NaN is allowed for it.

    Raises:
        DataError: something else is at ``path``, or a trajectory of another key.
    """
    path = Path(path)
    if not holds_key(path, TRAJECTORY, key):
        attributes = {
            "key": key,
            "lattice": dict(lattice),
            "seed": seed,
            "config": dict(config),
            "parents": dict(parents or {}),
            "units": dict(UNITS),
            "conservative": conservative,
            "chain": first_hash(key),
            "chain_before": None,
        }
        size = {"replica": replicas, "site": n_sites, "component": 3}
        specs = {}
        for name in TRAJECTORY.arrays:
            axes = AXES.get(name, ())
            dtype = np.dtype("i8" if name == "step" else "f8")
            chunk = 1 if name in PER_FRAME else SERIES_CHUNK
            specs[name] = ArraySpec(dtype, tuple(size[axis] for axis in axes), axes, chunk)
        create_store(path, TRAJECTORY, attributes, specs)
    return TrajectoryWriter(path)
