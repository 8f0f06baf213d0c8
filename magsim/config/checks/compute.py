"""Where a job computes: its device, its workers and the cluster they run on."""

from __future__ import annotations

import re
from importlib.util import find_spec
from shutil import which

from omegaconf import DictConfig

from magsim.config.checks.require import not_negative, one_of, positive, require
from magsim.config.checks.stages import driver_sees_a_gpu, makes_labels
from magsim.config.checks.steps import check_steps

ADDRESS = re.compile(r"(tcp|tls|ucx|wss?)://(\[[^\]\s]+\]|[^\s:/]+):\d{1,5}")  # of a dask scheduler


def check_compute(cfg: DictConfig) -> None:
    """Device, threads, kind of steps, workers and the cluster they run on."""
    _device(cfg)
    positive(cfg, "compute.workers", "compute.processes", "compute.slurm.cores")
    not_negative(cfg, "compute.cost_seconds")
    _division(cfg)
    check_steps(cfg)
    cluster = str(cfg.compute.cluster)
    require(
        cfg,
        "compute.cluster",
        cluster in ("local", "slurm") or ADDRESS.fullmatch(cluster) is not None,
        "must be local, slurm or the address of a dask scheduler, as in tcp://host:8786.",
    )
    if cluster == "slurm":
        require(
            cfg,
            "compute.slurm.walltime",
            re.fullmatch(r"(\d+-)?\d{1,2}:\d\d(:\d\d)?", str(cfg.compute.slurm.walltime)) is not None,
            "must be hours:minutes:seconds, as in 01:00:00.",
        )
        require(
            cfg,
            "compute.slurm.memory",
            re.fullmatch(r"\d+(\.\d+)? ?[kMGT]i?B", str(cfg.compute.slurm.memory)) is not None,
            "must be a number with its unit, as in 4GB.",
        )
    if makes_labels(cfg) and (cluster != "local" or cfg.compute.workers > 1):
        _programs(cfg, cluster)


def _division(cfg: DictConfig) -> None:
    """Into how many pieces a lattice is cut, for memory or for processes."""
    slabs, processes = str(cfg.compute.slabs), int(cfg.compute.processes)
    require(
        cfg,
        "compute.slabs",
        slabs == "auto" or re.fullmatch(r"[1-9]\d*", slabs) is not None,
        "must be auto or a positive whole number.",
    )
    for key, value in {"compute.slabs": slabs, "compute.processes": str(processes)}.items():
        words = "exact electrons see the whole lattice; only learned and classical fields are cut: use 1."
        cut = value not in ("auto", "1") and cfg.task.name == "simulate"
        require(cfg, key, not (cut and makes_labels(cfg)), words)
    if processes == 1:
        return
    require(
        cfg, "compute.processes", slabs in ("auto", "1"), f"each has a slab: compute.slabs={slabs} is one."
    )
    require(
        cfg,
        "compute.processes",
        cfg.task.name in ("simulate", "pipeline"),
        "processes share a lattice in task=simulate (and the large run of the pipeline); use 1.",
    )
    require(
        cfg,
        "compute.processes",
        cfg.integrator.name != "suzuki_trotter",
        "integrator=suzuki_trotter knows the lattice as a whole; use another, or 1.",
    )


def _programs(cfg: DictConfig, cluster: str) -> None:
    """What workers need is installed."""
    key = "compute.workers" if cluster == "local" else "compute.cluster"
    require(
        cfg,
        key,
        find_spec("distributed") is not None,
        "workers need dask.distributed; pip install distributed, or use compute.workers=1.",
    )
    if cluster == "slurm":
        require(
            cfg, key, find_spec("dask_jobqueue") is not None, "needs dask-jobqueue; install the extra slurm."
        )
        require(
            cfg,
            key,
            which("sbatch") is not None,
            "there is no sbatch here; submit from a login node.",
        )


def _device(cfg: DictConfig) -> None:
    one_of(cfg, "compute.device", ("auto", "cpu", "cuda"))
    positive(cfg, "compute.threads", null="what the libraries choose")
    if cfg.compute.device == "cuda":
        require(
            cfg,
            "compute.device",
            driver_sees_a_gpu(),
            "no CUDA device here; use compute=cpu or compute=auto.",
        )
        import torch

        require(
            cfg,
            "compute.device",
            torch.cuda.is_available(),
            f"torch {torch.__version__} cannot use the GPU; install a CUDA build or use compute=cpu.",
        )
        if makes_labels(cfg):
            from magsim.arrays import array_module

            array_module("cuda")  # says what is missing
