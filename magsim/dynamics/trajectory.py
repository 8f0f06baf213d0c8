"""Trajectories on disk: Zarr v3 stores that grow frame by frame and survive a kill at any moment.

Arrays: ``spins`` and ``field`` (frames, replicas, N, 3), ``energy`` (frames, replicas), ``step``, ``time``
and ``temperature`` (frames,). The attribute ``frames`` counts what is certainly there. The content hash is a
chain, ``h_k = sha256(h_(k-1), frame k)``, so that it grows with the store. :func:`magsim.open_dataset` reads
a trajectory as labelled snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magsim.errors import DataError
from magsim.zarr_store import (
    TRAJECTORY,
    attributes_of,
    first_hash,
    next_hash,
    open_store,
    read_array,
    read_rows,
)

FORMAT_VERSION = TRAJECTORY.version
PER_FRAME = ("spins", "field")  # read frame by frame
UNIT_LENGTH_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A trajectory on disk; the small arrays are in memory, spins and fields are read frame by frame.

    Attributes:
        path: the store.
        step, time, temperature: ``(frames,)``.
        energy: ``(frames, R)`` total energy of each replica; NaN where the field has none (the attribute
            ``conservative`` is False).
        attributes: lattice, seed, config, parents, units, key, conservative, complete, content_hash.
    """

    path: Path
    step: np.ndarray
    time: np.ndarray
    temperature: np.ndarray
    energy: np.ndarray
    attributes: dict[str, Any]
    _spins: Any
    _field: Any

    def __len__(self) -> int:
        return len(self.step)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, replicas, N, 3)."""
        return (len(self), *self._spins.shape[1:])

    def spins(self, frame: int) -> np.ndarray:
        """``(R, N, 3)`` of one frame; negative numbers count from the end.

        Raises:
            IndexError: no such frame.
            DataError: the chunk is lost or corrupt.
        """
        k = range(len(self))[frame]
        return read_frame(self.path, self._spins, k)

    def field(self, frame: int) -> np.ndarray:
        """The effective field ``(R, N, 3)`` at the spins of one frame.

        Raises:
            IndexError: no such frame.
            DataError: the chunk is lost or corrupt.
        """
        k = range(len(self))[frame]
        field = read_rows(self.path, "field", self._field, k)
        if not np.isfinite(field).all():
            replica, site = (int(n) for n in np.argwhere(~np.isfinite(field))[0][:2])
            raise DataError(
                self.path, f"array 'field' at frame {k}, replica {replica}, site {site} is not finite."
            )
        return field

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.spins(k) for k in range(len(self)))

    def all_spins(self) -> np.ndarray:
        """``(frames, R, N, 3)`` in memory."""
        return np.stack(list(self)) if len(self) else np.empty(self.shape)


def open_trajectory(path: str | Path, *, verify: bool = False) -> Trajectory:
    """Open a trajectory, finished or not (only its complete frames are seen).

    Args:
        path: the store.
        verify: read everything and recompute the content hash.

    Raises:
        DataError: not such a store, lost or corrupt chunks, or arrays altered since they were written.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(path, "no such trajectory.")
    group = open_store(path, TRAJECTORY, "r")
    attributes = attributes_of(group)
    count = int(attributes["frames"])
    series = {
        name: read_array(path, group, name, count, "frames")
        for name in TRAJECTORY.arrays
        if name not in PER_FRAME
    }
    _check_series(path, series, bool(attributes.get("conservative", True)))
    big: dict[str, Any] = {f"_{name}": group[name] for name in PER_FRAME}
    for name, array in big.items():
        if array.shape[0] < count:
            raise DataError(path, f"array '{name[1:]}' has {array.shape[0]} of {count} frames.")
    trajectory = Trajectory(path, attributes=attributes, **series, **big)
    if verify:
        chain = first_hash(str(attributes["key"]))
        for k in range(count):
            frame = {name: array[k] for name, array in series.items()}
            chain = next_hash(chain, {"spins": trajectory.spins(k), "field": trajectory.field(k), **frame})
        if chain != attributes["chain"]:
            raise DataError(
                path, "the arrays do not match their content hash: altered since they were written."
            )
    return trajectory


def _check_series(path: Path, series: dict[str, np.ndarray], conservative: bool) -> None:
    """Finite numbers (but for an energy that does not exist) and steps that increase."""
    for name, values in series.items():
        good = np.isfinite(values)
        if not good.all() and (name != "energy" or conservative):
            k = int(np.argwhere(~good)[0][0])
            raise DataError(path, f"array '{name}' at frame {k} is not finite.")
    step = series["step"]
    bad = np.concatenate([step[:1] < 0, step[1:] <= step[:-1]])
    if bad.any():
        k = int(bad.argmax())
        raise DataError(path, f"array 'step' at frame {k} is {step[k]}: the steps must increase.")


def read_frame(path: Path, array: Any, k: int) -> np.ndarray:
    """Spins of one frame, checked: finite and of unit length (a lost chunk reads as NaN)."""
    spins = read_rows(path, "spins", array, k)
    good = np.abs(np.linalg.norm(spins, axis=-1) - 1) <= UNIT_LENGTH_TOLERANCE
    if not good.all():
        replica, site = (int(n) for n in np.argwhere(~good)[0])
        raise DataError(
            path, f"array 'spins' at frame {k}, replica {replica}, site {site} is not a unit vector."
        )
    return spins
