"""From a configuration to a finished run: which module is the task, and everything around it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from magsim.config import check, to_flat
from magsim.errors import ConfigError
from magsim.runs import open_run

# Name of the task -> its module, imported when it is needed; each has run(cfg, run) -> final metrics.
TASKS = {
    "pipeline": "magsim.tasks.pipeline",
    "label": "magsim.tasks.label",
    "train": "magsim.tasks.train",
    "evaluate": "magsim.tasks.evaluate",
    "simulate": "magsim.tasks.simulate",
    "benchmark": "magsim.tasks.benchmark",
    "compare": "magsim.tasks.compare",
}


def execute(
    cfg: DictConfig,
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    group: str | None = None,
) -> dict[str, Any]:
    """Check a configuration, open its run, do its task.

    Args:
        cfg: as :func:`magsim.config.compose` returns it.
        overrides: what it was composed from; stored in the run folder.
        folder: the run folder; None: ``resume``, ``output`` (not for ``task=label``, whose output is the
            dataset), or a new one below ``outputs``.
        group: group of the W&B run; None: ``name``.

    Returns:
        the final metrics, as in ``metrics.json``.

    Raises:
        MagsimError: the configuration or the data cannot be used.
        RunError: the run failed.
    """
    check(cfg)
    if cfg.task.name not in TASKS:
        raise ConfigError("task.name", cfg.task.name, f"must be one of {', '.join(TASKS)}.")
    if folder is None and cfg.resume is None and cfg.output is not None and cfg.task.name != "label":
        folder = _free(cfg.output)
    with open_run(
        cfg, cfg.task.name, flat=to_flat(cfg), overrides=overrides, folder=folder, group=group
    ) as run:
        _set_threads(cfg.compute.threads)
        metrics = import_module(TASKS[cfg.task.name]).run(cfg, run)
        run.summary(metrics or {})
    return run.metrics


def _free(output: str) -> Path:
    """A folder for a new run: not there yet, or empty."""
    path = Path(output).expanduser().resolve()
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        hint = (
            f"resume={output} continues the run in it"
            if (path / "status.json").exists()
            else "choose another"
        )
        raise ConfigError("output", output, f"exists and is not empty; {hint}.")
    return path


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
