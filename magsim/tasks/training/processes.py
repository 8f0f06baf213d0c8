"""Several processes that train one model, each on its share of every batch."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.split import Split
from magsim.errors import ConfigError, RunError
from magsim.lattice import Lattice
from magsim.runs import Run
from magsim.runs.wandb_recorder import Recorder
from magsim.tasks.build import torch_device
from magsim.tasks.meeting import SILENCE, free_port

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

LOUD = ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda", "lightning_fabric")


@dataclass(frozen=True, eq=False)
class Lesson:
    """What every process of a training needs.

    Attributes:
        cfg: the configuration.
        dataset, split: what is learned.
        lattice: of the dataset.
        start: model file whose weights and statistics are the first ones; None: random weights.
    """

    cfg: DictConfig
    dataset: SpinDataset
    split: Split
    lattice: Lattice
    start: Path | None = None


class QuietRun(Run):
    """The run of a process that is not the first: it tells and writes nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "", False, Recorder())

    def say(self, text: str) -> None:
        """Nothing."""


def hardware(device: torch.device, processes: int) -> dict[str, Any]:
    """Arguments of Lightning's trainer: one process, or several whose gradients are averaged (DDP).

    gloo joins processes on CPUs, nccl GPUs.
    """
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    accelerator = "gpu" if device.type == "cuda" else "cpu"
    if processes == 1:
        return {"accelerator": accelerator, "devices": 1}
    strategy = DDPStrategy(
        process_group_backend="nccl" if device.type == "cuda" else "gloo",
        cluster_environment=LightningEnvironment(),
        timeout=SILENCE,
        find_unused_parameters=True,  # the constant of an energy has no gradient in the torque
    )
    return {"accelerator": accelerator, "devices": processes, "strategy": strategy}


@contextmanager
def companions(lesson: Lesson, folder: Path) -> Iterator[None]:
    """The other processes of a training with ``trainer.devices`` of them, while this one trains.

    Raises:
        ConfigError: fewer GPUs than processes.
        RunError: one of them failed (its own message is on standard error).
    """
    count, device = int(lesson.cfg.trainer.devices), torch_device(lesson.cfg)
    if count == 1:
        yield
        return
    if device.type == "cuda" and torch.cuda.device_count() < count:
        raise ConfigError("trainer.devices", count, f"torch sees {torch.cuda.device_count()} CUDA devices.")
    before, threads = dict(os.environ), torch.get_num_threads()
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "NODE_RANK": "0"}
    share = max(1, threads // count)
    others: list[BaseProcess] = []
    try:
        others = [_start(meeting | {"LOCAL_RANK": str(r)}, share, lesson, folder) for r in range(1, count)]
        os.environ |= meeting | {"LOCAL_RANK": "0"}
        torch.set_num_threads(share)
        yield
        for process in others:
            process.join(SILENCE.total_seconds())
    except RuntimeError as error:
        for process in others:
            process.join(1.0)
        dead = [rank for rank, process in enumerate(others, 1) if process.exitcode]
        if not dead:
            raise
        raise RunError(
            f"Process {dead[0]} of {count} of the training died; see its message above."
        ) from error
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(before)


def _start(environment: dict[str, str], threads: int, lesson: Lesson, folder: Path) -> BaseProcess:
    """Another process that has everything it needs to train.

    Raises:
        RunError: it died on the way.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    job = (there, environment, threads, lesson, folder)
    process = spawn.Process(target=_accompany, args=job, daemon=True)
    process.start()
    if here not in connection.wait([here, process.sentinel], SILENCE.total_seconds()):
        process.terminate()
        rank = environment["LOCAL_RANK"]
        raise RunError(f"Process {rank} of the training did not start; see its message above.")
    return process


def _accompany(ready: Any, environment: dict[str, str], threads: int, lesson: Lesson, folder: Path) -> None:
    """The life of a process that is not the first."""
    from magsim.tasks.training.fitting import descend

    os.environ |= environment
    torch.set_num_threads(threads)
    ready.send(True)
    descend(lesson, QuietRun(folder), {})
