"""Zarr v3 stores that grow along their first axis and survive a kill at any moment.

Zarr replaces files atomically (3.1.3 and later). One attribute counts the rows that are certainly there; it
is replaced after the data, so whatever a killed writer left beyond the count is cut off when the store is
reopened.
Both kinds of stores of this program, datasets and trajectories, are written and read through this module.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr

from magsim.errors import DataError


@dataclass(frozen=True)
class Layout:
    """What distinguishes one kind of store from another.

    Attributes:
        kind: ``"dataset"`` or ``"trajectory"``; the attribute ``format`` is ``magsim-<kind>``.
        version: the attribute ``format_version``.
        counter: the attribute that counts the rows, ``"snapshots"`` or ``"frames"``.
        attributes: others that must be there.
        arrays: that must be there.
    """

    kind: str
    version: int
    counter: str
    attributes: tuple[str, ...]
    arrays: tuple[str, ...]

    @property
    def format(self) -> str:
        return f"magsim-{self.kind}"


# written by the dynamics, read there and, as labelled snapshots, by learning
TRAJECTORY = Layout(
    kind="trajectory",
    version=2,
    counter="frames",
    attributes=("key", "chain", "lattice"),
    arrays=("spins", "field", "energy", "step", "time", "temperature"),
)


@dataclass(frozen=True)
class ArraySpec:
    """One array of a store: its type, what follows the growing axis, and how many rows make a chunk."""

    dtype: np.dtype
    tail: tuple[int, ...]
    axes: tuple[str, ...]
    chunk: int


def fill_value(dtype: np.dtype) -> Any:
    """What an array holds where nothing was written; reading refuses it where the type allows to see it."""
    if dtype.kind in "fc":
        return float("nan")
    return int(np.iinfo(dtype).min) if dtype.kind == "i" else 0


def attributes_of(group: zarr.Group) -> dict[str, Any]:
    """The attributes of a store, as plain Python objects."""
    return cast("dict[str, Any]", dict(group.attrs))


def stored_format(path: Path) -> Any:
    """The attribute ``format`` of a store; None if it has none.

    Raises:
        DataError: not a readable Zarr v3 store.
    """
    return attributes_of(_open(path, "r")).get("format")


def open_store(path: Path, layout: Layout, mode: Literal["r", "r+"]) -> zarr.Group:
    """The Zarr group of a store, its format checked.

    Raises:
        DataError: not a store of this kind and version, or one that lacks an attribute or array.
    """
    group = _open(path, mode)
    attributes = attributes_of(group)
    if attributes.get("format") != layout.format:
        raise DataError(path, f"not a magsim {layout.kind}: the attribute 'format' is not '{layout.format}'.")
    version = attributes.get("format_version")
    if version != layout.version:
        raise DataError(path, f"format_version is {version}, this program reads {layout.version}.")
    for name in (*layout.attributes, layout.counter, "complete"):
        if name not in attributes:
            raise DataError(path, f"the attribute '{name}' is missing.")
    for name in dict.fromkeys((*layout.arrays, *attributes.get("arrays", ()))):
        if name not in group:
            raise DataError(path, f"array '{name}' is missing or its metadata cannot be read.")
    return group


def _open(path: Path, mode: Literal["r", "r+"]) -> zarr.Group:
    try:
        group = zarr.open_group(path, mode=mode, zarr_format=3)
        attributes_of(group)
    except Exception as error:  # zarr's errors for broken metadata are of many types
        raise DataError(path, f"not a readable Zarr v3 store: {_first_line(error)}") from error
    return group


def read_array(path: Path, group: zarr.Group, name: str, count: int, what: str) -> np.ndarray:
    """The first ``count`` rows (``what``: snapshots or frames) of an array.

    Raises:
        DataError: there are fewer, or a chunk is corrupt.
    """
    array: Any = group[name]
    if array.shape[0] < count:
        raise DataError(path, f"array '{name}' has {array.shape[0]} of {count} {what}.")
    return read_rows(path, name, array, slice(0, count))


def read_rows(path: Path, name: str, array: Any, index: Any) -> np.ndarray:
    """``array[index]``.

    Raises:
        DataError: a chunk is corrupt.
    """
    try:
        return np.asarray(array[index])
    except Exception as error:  # a truncated chunk fails inside its codec, with the codec's own error
        raise DataError(
            path, f"array '{name}' cannot be read (corrupt chunk): {_first_line(error)}"
        ) from error


def first_hash(key: str) -> str:
    """Content hash of a trajectory without frames."""
    return hashlib.sha256(key.encode()).hexdigest()


def next_hash(previous: str, frame: Mapping[str, Any]) -> str:
    """Content hash of a trajectory with one more frame, ``h_k = sha256(h_(k-1), frame k)``."""
    digest = hashlib.sha256(previous.encode())
    for name in TRAJECTORY.arrays:
        digest.update(np.ascontiguousarray(frame[name], dtype="<i8" if name == "step" else "<f8").tobytes())
    return digest.hexdigest()


def holds_key(path: Path, layout: Layout, key: str) -> bool:
    """Whether the store of this key is at ``path`` already; False where there is nothing.

    Raises:
        DataError: something else is there.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return False
    found = str(attributes_of(open_store(path, layout, "r"))["key"])
    if found != key:
        keys = f"key {found[:12]}, not {key[:12]}"
        raise DataError(path, f"holds a {layout.kind} of other settings ({keys}); give another output.")
    return True


def create_store(
    path: Path, layout: Layout, attributes: Mapping[str, Any], arrays: Mapping[str, ArraySpec]
) -> None:
    """Make an empty store elsewhere and move it into place in one step.

    Raises:
        DataError: nothing can be written there.
    """
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    state = {layout.counter: 0, "complete": False, "content_hash": None}
    header = {"format": layout.format, "format_version": layout.version}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        group = zarr.create_group(temporary, zarr_format=3, attributes={**header, **attributes, **state})
        for name, spec in arrays.items():
            _add_array(group, name, spec, layout.counter.removesuffix("s"))
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(path, f"cannot be created: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _add_array(group: zarr.Group, name: str, spec: ArraySpec, axis: str) -> None:
    group.create_array(
        name,
        shape=(0, *spec.tail),
        chunks=(spec.chunk, *spec.tail),
        dtype=spec.dtype,
        fill_value=fill_value(spec.dtype),
        dimension_names=(axis, *spec.axes),
        overwrite=True,  # left by a writer that was killed before its first commit
    )


class GrowingStore:
    """A store that is open for appending; what a killed writer left beyond the count is discarded."""

    layout: Layout

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group = open_store(path, self.layout, "r+")
        names = self.attributes.get("arrays") or sorted(self._group.array_keys())
        self._arrays: dict[str, Any] = {name: self._group[name] for name in names}
        for leftover in path.rglob("*.partial"):  # Zarr's temporary files of a killed writer
            leftover.unlink(missing_ok=True)
        self._discard_uncommitted()

    def __len__(self) -> int:
        """Number of rows that are certainly on disk."""
        return int(self.attributes[self.layout.counter])

    @property
    def attributes(self) -> dict[str, Any]:
        return attributes_of(self._group)

    @property
    def complete(self) -> bool:
        return bool(self.attributes["complete"])

    def note(self, **facts: Any) -> None:
        """Set attributes; all of them in one replacement of one file."""
        self._group.update_attributes(facts)

    def _add_arrays(self, specs: Mapping[str, ArraySpec]) -> None:
        """Make arrays that are not there yet; they belong to the store once :meth:`_commit` names them."""
        for name, spec in specs.items():
            _add_array(self._group, name, spec, self.layout.counter.removesuffix("s"))
            self._arrays[name] = self._group[name]

    def _commit(self, rows: Mapping[str, np.ndarray], count: int, **facts: Any) -> None:
        """Write ``count`` rows of every array, then count them."""
        start = len(self)
        for name, array in self._arrays.items():
            array.resize((start + count, *array.shape[1:]))
            array[start : start + count] = rows[name]
        self.note(**{self.layout.counter: start + count}, complete=False, content_hash=None, **facts)

    def _discard_uncommitted(self) -> None:
        for name, array in self._arrays.items():
            if array.shape[0] < len(self):
                raise DataError(
                    self.path, f"array '{name}' has {array.shape[0]} of {len(self)} {self.layout.counter}."
                )
            if array.shape[0] > len(self):
                array.resize((len(self), *array.shape[1:]))


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
