"""Datasets put together to a larger one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from magsim.learning.dataset import SpinDataset
from magsim.learning.store import open_dataset
from magsim.learning.writer import open_writer


def renamed(dataset: SpinDataset, source: str) -> SpinDataset:
    """The same snapshots, all of one source."""
    return replace(dataset, sources=(source,), source=np.zeros(len(dataset), dtype=np.int8))


def join(path: str | Path, parts: Sequence[SpinDataset]) -> SpinDataset:
    """A store with the snapshots of several datasets, one after the other; made once.

    Sources of one name become one; trajectories keep their numbers, which therefore must differ between
    parts. Lattice, configuration, method and time step are those of the first part; arrays that one of them
    lacks are left out.

    Args:
        path: of the store.
        parts: on one lattice.

    Returns:
        the dataset in the store.

    Raises:
        DataError: other parts were joined at ``path``.
    """
    first = parts[0]
    sources = list(dict.fromkeys(name for part in parts for name in part.sources))
    names = [name for name in first.arrays if all(name in part.arrays for part in parts)]
    extra = [name for name in first.extra if all(name in part.extra for part in parts)]
    hashes = [part.content_hash for part in parts]
    writer = open_writer(
        path,
        key=hashlib.sha256(" ".join(hashes).encode()).hexdigest(),
        n_sites=first.n_sites,
        lattice=first.lattice or {"name": None, "shape": [first.n_sites], "boundary": None},
        sources=sources,
        config=first.config,
        units=first.units,
    )
    if not writer.complete:
        writer.note(parts=hashes, method=first.method, dt=first.dt)
        end = 0
        for part in parts:
            end += len(part)
            if len(writer) < end:  # each part is one commit
                rows = {name: part.arrays[name] for name in names}
                rows["source"] = np.array([sources.index(name) for name in part.source_names])
                writer.append(extra={name: part.extra[name] for name in extra}, **rows)
        writer.finish()
    return open_dataset(path)
