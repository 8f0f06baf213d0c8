"""From a configuration to a finished run: which module is the task, and everything around it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from magsim.arrays import set_cores
from magsim.config import check, to_flat
from magsim.config.checks.stages import driver_sees_a_gpu, makes_labels
from magsim.errors import ConfigError
from magsim.runs import Run, open_run

# Name of the task -> its module, imported when it is needed; each has run(cfg, run) -> final metrics.
TASKS = {
    "pipeline": "magsim.tasks.pipeline",
    "label": "magsim.tasks.label",
    "train": "magsim.tasks.train",
    "evaluate": "magsim.tasks.evaluate",
    "export": "magsim.tasks.export",
    "simulate": "magsim.tasks.simulate",
    "agreement": "magsim.tasks.agreement",
    "benchmark": "magsim.tasks.benchmark",
    "compare": "magsim.tasks.compare",
    "locality": "magsim.tasks.locality",
    "spectrum": "magsim.tasks.spectrum",
    "active": "magsim.tasks.active",
    "analyze": "magsim.tasks.analyze",
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
        folder: the run folder; None: ``resume``, ``output`` (not for ``task=label`` and ``task=export``,
            whose output is the dataset or file), or a new one below ``outputs``.
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
    if cfg.output is not None and cfg.task.name == "label":
        _place_of_a_dataset(cfg.output)
    elif cfg.output is not None and cfg.task.name == "export":
        _place_of_a_file(cfg.output)
    elif cfg.output is not None and folder is None and cfg.resume is None:
        folder = _free(cfg.output)
    with (
        open_run(
            cfg, cfg.task.name, flat=to_flat(cfg), overrides=overrides, folder=folder, group=group
        ) as run,
        _threads(cfg.compute.threads),
    ):
        _say_devices(cfg, run)
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


def _place_of_a_dataset(output: str) -> None:
    """Refuse a path at which no dataset can be made; one that is there already may be reused or continued."""
    path = Path(output).expanduser().resolve()
    if path.is_dir() and any(path.iterdir()) and not (path / "zarr.json").is_file():
        what = "a run folder" if (path / "status.json").exists() else "a folder with other files"
        raise ConfigError(
            "output", output, f"is {what}, not a dataset; task=label writes a dataset there: choose another."
        )
    if path.exists() or path.suffix == ".npz":  # the task says that a dataset is a folder
        return
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise ConfigError("output", output, f"cannot be created: {error.strerror or error}.") from error
    with contextlib.suppress(OSError):  # another job may have begun to write
        path.rmdir()


def _say_devices(cfg: DictConfig, run: Run) -> None:
    """``compute=auto`` asks torch and CuPy separately: say so where they answer differently."""
    if cfg.compute.device != "auto" or not makes_labels(cfg) or not driver_sees_a_gpu():
        return
    from magsim.tasks.build import labeler_device, torch_device

    labels, models = labeler_device(cfg), torch_device(cfg).type
    if labels != models:
        missing = "CuPy (extra cuda12 or cuda13)" if labels == "cpu" else "a CUDA build of torch"
        run.say(f"Labels on {labels}, models and dynamics on {models}: {missing} is missing or sees no GPU.")


def _place_of_a_file(output: str) -> None:
    """Refuse a path at which no model file can be written; a file that is there is replaced."""
    path = Path(output).expanduser().resolve()
    if path.suffix != ".safetensors" or path.is_dir():
        raise ConfigError("output", output, "must be a file that ends in .safetensors.")


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    """Limit the threads of torch, of BLAS and of the batched eigensolver; the next job of a sweep is free of
    it."""
    if threads is None:
        yield
        return
    import scipy.linalg  # noqa: F401  its BLAS is another one than NumPy's, and limited only once loaded
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    set_cores(threads)
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
        set_cores(None)
