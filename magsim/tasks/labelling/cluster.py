"""Worker processes: on this machine, through SLURM, or those of a dask scheduler that runs already."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import torch
from omegaconf import DictConfig

from magsim.arrays import cores
from magsim.errors import ConfigError
from magsim.tasks.build import labeler_device
from magsim.tasks.labelling.worker import GPUS

PRELOAD = "magsim.tasks.labelling.worker"
NO_DASHBOARD = "127.0.0.1:0"  # dask always opens a port for HTTP; a free one, seen by nobody
PATIENCE = 10.0  # seconds to find a scheduler, or to end workers
SETTINGS: dict[str, Any] = {
    # a worker that computes for long without releasing the interpreter is not dead
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.allowed-failures": 3,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
}


@dataclass(frozen=True)
class Crew:
    """Workers and how to reach them.

    Attributes:
        client: of ``dask.distributed``.
        size: workers asked for.
        threads: of each; None: what the worker finds.
    """

    client: Any
    size: int
    threads: int | None

    def members(self) -> set[str]:
        """Addresses of those that are there now."""
        return set(self.client.nthreads())


@contextmanager
def open_crew(cfg: DictConfig, folder: Path) -> Iterator[Crew]:
    """Workers as ``cfg.compute`` asks for; they end when the block is left, or when this process dies.

    Args:
        cfg: ``compute`` is read.
        folder: where the jobs of a queue write their logs.

    Raises:
        ConfigError: no scheduler answers, or jobs cannot be submitted.
    """
    kind, size = str(cfg.compute.cluster), int(cfg.compute.workers)
    level = logging.INFO if cfg.debug else logging.CRITICAL
    words = {"logging": {"distributed": logging.getLevelName(level).lower()}}
    with dask.config.set({**SETTINGS, **words}):
        logging.getLogger("distributed").setLevel(level)
        with ExitStack() as stack:
            cluster, threads = None, None
            if kind == "slurm":
                cluster, threads = _slurm(cfg, folder, level), int(cfg.compute.slurm.cores)
            elif kind == "local":
                threads = max(1, cores() // size)
                cluster = _local(size, threads, labeler_device(cfg), level)
            if cluster is not None:
                stack.callback(_close, cluster)
            client = _client(kind if cluster is None else cluster)
            stack.callback(_close, client)
            yield Crew(client, size, threads)


def _local(size: int, threads: int, device: str, level: int) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=size,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=NO_DASHBOARD,
        memory_limit=0,
        silence_logs=level,
        preload=[PRELOAD],
        env=_environment(threads) | _gpus(device),
    )


def _slurm(cfg: DictConfig, folder: Path, level: int) -> Any:
    """One job for each worker; a job that ends (its time is over, its node fails) is submitted again."""
    from dask_jobqueue import SLURMCluster

    asked, size = cfg.compute.slurm, int(cfg.compute.workers)
    environment = {**_environment(asked.cores), "PYTHONPATH": _python_path()}
    logs = folder / "workers"
    cluster = SLURMCluster(
        queue=asked.queue,
        account=asked.account,
        walltime=str(asked.walltime),
        job_name="magsim-label",
        cores=1,  # tasks at a time
        processes=1,
        job_cpu=int(asked.cores),
        memory=str(asked.memory),
        job_extra_directives=list(asked.directives),
        job_script_prologue=[f"export {key}={shlex.quote(value)}" for key, value in environment.items()],
        worker_extra_args=["--preload", PRELOAD],
        log_directory=str(logs),
        silence_logs=level,
        scheduler_options={"dashboard_address": NO_DASHBOARD, "dashboard": False},
    )
    cluster.adapt(minimum_jobs=size, maximum_jobs=size)
    return cluster


def _client(where: Any) -> Any:
    from distributed import Client

    try:
        return Client(where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError("compute.cluster", where, "no dask scheduler answers there.") from error


def _close(thing: Any) -> None:
    """Close a client or cluster; what does not end in time ends with this process."""
    with suppress(Exception):
        thing.close(timeout=PATIENCE)


def _environment(threads: int) -> dict[str, str]:
    """Cores of a worker: read by OpenMP, BLAS and :func:`magsim.arrays.cores` when it starts."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {name: str(threads) for name in names}


def _gpus(device: str) -> dict[str, str]:
    """The GPUs that local workers share, one for each in turn."""
    if device != "cuda":
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    return {GPUS: visible}


def _python_path() -> str:
    """Where workers on other machines find this program: it may run from a checkout."""
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).resolve().parents[2]), *([given] if given else [])])
