"""Spin configurations out of any file that holds some: ``.npz``, a dataset or a trajectory store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from magsim.datasets.npz import npz_lattice, provenance, read_npz
from magsim.datasets.store import find_dataset
from magsim.datasets.validation import check_lattice, check_spins
from magsim.errors import DataError


@dataclass(frozen=True, eq=False)
class Configurations:
    """Spins without labels.

    Attributes:
        path: where they were read from.
        spins: ``(n, N, 3)`` float64.
        trajectory, step: ``(n,)``.
        lattice: ``{"name", "shape", "boundary"}`` (name and boundary may be None), or None if unknown.
    """

    path: Path
    spins: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    lattice: dict[str, Any] | None

    def content_hash(self) -> str:
        """sha256 of spins, trajectories and steps."""
        digest = hashlib.sha256(str(self.spins.shape).encode())
        for array, dtype in ((self.spins, "<f8"), (self.trajectory, "<i4"), (self.step, "<i4")):
            digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
        return digest.hexdigest()


def read_configurations(path: str | Path) -> Configurations:
    """The array ``spins`` of a file, validated, with trajectories and steps where the file tells them.

    An ``.npz`` file or a dataset holds ``(n, N, 3)``; a trajectory store ``(frames, replicas, N, 3)``, which
    is read frame by frame, each replica a trajectory.

    Raises:
        DataError: missing array, wrong shape, non-finite or non-unit spins, unreadable file.
    """
    path = find_dataset(path)
    raw, lattice = _raw_npz(path) if path.is_file() else _raw_zarr(path)
    if "spins" not in raw:
        raise DataError(path, f"array 'spins' is missing; there are: {', '.join(sorted(raw)) or 'none'}.")
    spins = raw["spins"]
    if spins.ndim == 4:
        frames, replicas = spins.shape[:2]
        step = np.repeat(raw["step"] if "step" in raw else np.arange(frames), replicas)
        origin = {"trajectory": np.tile(np.arange(replicas), frames), "step": step}
        spins = spins.reshape(-1, *spins.shape[2:])
    else:
        origin = provenance(len(spins) if spins.ndim else 0, raw.get("step"), raw.get("trajectory"))
    check_spins(path, spins)
    for name in ("trajectory", "step"):
        if origin[name].shape != spins.shape[:1]:
            raise DataError(
                path, f"array '{name}' has shape {origin[name].shape}, must be {spins.shape[:1]}."
            )
    check_lattice(path, spins.shape[1], lattice)
    return Configurations(path, spins.astype(np.float64), origin["trajectory"], origin["step"], lattice)


def _raw_npz(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    raw = read_npz(path)
    return raw, npz_lattice(path, raw)


def _raw_zarr(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    try:
        group: Any = zarr.open_group(path, mode="r")
        # a killed writer may have left more than it counts
        count = group.attrs.get("snapshots", group.attrs.get("frames"))
        wanted = [name for name in ("spins", "step", "trajectory") if name in group]
        raw = {name: np.asarray(group[name][:count]) for name in wanted}
    except Exception as error:  # zarr's errors for broken stores are of many types
        raise DataError(path, f"not a readable Zarr store: {type(error).__name__}: {error}") from error
    lattice = group.attrs.get("lattice")
    return raw, dict(lattice) if isinstance(lattice, dict) and "shape" in lattice else None
