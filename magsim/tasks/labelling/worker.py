"""What a worker does: make one piece of a dataset and leave it as a part.

Loaded into each worker when it starts (a dask preload); it takes a job as text and builds it once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from magsim.arrays import cores, set_cores
from magsim.datasets.parts import PartStore, Records
from magsim.dynamics import ClassicalField
from magsim.errors import MagsimError, RunError
from magsim.labelers import Labeler, Labels
from magsim.lattice import Lattice
from magsim.samplers import Before, Piece, Sampler, Sampling
from magsim.spins import transverse
from magsim.tasks.build import build_classical, build_labeler, build_lattice, build_sampler
from magsim.tasks.labelling.fill import Counting, as_records, one_by_one, one_thread_each
from magsim.tasks.labelling.report import rms

GPUS = "MAGSIM_WORKER_GPUS"  # what the workers of this machine share, one for each in turn


@dataclass(frozen=True)
class Made:
    """What a worker reports.

    Attributes:
        name: of the part; empty if nothing was to be stored.
        solved: configurations that were solved for it.
        source: of the snapshots.
        torque: their rms torque per component.
        dt: the time step, if that was asked for.
    """

    name: str = ""
    solved: int = 0
    source: str = ""
    torque: float = 0.0
    dt: float | None = None


def job_text(
    config: dict[str, Any], dataset: Path, device: str, threads: int | None, identity: dict[str, Any]
) -> str:
    """All that a worker needs to know of a job.

    Args:
        config: what it is built from.
        dataset: where parts go.
        device: of the labeler.
        threads: cores of a worker; None: what it finds.
        identity: of the labeler that the key of the dataset names.
    """
    content = {"config": config, "dataset": str(dataset), "device": device, "threads": threads}
    return json.dumps({**content, "cores": cores(), "identity": identity}, sort_keys=True)


def suggest_timestep(job: str) -> Made:
    """The time step of the dynamics of a job."""
    with _one_at_a_time, _plain_errors():
        bench = _bench(job)
        with bench.working() as labeler:
            dt = bench.sampler.timestep(bench.sampling(labeler))
        return Made(solved=labeler.count, dt=dt)


def make_piece(job: str, piece: Piece, source: str | np.ndarray | None, dt: float | None) -> Made:
    """Make a piece and store it; nothing is done twice.

    Args:
        source: the part that holds ``piece.before``, or the spins themselves.
        dt: time step of the dynamics.

    Raises:
        RunError: a label is not finite, or the dynamics failed.
    """
    with _one_at_a_time, _plain_errors():
        bench = _bench(job)
        if bench.parts.holds(piece.rows):  # made by a worker that was lost before it could say so
            return bench.told(bench.parts.read(PartStore.name(piece.rows), piece.rows), piece, 0)
        before = _before(bench.parts, piece, source)
        with bench.working() as labeler:
            batch = bench.sampler.make(piece, bench.sampling(labeler), before, dt)
        assert batch.labels is not None
        code = bench.sampler.sources.index(batch.source)
        records = as_records(batch, batch.labels, code, piece.rows)
        bench.parts.write(piece.rows, records)
        return bench.told(records, piece, labeler.count)


class _Bench:
    """A job, built: lattice, labeler and sampler."""

    def __init__(self, job: str) -> None:
        content = json.loads(job)
        cfg = OmegaConf.create(content["config"])
        cfg.compute.device = content["device"]  # as the parent has found it
        self.lattice: Lattice = build_lattice(cfg)
        self.sampler: Sampler = build_sampler(cfg)
        self.classical: ClassicalField | None = build_classical(cfg, self.lattice)
        self.seed = int(cfg.seed)
        self.parts = PartStore(content["dataset"])
        set_cores(content["cores"])  # a labeler that chooses its method chooses for the whole machine
        labeler = build_labeler(cfg, self.lattice)
        found = json.loads(json.dumps(labeler.identity()))
        if found != content["identity"]:
            raise RunError(
                f"a worker would label with {found}, this dataset is one of {content['identity']}; name the "
                "labeler instead of labeler=auto."
            )
        self._labeler = one_by_one(labeler, content["device"])
        set_cores(content["threads"])

    @contextmanager
    def working(self) -> Iterator[Counting]:
        with one_thread_each():
            yield Counting(self._labeler)

    def sampling(self, labeler: Labeler) -> Sampling:
        return Sampling(self.lattice, labeler, self.seed, self.classical)

    def told(self, records: Records, piece: Piece, solved: int) -> Made:
        arrays = records.arrays
        source = self.sampler.sources[int(arrays["source"][0])]
        torque = rms(transverse(arrays["field"], arrays["spins"]))
        return Made(PartStore.name(piece.rows), solved, source, torque)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Exceptions with more arguments than a sentence do not survive the journey to the parent."""
    try:
        yield
    except MagsimError as error:
        raise MagsimError(str(error)) from None
    except RunError as error:
        raise RunError(str(error)) from None


# dask runs tasks in threads; limits of threads, and some labelers, know one at a time
_one_at_a_time = threading.Lock()
_bench = lru_cache(maxsize=1)(_Bench)


def _before(parts: PartStore, piece: Piece, source: str | np.ndarray | None) -> Before | None:
    """Where a piece goes on."""
    if source is None:
        return None
    if not isinstance(source, str):
        return Before(np.asarray(source))
    found = parts.read(source, piece.before)
    known = {name: found.arrays.get(name) for name in ("energy", "field", "density", "mu", "error")}
    labels = Labels(**known, method=found.method, wall_time=0.0, extra=found.extra)
    return Before(found.arrays["spins"], labels)


def dask_setup(worker: Any) -> None:
    """Called by dask in each worker before it takes tasks."""
    # Ctrl-C reaches every process of a terminal; the parent decides what happens
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    gpus = os.environ.get(GPUS, "")
    if gpus:
        shared = gpus.split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = shared[int(worker.name) % len(shared)]
