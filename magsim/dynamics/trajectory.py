"""Trajectories on disk: Zarr v3 stores that grow frame by frame and survive a kill at any moment.

Arrays: ``spins`` (frames, replicas, N, 3), ``energy`` (frames, replicas), ``step``, ``time`` and
``temperature`` (frames,). The attribute ``frames`` counts what is certainly there. The content hash is a
chain, ``h_k = sha256(h_(k-1), frame k)``, so that it grows with the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from magsim.errors import DataError

FORMAT = "magsim-trajectory"
FORMAT_VERSION = 1
ARRAYS = ("spins", "energy", "step", "time", "temperature")
UNIT_LENGTH_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A trajectory on disk; the small arrays are in memory, spins are read frame by frame.

    Attributes:
        path: the store.
        step, time, temperature: ``(frames,)``.
        energy: ``(frames, R)`` total energy of each replica.
        attributes: lattice, seed, config, parents, units, key, complete, content_hash.
    """

    path: Path
    step: np.ndarray
    time: np.ndarray
    temperature: np.ndarray
    energy: np.ndarray
    attributes: dict[str, Any]
    _spins: Any

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
    group = open_group(path, mode="r")
    attributes = dict(group.attrs)
    count = int(attributes["frames"])  # type: ignore[arg-type]
    arrays: dict[str, Any] = {name: group[name] for name in ARRAYS}
    series: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.shape[0] < count:
            raise DataError(path, f"array '{name}' has {array.shape[0]} of {count} frames.")
        if name != "spins":
            series[name] = _read(path, name, array, slice(0, count))
            if not np.isfinite(series[name]).all():
                k = int(np.argwhere(~np.isfinite(series[name]))[0][0])
                raise DataError(path, f"array '{name}' at frame {k} is not finite.")
    if (np.diff(series["step"], prepend=-1) <= 0).any():
        k = int(np.argmax(np.diff(series["step"], prepend=-1) <= 0))
        raise DataError(path, f"array 'step' at frame {k} is {series['step'][k]}: the steps must increase.")
    trajectory = Trajectory(path, attributes=attributes, _spins=arrays["spins"], **series)
    if verify:
        chain = first_hash(str(attributes["key"]))
        for k, spins in enumerate(trajectory):
            chain = next_hash(chain, {"spins": spins, **{n: a[k] for n, a in series.items()}}, arrays)
        if chain != attributes["chain"]:
            raise DataError(
                path, "the arrays do not match their content hash: altered since they were written."
            )
    return trajectory


def read_frame(path: Path, array: Any, k: int) -> np.ndarray:
    """Spins of one frame, checked: finite and of unit length (a lost chunk reads as NaN)."""
    spins = _read(path, "spins", array, k)
    good = np.abs(np.linalg.norm(spins, axis=-1) - 1) <= UNIT_LENGTH_TOLERANCE
    if not good.all():
        replica, site = (int(n) for n in np.argwhere(~good)[0])
        raise DataError(
            path, f"array 'spins' at frame {k}, replica {replica}, site {site} is not a unit vector."
        )
    return spins


def _read(path: Path, name: str, array: Any, index: Any) -> np.ndarray:
    try:
        return np.asarray(array[index])
    except Exception as error:  # a truncated chunk fails inside its codec, with the codec's own error
        raise DataError(
            path, f"array '{name}' cannot be read (corrupt chunk): {type(error).__name__}."
        ) from error


def open_group(path: Path, mode: Any) -> zarr.Group:
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
        attributes = dict(group.attrs)
    except Exception as error:  # zarr's errors for broken metadata are of many types
        raise DataError(path, f"not a readable Zarr v3 store ({type(error).__name__}).") from error
    if attributes.get("format") != FORMAT:
        raise DataError(path, f"not a magsim trajectory: the attribute 'format' is not '{FORMAT}'.")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise DataError(
            path,
            f"format_version is {attributes.get('format_version')}, this program reads {FORMAT_VERSION}.",
        )
    missing = [name for name in ("key", "frames", "chain", "lattice") if name not in attributes]
    missing += [name for name in ARRAYS if name not in group]
    if missing:
        raise DataError(path, f"'{missing[0]}' is missing or cannot be read.")
    return group


def first_hash(key: str) -> str:
    """Content hash of a trajectory without frames."""
    return hashlib.sha256(key.encode()).hexdigest()


def next_hash(previous: str, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """Content hash of a trajectory with one more frame, ``h_k = sha256(h_(k-1), frame k)``."""
    digest = hashlib.sha256(previous.encode())
    for name in ARRAYS:
        digest.update(np.ascontiguousarray(values[name], dtype=arrays[name].dtype).tobytes())
    return digest.hexdigest()
