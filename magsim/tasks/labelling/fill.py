"""What labelling means wherever it happens: one thread for each matrix, records that can be stored.

Labels must not depend on how the work was divided, to the last bit: dynamics would carry the difference into
the spins. So BLAS gets one thread (cores share configurations instead), and labelers whose batches are not
exactly their members get these one by one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.parts import PartStore, Records
from magsim.datasets.writer import DatasetWriter
from magsim.dynamics import ClassicalField
from magsim.errors import RunError
from magsim.labelers import Labeler, Labels
from magsim.labelers.labels import joined
from magsim.runs import Run, seconds
from magsim.samplers import Sampler, Sampling, SpinBatch
from magsim.spins import transverse
from magsim.tasks.build import build_lattice, labeler_device
from magsim.tasks.labelling.report import rms

BATCH = {"cpu": 16, "cuda": 64}  # snapshots per commit unless labeler.batch_size says
COMMIT = 256  # snapshots that wait in parts are committed so many at a time


def batch_size(cfg: DictConfig) -> int:
    """Snapshots that are labelled together."""
    return int(cfg.labeler.batch_size or BATCH[labeler_device(cfg)])


@contextmanager
def one_thread_each() -> Iterator[None]:
    """BLAS and LAPACK with one thread."""
    import scipy.linalg  # noqa: F401  its BLAS is another one than NumPy's, and limited only once loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def fill_here(
    writer: DatasetWriter,
    cfg: DictConfig,
    sampler: Sampler,
    labeler: Counting,
    classical: ClassicalField | None,
    run: Run,
) -> None:
    """Label what is missing in this process, one commit for each batch."""
    sampling = Sampling(build_lattice(cfg), labeler, int(cfg.seed), classical)
    batches = sampler.batches(sampling, batch_size(cfg), start=len(writer), recorded=writer.spins)
    start = time.monotonic()
    with one_thread_each(), run.progress("label", len(sampler), "snapshots", done=len(writer)) as bar:
        for batch in batches:
            labels = batch.labels or labeler.label(batch.spins)
            rows = len(writer) + np.arange(len(batch))
            append(writer, as_records(batch, labels, sampler.sources.index(batch.source), rows))
            torque = rms(transverse(labels.field, batch.spins))
            bar.advance(len(batch), source=batch.source, torque=torque)
            run.log({"label/snapshots": len(writer), f"label/rms_torque_{batch.source}": torque}, len(writer))
    tell_rate(run, labeler.count, time.monotonic() - start)


def tell_rate(run: Run, solved: int, elapsed: float) -> None:
    """How many configurations were solved how fast."""
    rate = solved / max(elapsed, 1e-9)
    run.say(f"  {solved} exact solutions, {rate:.3g}/s, in {seconds(elapsed)}")
    run.summary({"label/labels_per_second": rate, "label/seconds": elapsed, "label/reused": False})


def as_records(batch: SpinBatch, labels: Labels, source: int, rows: np.ndarray) -> Records:
    """Labelled snapshots as a dataset stores them.

    Args:
        rows: their places in the dataset, to be named where something is wrong.

    Raises:
        RunError: a label is not finite.
    """
    count = len(batch)
    known = {name: getattr(labels, name) for name in ("energy", "field", "density", "mu", "error")}
    known = {name: values for name, values in known.items() if values is not None}
    for name, values in {**known, **labels.extra}.items():
        bad = ~np.isfinite(values).reshape(count, -1).all(axis=1)
        if bad.any():
            raise RunError(f"the {name} of snapshot {int(rows[bad.argmax()])} is not finite.")
    arrays = {
        **known,
        "spins": batch.spins,
        "wall_time": np.full(count, labels.wall_time / count),
        "trajectory": batch.trajectory,
        "step": batch.step,
        "source": np.full(count, source),
    }
    return Records(arrays, dict(labels.extra), labels.method, batch.dt)


def append(writer: DatasetWriter, records: Records) -> None:
    """Commit records at the end of a dataset."""
    if records.dt is not None and writer.attributes.get("dt") is None:
        writer.note(dt=records.dt)
    if len(writer) == 0:
        writer.note(method=records.method)
    writer.append(extra=records.extra, **records.arrays)


class Places:
    """Which part holds which snapshot of a dataset.

    Args:
        parts: of the dataset; those of an earlier session are found.
        size: snapshots that the dataset will have.
    """

    def __init__(self, parts: PartStore, size: int) -> None:
        self.parts = parts
        self._names: list[str] = []
        self._part_of = np.full(size, -1)
        for name, rows in parts.found():
            if rows.size and rows.max() < size:
                self.add(name, rows)

    def add(self, name: str, rows: np.ndarray) -> None:
        """A part has been written."""
        self._part_of[rows] = len(self._names)
        self._names.append(name)

    def held(self, rows: np.ndarray) -> np.ndarray:
        """Whether there is a part with each of the rows."""
        return self._part_of[rows] >= 0

    def name_of(self, row: int) -> str:
        """The part that holds a row."""
        return self._names[self._part_of[row]]

    def read(self, rows: np.ndarray) -> Records:
        """The snapshots at ``rows``, which ascend."""
        codes = self._part_of[rows]
        mine = [rows[codes == code] for code in np.unique(codes)]
        found = [self.parts.read(self.name_of(part[0]), part) for part in mine]
        return _concatenated(found).taken(np.argsort(np.concatenate(mine)))


def commit(writer: DatasetWriter, places: Places, size: int) -> int:
    """Move what follows the committed snapshots without a gap from parts into the dataset; returns its
    number."""
    start = len(writer)
    rows = np.arange(start, size)
    gaps = np.flatnonzero(~places.held(rows))
    end = int(rows[gaps[0]]) if len(gaps) else size
    for first in range(start, end, COMMIT):
        append(writer, places.read(np.arange(first, min(first + COMMIT, end))))
    return end - start


def take_parts(writer: DatasetWriter, sampler: Sampler) -> None:
    """Commit what workers of an earlier session have left."""
    commit(writer, Places(PartStore(writer.path), len(sampler)), len(sampler))


def one_by_one(labeler: Labeler, device: str) -> Labeler:
    """The same labeler, with labels that do not depend on how configurations are grouped.

    On a GPU batches stay batches: there the last bits may differ.
    """
    if device != "cpu" or getattr(labeler, "independent", False):
        return labeler
    return _OneByOne(labeler)


class _OneByOne:
    def __init__(self, labeler: Labeler) -> None:
        self.hamiltonian = labeler.hamiltonian
        self._labeler = labeler

    def identity(self) -> dict[str, Any]:
        return self._labeler.identity()

    def label(self, spins: Any) -> Labels:
        spins = np.asarray(spins)
        return joined([self._labeler.label(spins[k : k + 1]) for k in range(len(spins))])


class Counting:
    """A labeler that counts the configurations it solved."""

    def __init__(self, labeler: Labeler) -> None:
        self.hamiltonian = labeler.hamiltonian
        self.count = 0
        self._labeler = labeler

    def identity(self) -> dict[str, Any]:
        return self._labeler.identity()

    def label(self, spins: Any) -> Labels:
        self.count += len(spins)
        return self._labeler.label(spins)


def _concatenated(parts: list[Records]) -> Records:
    first = parts[0]
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in first.arrays}
    extra = {name: np.concatenate([part.extra[name] for part in parts]) for name in first.extra}
    dt = next((part.dt for part in parts if part.dt is not None), None)
    return Records(arrays, extra, first.method, dt)
