"""One job, opened and finished in one place."""

from __future__ import annotations

import os
import signal
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from magsim.errors import ConfigError, MagsimError
from magsim.runs.console import ProgressBar, headline, say
from magsim.runs.folder import (
    born,
    id_of,
    new_id,
    new_run_folder,
    read_json,
    read_status,
    stamp,
    write_json,
    write_text,
)
from magsim.runs.provenance import provenance
from magsim.runs.series import Series
from magsim.runs.wandb_recorder import Recorder, open_recorder


class Run:
    """What a task needs to know and to tell: its folder, its metrics, its figures.

    Attributes:
        folder: the run folder.
        id: eight hexadecimal digits; also the id of the W&B run.
        resumed: whether the folder held an earlier session of this run.
        metrics: final metrics so far.
        warnings: what :meth:`warn` was told; they end up in ``status.json``.
    """

    def __init__(self, folder: Path, run_id: str, resumed: bool, recorder: Recorder) -> None:
        self.folder, self.id, self.resumed = folder, run_id, resumed
        self.warnings: list[str] = []
        self._recorder = recorder
        self._series = Series(folder / "metrics.csv")
        path = folder / "metrics.json"
        self.metrics: dict[str, Any] = read_json(path) if path.exists() else {}

    def part(self, name: str) -> Run:
        """A part of this run with series, metrics and links of its own in the folder ``name`` below, of which
        loggers hear nothing."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "provenance.json").exists():
            write_json(folder / "provenance.json", {"run": self.id, "parents": {}, "outputs": {}})
        return Run(folder, self.id, self.resumed, Recorder())

    def say(self, text: str) -> None:
        """One line for the user."""
        say(text)

    def warn(self, text: str) -> None:
        """One line for the user that is also kept."""
        self.warnings.append(text)
        say(f"  Warning: {text}")

    def headline(self, text: str) -> None:
        """The name of the stage that begins."""
        headline(text)

    def progress(self, label: str, total: float, unit: str = "steps", done: float = 0) -> ProgressBar:
        """A progress bar, to be used as ``with run.progress(...) as bar: bar.advance(n, loss=0.1)``."""
        return ProgressBar(label, total, unit, done)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """One row of series: ``metrics.csv`` and the logger.

        Args:
            values: numbers; keys of one stage share a prefix, ``train/loss``.
            step: counts within the stage.
        """
        numbers = {key: float(value) for key, value in values.items()}
        self._series.append(numbers, int(step))
        self._recorder.log(numbers, int(step))

    def summary(self, values: Mapping[str, Any]) -> None:
        """Final metrics (flat): ``metrics.json`` and the logger."""
        self.metrics |= {key: _scalar(value) for key, value in values.items()}
        write_json(self.folder / "metrics.json", self.metrics)
        self._recorder.summary(self.metrics)

    def image(self, name: str, path: str | Path, caption: str | None = None) -> None:
        """A figure that lies on disk already."""
        self._recorder.image(name, Path(path), caption)

    def parent(self, kind: str, path: str | Path, content_hash: str) -> None:
        """What this run was made from (dataset, model): a link of the hash chain in ``provenance.json``."""
        self._link("parents", kind, path, content_hash)

    def artifact(self, kind: str, path: str | Path, content_hash: str = "", name: str | None = None) -> None:
        """What this run has made: ``kind`` is dataset, model or trajectory; ``path`` a file or folder."""
        self._link("outputs", kind, path, content_hash)
        facts = {"content_hash": content_hash, "run": self.id, "path": str(path)}
        self._recorder.artifact(kind, name or f"{kind}-{self.id}", Path(path), facts)

    def _link(self, side: str, kind: str, path: str | Path, content_hash: str) -> None:
        file = self.folder / "provenance.json"
        content = read_json(file)
        content[side][kind] = {"path": str(path), "content_hash": content_hash}
        write_json(file, content)


@contextmanager
def open_run(
    cfg: DictConfig,
    task: str,
    *,
    flat: Mapping[str, Any],
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    group: str | None = None,
) -> Iterator[Run]:
    """Open a run folder and its logger, and close both whatever happens.

    On the way out ``status.json`` says ``done``, or ``failed`` with the reason; an exception (also Ctrl-C and
    SIGTERM) is written to ``error.log`` and raised again.

    Raises:
        ConfigError: the run to resume is still running, or the folder cannot be written.

    Args:
        cfg: the composed configuration; ``seed``, ``name``, ``resume``, ``compute`` and ``logger`` are read.
        task: name of the task.
        flat: the same, flat and resolved, for the logger.
        overrides: the command line.
        folder: the run folder; None: ``cfg.resume`` or a new one below ``outputs``.
        group: group of the W&B run; None: ``cfg.name``.
    """
    resumed = cfg.resume is not None
    if resumed:
        path = Path(cfg.resume).expanduser().resolve()
        run_id = _id_to_resume(path)
    elif folder is not None:
        path = Path(folder).expanduser().resolve()
        run_id = id_of(path) or new_id()
    else:
        run_id = new_id()
        path = new_run_folder(task, cfg.name, run_id)
    try:
        path.mkdir(parents=True, exist_ok=True)
        status = _begin(path, cfg, task, run_id, resumed, overrides)
    except OSError as error:
        what = "cannot be written" if resumed else "cannot be created"
        key = "resume" if resumed else "output"
        raise ConfigError(key, str(path), f"{what}: {error.strerror or error}.") from error
    say(f"{'Resuming' if resumed else 'Run folder'} {path}")
    recorder = Recorder()
    failure: BaseException | None = None
    warnings: list[str] = []
    try:
        with _termination_raises():
            recorder = open_recorder(
                OmegaConf.to_container(cfg.logger, resolve=True),  # type: ignore[arg-type]
                folder=path,
                run_id=run_id,
                title=path.name,
                group=group or cfg.name,
                job_type=task,
                config=flat,
            )
            run = Run(path, run_id, resumed, recorder)
            warnings = run.warnings
            yield run
            run.summary({})
    except BaseException as error:
        failure = error
        write_text(path / "error.log", "".join(traceback.format_exception(error)))
        error.add_note(f"traceback in {path / 'error.log'}")
        raise
    finally:
        end: dict[str, Any] = {"finished": stamp(), "status": "done"}
        if warnings:
            end["warnings"] = warnings
        if failure is not None:
            end |= failed(failure)
        write_json(path / "status.json", status | end)
        recorder.finish(failure is not None)


def _id_to_resume(path: Path) -> str:
    status = read_status(path)
    if status["status"] == "running":
        if status["host"] == socket.gethostname():
            raise ConfigError("resume", str(path), f"this run is still running (process {status['pid']}).")
        say(
            f"Its status says that it runs on {status['host']} (process {status['pid']}), which cannot be "
            "checked from here: if it does, stop one of the two."
        )
    return str(status["id"])


def failed(error: BaseException) -> dict[str, Any]:
    """What ``status.json`` says about a failure: the reason, and whether the input was wrong."""
    return {"status": "failed", "reason": reason(error), "wrong_input": isinstance(error, MagsimError)}


def reason(error: BaseException) -> str:
    """An exception in one sentence."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted (Ctrl-C)"
    if isinstance(error, Terminated):
        return "terminated (SIGTERM)"
    text = " ".join(str(error).split())
    known = type(error).__module__.startswith("magsim.")
    return text if known and text else f"{type(error).__name__}: {text}"


class Terminated(BaseException):
    """SIGTERM arrived."""


@contextmanager
def _termination_raises() -> Iterator[None]:
    """SIGTERM (a queue's time limit, ``kill``) becomes an exception: files are closed, the status is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _begin(
    path: Path, cfg: DictConfig, task: str, run_id: str, resumed: bool, overrides: Sequence[str]
) -> dict[str, Any]:
    """Write the files that say what this run is; returns the status."""
    stored = OmegaConf.merge(cfg, {"resume": None})
    write_text(path / "config.yaml", OmegaConf.to_yaml(stored, resolve=True))
    write_text(path / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    facts = provenance(cfg.seed, cfg.compute.device, overrides)
    status: dict[str, Any] = {
        "status": "running",
        "id": run_id,
        "task": task,
        "name": cfg.name,
        "started": stamp(),
        "pid": os.getpid(),
        "born": born(os.getpid()),
        "host": socket.gethostname(),
    }
    if resumed:
        first = read_json(path / "provenance.json")
        facts = {**first, "resumed": [*first.get("resumed", []), facts]}
        status["started"] = read_json(path / "status.json").get("started", status["started"])
        (path / "error.log").unlink(missing_ok=True)
    write_json(path / "provenance.json", facts)
    write_json(path / "status.json", status)
    return status


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
