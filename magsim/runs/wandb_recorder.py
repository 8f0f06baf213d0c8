"""Weights & Biases: one run for each job, offline where nobody is logged in, never in the way."""

from __future__ import annotations

import netrc
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from magsim.runs.console import say

START_TIMEOUT = 30  # seconds to reach the server before recording offline
FINISH_TIMEOUT = 120  # seconds for the last upload


class Recorder:
    """Records nothing; what ``logger=csv`` uses. The files of the run folder are written without it."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """A row of metrics."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Final metrics."""

    def image(self, name: str, path: Path, caption: str | None) -> None:
        """A figure."""

    def artifact(self, kind: str, name: str, path: Path, facts: Mapping[str, Any]) -> None:
        """A dataset, model or trajectory."""

    def finish(self, failed: bool) -> None:
        """Close the record."""


def open_recorder(
    options: Mapping[str, Any],
    *,
    folder: Path,
    run_id: str,
    title: str,
    group: str,
    job_type: str,
    config: Mapping[str, Any],
) -> Recorder:
    """The recorder that ``logger`` names.

    Args:
        options: the ``logger`` node.
        run_id: id of the W&B run; the same id continues the same run.
        config: flat resolved configuration.
    """
    if options["name"] != "wandb":
        return Recorder()
    try:
        import wandb
    except ImportError:
        say("wandb is not installed (pip install wandb): metrics and figures are in the run folder only.")
        return Recorder()
    mode = _mode(str(options["mode"]))
    if mode == "disabled":
        return Recorder()
    start: dict[str, Any] = {
        "project": options["project"],
        "entity": options["entity"],
        "dir": str(folder),
        "id": run_id,
        "resume": "allow",
        "name": title,
        "group": group,
        "job_type": job_type,
        "config": dict(config),
    }
    for attempt in dict.fromkeys((mode, "offline")):
        settings = wandb.Settings(
            console="off",
            silent=True,
            init_timeout=START_TIMEOUT,
            x_disable_stats=True,
            disable_git=True,
            disable_code=True,
        )
        try:
            start["mode"] = attempt
            run = wandb.init(settings=settings, **start)
        except Exception as error:  # whatever the network or the service does, the run goes on
            detail = (str(error) or type(error).__name__).splitlines()[0]
            say(f"W&B does not start {attempt} ({detail}).")
            continue
        return WandbRecorder(run, attempt == "offline", int(options["artifact_limit_mb"]))
    return Recorder()


class WandbRecorder(Recorder):
    """Forwards to an open W&B run; each prefix ``stage/`` of the keys has its own axis ``stage/step``."""

    def __init__(self, run: Any, offline: bool, artifact_limit_mb: int) -> None:
        self._run, self._offline, self._limit = run, offline, artifact_limit_mb * 1_000_000
        self._axes: set[str] = set()

    def log(self, values: Mapping[str, float], step: int) -> None:
        row: dict[str, Any] = dict(values)
        for prefix in {key.rpartition("/")[0] for key in values}:
            axis = f"{prefix}/step" if prefix else "step"
            if axis not in self._axes:
                self._axes.add(axis)
                self._run.define_metric(axis, hidden=True)
                self._run.define_metric(f"{prefix}/*" if prefix else "*", step_metric=axis)
            row[axis] = step
        self._run.log(row)

    def summary(self, values: Mapping[str, Any]) -> None:
        self._run.summary.update(dict(values))

    def image(self, name: str, path: Path, caption: str | None) -> None:
        import wandb

        self._run.log({f"figures/{name}": wandb.Image(str(path), caption=caption)})

    def artifact(self, kind: str, name: str, path: Path, facts: Mapping[str, Any]) -> None:
        import wandb

        artifact = wandb.Artifact(name, type=kind, metadata=dict(facts))
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        if sum(file.stat().st_size for file in files) > self._limit:
            artifact.add_reference(path.resolve().as_uri(), checksum=False)
        else:
            root = path if path.is_dir() else path.parent
            for file in files:
                name_inside = file.relative_to(root).as_posix()
                artifact.add_file(str(file), name=name_inside, policy="immutable", skip_cache=True)
        self._run.log_artifact(artifact)

    def finish(self, failed: bool) -> None:
        folder = Path(self._run.dir).parent
        worker = threading.Thread(target=self._run.finish, kwargs={"exit_code": int(failed)}, daemon=True)
        worker.start()
        worker.join(FINISH_TIMEOUT)
        if worker.is_alive():
            say(f"W&B is still uploading; wandb sync {folder} sends what is missing.")
        elif self._offline:
            say(f"W&B recorded offline: wandb sync {folder}")


def _mode(wanted: str) -> str:
    """``online``, ``offline`` or ``disabled``; the environment variable WANDB_MODE wins."""
    forced = os.environ.get("WANDB_MODE", "").lower()
    if forced in ("online", "offline", "disabled"):
        return forced
    if wanted != "auto":
        return wanted
    return "online" if _logged_in() else "offline"


def _logged_in() -> bool:
    """Whether there are credentials, found without asking the server or the user."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
