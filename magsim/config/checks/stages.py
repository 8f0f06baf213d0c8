"""Which stages a job goes through, and on what: checks concern only what is going to be used."""

from __future__ import annotations

import ctypes

from omegaconf import DictConfig


def makes_labels(cfg: DictConfig) -> bool:
    """Whether the electrons are solved: data are made, or spins move in the exact field.

    A dataset that exists already is not looked for.
    """
    task = cfg.task.name
    if task in ("label", "benchmark", "locality", "spectrum", "active", "agreement"):
        return True
    if task == "simulate":
        return cfg.checkpoint is None and cfg.hamiltonian.name != "none"
    return task in ("pipeline", "train") and cfg.data.path is None


def lattice_keys(cfg: DictConfig) -> list[str]:
    """Keys of the lattice shapes on which the electrons are solved."""
    if not makes_labels(cfg):
        return []
    if cfg.task.name == "benchmark":
        return [f"task.shapes[{i}]" for i in range(len(cfg.task.shapes))]
    return ["lattice.shape"]


def driver_sees_a_gpu() -> bool:
    """Asks the CUDA driver itself: importing torch takes seconds."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            cuda = ctypes.CDLL(library)
        except OSError:
            continue
        count = ctypes.c_int(0)
        return cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    return False
