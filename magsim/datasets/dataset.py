"""Labelled spin configurations in memory: one name, shape and unit for every array."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any

import numpy as np

FORMAT_VERSION = 1
ROWS = 256  # snapshots that are hashed at a time

# name -> (dtype, axes after the snapshot axis); N = sites
ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "spins": ("<f8", ("N", "3")),
    "field": ("<f8", ("N", "3")),
    "energy": ("<f8", ()),
    "density": ("<f8", ("N",)),
    "mu": ("<f8", ()),
    "error": ("<f8", ()),
    "wall_time": ("<f8", ()),
    "trajectory": ("<i4", ()),
    "step": ("<i4", ()),
    "source": ("<i1", ()),
}
REQUIRED = ("spins", "field")
PROVENANCE = ("trajectory", "step", "source")
# what a label cost differs from run to run and is not content
HASHED = tuple(name for name in ARRAYS if name != "wall_time")

UNITS = {
    "spins": "1",
    "field": "t",
    "energy": "t, total of the lattice",
    "density": "electrons per site",
    "mu": "t",
    "error": "t, estimate of the largest error of a field component",
    "wall_time": "s per snapshot",
    "step": "integrator steps",
}


@dataclass(frozen=True, eq=False)
class SpinDataset:
    """n labelled snapshots of N spins.

    Attributes:
        path: where they were read from.
        spins: ``(n, N, 3)`` unit vectors, exactly as stored (promoted to float64).
        field: ``(n, N, 3)`` ``F_i = -dE/dS_i``.
        trajectory: ``(n,)`` which trajectory a snapshot belongs to; independent snapshots have one each.
        step: ``(n,)`` integrator step within the trajectory.
        source: ``(n,)`` index into ``sources``.
        sources: names of the samplers, e.g. ``("random", "quench")``.
        energy, mu, error, wall_time: ``(n,)``, or None where there is none (a driven system has no energy).
        density: ``(n, N)`` electrons per site, or None.
        extra: further arrays ``(n, ...)`` of the labeler, by name.
        lattice: ``{"name", "shape", "boundary"}``; name and boundary are None for ``.npz``; None if unknown.
        config: the resolved configuration that made it.
        units: unit of each array.
        key: hash of what determines the content (of the file itself for ``.npz``).
        method: of the labeler.
        dt: time step of the dynamics that made the trajectories; None if unknown or not from dynamics.
        content_hash: sha256 of the array contents, see :func:`content_hash`.
        complete: False only where an unfinished store was opened on purpose.
    """

    path: Path
    spins: np.ndarray
    field: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    source: np.ndarray
    sources: tuple[str, ...]
    energy: np.ndarray | None = None
    density: np.ndarray | None = None
    mu: np.ndarray | None = None
    error: np.ndarray | None = None
    wall_time: np.ndarray | None = None
    extra: dict[str, np.ndarray] = default(default_factory=dict)
    lattice: dict[str, Any] | None = None
    config: dict[str, Any] = default(default_factory=dict)
    units: dict[str, str] = default(default_factory=lambda: dict(UNITS))
    key: str = ""
    method: str = ""
    dt: float | None = None
    content_hash: str = ""
    complete: bool = True

    def __len__(self) -> int:
        return len(self.spins)

    @property
    def n_sites(self) -> int:
        return self.spins.shape[1]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of :data:`ARRAYS` that are present, by name."""
        return {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}

    @property
    def voltage(self) -> np.ndarray | None:
        """``(n,)`` bias eV of each snapshot: the extra array of that name, else that of the Hamiltonian that
        labelled them; None where neither is known."""
        if "voltage" in self.extra:
            return np.asarray(self.extra["voltage"], dtype=np.float64)
        known = (self.config.get("hamiltonian") or {}).get("voltage")
        return None if known is None else np.full(len(self), float(known))

    @property
    def source_names(self) -> np.ndarray:
        """``(n,)`` name of the source of each snapshot."""
        return np.array(self.sources)[self.source]


def content_hash(arrays: Mapping[str, Any]) -> str:
    """sha256 over names, shapes and values of the arrays, in canonical dtype and order.

    It depends on the numbers alone: not on chunks, compression, file format or the time a label took.

    Args:
        arrays: anything that slices like an array along the snapshot axis; extra arrays among them.
    """
    digest = hashlib.sha256()
    extra = sorted(name for name in arrays if name not in ARRAYS)
    for name in (*(name for name in HASHED if name in arrays), *extra):
        array = arrays[name]
        dtype = np.dtype(ARRAYS[name][0]) if name in ARRAYS else np.dtype(array.dtype).newbyteorder("<")
        digest.update(f"{name} {dtype.str} {tuple(array.shape)};".encode())
        for start in range(0, array.shape[0], ROWS):
            digest.update(np.ascontiguousarray(array[start : start + ROWS], dtype=dtype).tobytes())
    return digest.hexdigest()


def snapshot_hashes(spins: np.ndarray) -> np.ndarray:
    """One digest for each configuration, to find the same one in several datasets.

    Numbers are compared as float32: a file in single precision and the store it was made from agree, and what
    a network sees is the same.

    Args:
        spins: ``(n, N, 3)``.

    Returns:
        ``(n,)`` strings of 16 hexadecimal digits.
    """
    single = np.asarray(spins, dtype="<f4") + np.float32(0)  # -0 is 0
    return np.array(
        [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in single], dtype="U16"
    )
