"""How the steps of a simulation are done, where that is asked for."""

from __future__ import annotations

import os
from importlib.util import find_spec
from shutil import which

from omegaconf import DictConfig

from magsim.config.checks.require import one_of, require
from magsim.config.checks.stages import driver_sees_a_gpu, makes_labels

STEPS = ("auto", "eager", "graph", "fused")
IMPLICIT = ("midpoint",)
KEY = "compute.steps"


def check_steps(cfg: DictConfig) -> None:
    """``compute.steps`` is auto, or what this run and this machine can do."""
    one_of(cfg, KEY, STEPS)
    steps = cfg.compute.steps
    if steps == "auto":
        return
    words = "is for spins that move: task=simulate (and the large run of the pipeline); use auto."
    require(cfg, KEY, cfg.task.name in ("simulate", "pipeline"), words)
    if steps == "eager":
        return
    _run(cfg)
    _machine(cfg)


def _run(cfg: DictConfig) -> None:
    """Steps that are the same kernels every time."""
    exact = cfg.task.name == "simulate" and makes_labels(cfg)
    integrator, method = cfg.integrator.name, str(cfg.protocol.get("method", "llg"))
    refused = {
        "exact electrons are not the same kernels in every step, learned and classical fields are": exact,
        f"integrator={integrator} repeats its step until it converges": integrator in IMPLICIT,
        "with integrator.tolerance steps are cut as their errors ask": cfg.integrator.tolerance is not None,
        f"protocol.method={method} searches along lines": method != "llg",
        "several processes exchange spins in every step": cfg.compute.processes > 1,
        "slabs are evaluated one after the other": str(cfg.compute.slabs) not in ("auto", "1"),
    }
    for words, holds in refused.items():
        require(cfg, KEY, not holds, f"{words}; use auto or eager.")


def _machine(cfg: DictConfig) -> None:
    """A GPU that torch can use, and for fused steps what ``torch.compile`` needs there."""
    here = cfg.compute.device != "cpu" and driver_sees_a_gpu()
    if here:
        import torch

        here = torch.cuda.is_available()
    device = cfg.compute.device
    words = f"needs a CUDA GPU that torch can use, and compute.device={device} gives none here; use auto."
    require(cfg, KEY, here, words)
    if cfg.compute.steps == "fused":
        words = "torch.compile needs triton for a GPU, which is not installed; use graph or auto."
        require(cfg, KEY, find_spec("triton") is not None, words)
        compilers = (os.environ.get("CC", "cc"), "gcc", "clang")
        words = "torch.compile needs a C compiler (gcc, clang, or that of CC); use graph or auto."
        require(cfg, KEY, any(which(name) for name in compilers), words)
