"""Labels from several workers: pieces are handed out, parts come back, the dataset grows in its order.

Each piece is stored by its worker before it is reported, so that whoever dies loses the piece in hand: what a
lost worker had in hand is made again by another, and a job that is killed goes on from the parts it finds.
"""

from __future__ import annotations

import heapq
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.parts import PartStore
from magsim.datasets.writer import DatasetWriter
from magsim.errors import MagsimError, RunError
from magsim.runs import ProgressBar, Run
from magsim.samplers import Piece, Sampler
from magsim.tasks.build import build_labeler, labeler_device, plain
from magsim.tasks.labelling.cluster import Crew, open_crew
from magsim.tasks.labelling.fill import Places, batch_size, commit, tell_rate
from magsim.tasks.labelling.worker import Made, job_text, make_piece, suggest_timestep

SMALL_PIECE = 8  # snapshots on a CPU, where a batch gains nothing: what a lost worker loses
COMMIT_EVERY = 2.0  # seconds
LOOK_EVERY = 1.0  # seconds between looks at who is there
SILENCE = 60.0  # seconds without any worker that are worth a line
AHEAD = 2  # pieces handed out for each worker


def fill_with_workers(writer: DatasetWriter, cfg: DictConfig, sampler: Sampler, run: Run) -> None:
    """Label what is missing, with ``compute.workers`` processes.

    Raises:
        ConfigError: there is no such cluster.
        RunError: a label is not finite, the dynamics failed, or a piece ended every worker that tried it.
    """
    size, device = batch_size(cfg), labeler_device(cfg)
    pieces = sampler.pieces(min(size, SMALL_PIECE) if device == "cpu" else size, int(cfg.compute.workers))
    plan = Plan(pieces, Places(PartStore(writer.path), len(sampler)), writer)
    if plan.done > len(writer):
        run.say(f"  {plan.done - len(writer)} later snapshots are there already.")
    if plan.todo:
        kind = {"local": "on this machine", "slurm": "through SLURM"}
        where = kind.get(cfg.compute.cluster, f"of {cfg.compute.cluster}")
        run.say(f"  starting {cfg.compute.workers} workers {where}")
        with open_crew(cfg, run.folder) as crew:
            identity = build_labeler(cfg).identity()
            job = job_text(_portable(cfg), writer.path, device, crew.threads, identity)
            start = time.monotonic()
            with run.progress("label", len(sampler), "snapshots", done=plan.done) as bar:
                foreman = _Foreman(plan, crew, job, run, bar)
                foreman.work(sampler.uses_dynamics)
            tell_rate(run, foreman.solved, time.monotonic() - start)
    plan.commit()


def _portable(cfg: DictConfig) -> dict[str, Any]:
    """What of the configuration a worker reads; paths hold in any directory."""
    config = {key: value for key, value in plain(cfg).items() if key not in ("logger", "trainer", "model")}
    if config["sampler"].get("path"):
        config["sampler"]["path"] = str(Path(config["sampler"]["path"]).expanduser().resolve())
    return config


class Plan:
    """Which pieces are to be made, and which of them can be.

    Attributes:
        todo: numbers of the pieces that are not in the dataset, nor in parts of an earlier session.
        done: snapshots that are.
    """

    def __init__(self, pieces: list[Piece], places: Places, writer: DatasetWriter) -> None:
        self.pieces, self.places, self.writer = pieces, places, writer
        self.size = sum(map(len, pieces))
        there = self._there(np.arange(self.size))
        self.done = int(there.sum())
        self.todo = {k for k, piece in enumerate(pieces) if not there[piece.rows].all()}
        self._after: dict[int, list[int]] = {}
        maker = np.empty(self.size, dtype=int)
        for k, piece in enumerate(pieces):
            maker[piece.rows] = k
        self.ready = []
        for k in self.todo:
            before = {int(j) for j in maker[pieces[k].before]} & self.todo
            for j in before:
                self._after.setdefault(j, []).append(k)
            if not before:
                self.ready.append(k)
        heapq.heapify(self.ready)

    def _there(self, rows: np.ndarray) -> np.ndarray:
        return (rows < len(self.writer)) | self.places.held(rows)

    def source(self, k: int) -> str | np.ndarray | None:
        """Where piece k goes on: the part with the spins, or the spins, if they are in several or none."""
        rows = self.pieces[k].before
        if not len(rows):
            return None
        held = self.places.held(rows)
        names = {self.places.name_of(row) for row in rows[held]}
        if held.all() and len(names) == 1:
            return names.pop()
        spins = np.empty((len(rows), *self.writer.spins(0, 0).shape[1:]))
        for i, row in enumerate(rows):
            if held[i]:
                spins[i] = self.places.read(rows[i : i + 1]).arrays["spins"][0]
            else:
                spins[i] = self.writer.spins(int(row), int(row) + 1)[0]
        return spins

    def finished(self, k: int, name: str) -> None:
        """Piece k is stored; what goes on from it is ready."""
        self.places.add(name, self.pieces[k].rows)
        self.todo.discard(k)
        for after in self._after.pop(k, []):
            heapq.heappush(self.ready, after)

    def commit(self) -> int:
        """Let the dataset grow by what has no gap before it; returns by how many snapshots."""
        return commit(self.writer, self.places, self.size)


class _Foreman:
    """Hands out pieces and takes reports."""

    def __init__(self, plan: Plan, crew: Crew, job: str, run: Run, bar: ProgressBar) -> None:
        self.plan, self.crew, self.job, self.run, self.bar = plan, crew, job, run, bar
        self.solved = self.lost = 0
        self._reports: SimpleQueue[Any] = SimpleQueue()
        self._out: dict[Any, int | None] = {}  # future -> piece, or None: the time step
        self._members = crew.members()
        self._looked = self._committed = self._seen = time.monotonic()
        self._dt: float | None = None
        self._torques: dict[str, float] = {}

    def work(self, dynamics: bool) -> None:
        """Have everything made."""
        self._dt = self.plan.writer.attributes.get("dt")
        waits = dynamics and self._dt is None
        if waits:
            self._submit(None, suggest_timestep, self.job)
        held_back: list[int] = []  # until there is a time step
        while self.plan.todo:
            while self.plan.ready and len(self._out) < AHEAD * self.crew.size + 1:
                k = heapq.heappop(self.plan.ready)
                piece = self.plan.pieces[k]
                if waits and piece.dynamics:
                    held_back.append(k)
                else:
                    self._submit(k, make_piece, self.job, piece, self.plan.source(k), self._dt)
            future = self._next()
            if future is not None and self._take(future) is None:
                waits = False
                self.plan.ready = sorted(self.plan.ready + held_back)
            self._look_around()
        self.run.summary({"label/workers": self.crew.size, "label/lost_workers": self.lost})

    def _submit(self, k: int | None, function: Any, *arguments: Any) -> None:
        future = self.crew.client.submit(function, *arguments, priority=-(k or 0), pure=False)
        self._out[future] = k
        future.add_done_callback(self._reports.put)

    def _next(self) -> Any:
        """A future that has ended; None if none does for a while."""
        try:
            return self._reports.get(timeout=LOOK_EVERY)
        except Empty:
            return None

    def _take(self, future: Any) -> int | None:
        """Use a report; returns which piece it was, None for the time step."""
        k = self._out.pop(future)
        made = self._result(future, k)
        self.solved += made.solved
        if k is None:
            self._dt = made.dt
            return None
        self.plan.finished(k, made.name)
        self._torques[made.source] = made.torque
        self.bar.advance(
            len(self.plan.pieces[k]), workers=len(self._members), source=made.source, torque=made.torque
        )
        return k

    def _result(self, future: Any, k: int | None) -> Made:
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except (MagsimError, RunError):
            raise
        except KilledWorker as error:
            rows = np.zeros(1, dtype=int) if k is None else self.plan.pieces[k].rows
            raise RunError(
                f"snapshots {rows[0]} to {rows[-1]} ended every worker that tried them, the last "
                f"{error.last_worker.address}: out of memory?"
            ) from error
        except CancelledError as error:
            raise RunError("the scheduler of the workers is gone; the same command resumes.") from error

    def _look_around(self) -> None:
        """Commit, and see who is there, now and then."""
        now = time.monotonic()
        if now - self._committed > COMMIT_EVERY or not self.plan.todo:
            self._committed = now
            if self.plan.commit():
                count = len(self.plan.writer)
                torques = {f"label/rms_torque_{source}": value for source, value in self._torques.items()}
                self.run.log({"label/snapshots": count, **torques}, count)
        if now - self._looked > LOOK_EVERY:
            self._looked = now
            members = self.crew.members()
            gone = self._members - members
            if gone:
                self.lost += len(gone)
                self.run.say(f"  {len(gone)} of the workers lost; what they had in hand is made again.")
            self._members = members
            if members:
                self._seen = now
            elif now - self._seen > SILENCE:
                self._seen = now
                self.run.say(f"  waiting: none of the {self.crew.size} workers is there.")
