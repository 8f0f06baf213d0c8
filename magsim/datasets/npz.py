"""Reading ``.npz`` files: published or home-made snapshots."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import ARRAYS, SpinDataset, content_hash
from magsim.datasets.validation import check_dataset, check_learnable
from magsim.errors import DataError

READ_ERRORS = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file.

    Raises:
        DataError: not a readable ``.npz`` file, or one that holds pickled objects.
    """
    if path.stat().st_size == 0:
        raise DataError(path, "the file is empty.")
    with path.open("rb") as file:
        array = file.read(6) == b"\x93NUMPY"
    if not array and not zipfile.is_zipfile(path):  # NumPy would take it for a pickle, and say how to load it
        raise DataError(path, "not a readable .npz file: truncated, or no zip archive at all.")
    try:
        file = np.load(path, allow_pickle=False)
    except READ_ERRORS as error:
        raise DataError(path, f"not a readable .npz file (corrupt or truncated): {error}.") from error
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise DataError(path, "the file is a single .npy array; an .npz file with named arrays is needed.")
    arrays = {}
    with file:
        for name in file.files:
            try:
                arrays[name] = file[name]
            except READ_ERRORS as error:
                raise DataError(path, f"array '{name}' cannot be read (corrupt): {error}.") from error
    return arrays


def file_hash(path: Path) -> str:
    """sha256 of the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def npz_lattice(path: Path, raw: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """The lattice shape of a file, if it has the array ``shape``."""
    if "shape" not in raw:
        return None
    shape = raw["shape"]
    if shape.ndim != 1 or shape.dtype.kind not in "iu":
        raise DataError(
            path, f"array 'shape' must be a list of whole numbers, found {shape.dtype} {shape.shape}."
        )
    return {"name": None, "shape": [int(n) for n in shape], "boundary": None}


def provenance(n: int, step: np.ndarray | None, trajectory: np.ndarray | None = None) -> dict[str, Any]:
    """Trajectory, step and source of the ``n`` snapshots of a file.

    With ``trajectory``: as given (source "file"). With ``step`` alone: negative steps mark independent random
    configurations, each its own trajectory (source "random"); the others are one quench (source "quench").
    With neither: every snapshot is its own trajectory (source "file").
    """
    zeros = np.zeros(n, dtype=np.int32)
    if trajectory is not None or step is None:
        own = np.arange(n, dtype=np.int32)
        return {
            "trajectory": own if trajectory is None else trajectory,
            "step": zeros if step is None else step,
            "source": zeros,
            "sources": ("file",),
        }
    random = step < 0
    return {
        "trajectory": np.where(random, np.cumsum(random), 0),
        "step": step,
        "source": np.where(random, 0, 1),
        "sources": ("random", "quench"),
    }


def open_npz(path: Path, *, learnable: bool = True) -> SpinDataset:
    """A validated dataset from the arrays ``spins``, ``field`` and, where present, ``energy``, ``density``,
    ``mu``, ``error``, ``step``, ``trajectory``, ``shape``, ``voltage`` (one number, or one for each
    snapshot). Other arrays are left alone.

    Raises:
        DataError: see :func:`magsim.datasets.validation.check_dataset` and, if ``learnable``,
            :func:`magsim.datasets.validation.check_learnable`.
    """
    raw = read_npz(path)
    arrays = {name: raw[name] for name in ARRAYS if name in raw and name != "source"}
    lattice = npz_lattice(path, raw)
    extra = {} if "voltage" not in raw else {"voltage": _voltages(path, raw["voltage"], len(raw["spins"]))}
    check_dataset(path, arrays | extra, lattice)
    origin = provenance(len(arrays["spins"]), arrays.pop("step", None), arrays.pop("trajectory", None))
    sources = origin.pop("sources")
    if learnable:
        check_learnable(path, {**arrays, **origin})
    typed = {name: array.astype(ARRAYS[name][0]) for name, array in {**arrays, **origin}.items()}
    return SpinDataset(
        path=path,
        **typed,
        extra=extra,
        sources=sources,
        lattice=lattice,
        key=file_hash(path),
        content_hash=content_hash(typed | extra),
    )


def _voltages(path: Path, voltage: np.ndarray, n: int) -> np.ndarray:
    """``(n,)`` of what a file says."""
    if voltage.dtype.kind not in "fiu" or voltage.shape not in ((), (1,), (n,)):
        words = f"array 'voltage' must be one number or one for each of the {n} snapshots"
        raise DataError(path, f"{words}, found {voltage.dtype} {voltage.shape}.")
    return np.broadcast_to(voltage.astype(np.float64), (n,)).copy()
