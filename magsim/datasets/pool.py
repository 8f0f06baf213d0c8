"""Several datasets as one: published labels and own ones learned together, labels of several rounds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from magsim.datasets.dataset import SpinDataset, content_hash, snapshot_hashes
from magsim.datasets.store import open_dataset
from magsim.datasets.writer import open_writer
from magsim.errors import DataError

SHARED = ("spins", "field", "energy", "density", "mu", "error", "wall_time", "step")


def pool(datasets: Sequence[SpinDataset]) -> SpinDataset:
    """The snapshots of all datasets, one after the other.

    Trajectories keep to themselves (they are numbered anew), but for those that share a configuration (the
    same spins at several voltages), which become one: no split comes between them. Sources of one name become
    one, arrays that a dataset lacks are left out; of extra arrays the voltage stays, if all know it. Lattice,
    configuration and time step are those that all who have them agree on, else of the first who has them.

    Raises:
        DataError: they have different numbers of spins, or lattices that differ.
    """
    first = datasets[0]
    if len(datasets) == 1:
        return first
    lattices = [dict(d.lattice) for d in datasets if d.lattice]
    for other in datasets[1:]:
        if other.n_sites != first.n_sites:
            raise DataError(
                other.path, f"holds {other.n_sites} spins, {first.path} {first.n_sites}: no common dataset."
            )
        for key, value in (other.lattice or {}).items():
            known = next((lattice[key] for lattice in lattices if lattice.get(key) is not None), None)
            if value is not None and known is not None and list(value) != list(known):
                raise DataError(
                    other.path, f"its lattice has {key}={value}, that of {first.path} {key}={known}."
                )
    sources = tuple(dict.fromkeys(name for d in datasets for name in d.sources))
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(d, name) for d in datasets])
        for name in SHARED
        if all(getattr(d, name) is not None for d in datasets)
    }
    starts = np.cumsum([0, *(int(d.trajectory.max()) + 1 for d in datasets[:-1])])
    apart = np.concatenate([d.trajectory + start for d, start in zip(datasets, starts, strict=True)])
    arrays["trajectory"] = together(apart, snapshot_hashes(arrays["spins"])).astype(first.trajectory.dtype)
    arrays["source"] = np.concatenate(
        [np.array([sources.index(name) for name in d.sources])[d.source] for d in datasets]
    ).astype(first.source.dtype)
    voltages = [d.voltage for d in datasets]
    known = [voltage for voltage in voltages if voltage is not None]
    extra = {"voltage": np.concatenate(known)} if len(known) == len(voltages) else {}
    lattice = {
        key: next((k[key] for k in lattices if k.get(key) is not None), None)
        for key in (lattices[0] if lattices else {})
    }
    return SpinDataset(
        path=Path(" + ".join(str(d.path) for d in datasets)),
        **arrays,
        extra=extra,
        sources=sources,
        lattice=lattice or None,
        config=next((d.config for d in datasets if d.config), {}),
        units=first.units,
        key="+".join(d.key for d in datasets),
        method=next((d.method for d in datasets if d.method), ""),
        dt=next((d.dt for d in datasets if d.dt is not None), None),
        content_hash=content_hash(arrays | extra),
    )


def together(trajectory: np.ndarray, digest: np.ndarray) -> np.ndarray:
    """``(n,)`` numbers of trajectories, those that share a configuration merged into the first of them.

    Args:
        trajectory: ``(n,)``.
        digest: ``(n,)`` of the configurations.
    """
    _, same = np.unique(digest, return_inverse=True)
    size = int(trajectory.max()) + 1
    rows, columns = trajectory, size + same
    links = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size + int(same.max()) + 1,) * 2)
    part = connected_components(links, directed=False)[1][trajectory]
    first = np.full(int(part.max()) + 1, size)
    np.minimum.at(first, part, trajectory)
    return first[part]


def stored_pool(path: str | Path, datasets: Sequence[SpinDataset]) -> SpinDataset:
    """The pool of all datasets as a store, which is made once.

    Args:
        path: of the store.
        datasets: see :func:`pool`.

    Raises:
        DataError: as :func:`pool`, or other datasets were pooled at ``path``.
    """
    whole = pool(datasets)
    hashes = " ".join(dataset.content_hash for dataset in datasets)
    writer = open_writer(
        path,
        key=hashlib.sha256(hashes.encode()).hexdigest(),
        n_sites=whole.n_sites,
        lattice=whole.lattice or {"name": None, "shape": [whole.n_sites], "boundary": None},
        sources=whole.sources,
        config=whole.config,
        units=whole.units,
    )
    if not writer.complete:
        writer.note(method=whole.method, dt=whole.dt)
        if not len(writer):
            writer.append(whole.extra, **whole.arrays)
        writer.finish()
    return open_dataset(path)


def renamed(dataset: SpinDataset, source: str) -> SpinDataset:
    """The same snapshots, all of one source."""
    return replace(dataset, sources=(source,), source=np.zeros_like(dataset.source))
