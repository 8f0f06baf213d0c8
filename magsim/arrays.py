"""The array namespace: NumPy on the CPU, CuPy on the GPU, through one code path.

Only this module imports cupy. Code that computes on arrays asks for the namespace once
(``xp = array_module(device)``) and then writes ``xp.linalg.eigh`` for both.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from magsim.errors import ConfigError


def array_module(device: str) -> ModuleType:
    """Return ``numpy`` for ``"cpu"`` and ``cupy`` for ``"cuda"``.

    Raises:
        ConfigError: cupy or a GPU is missing, or the device is unknown.
    """
    if device == "cpu":
        return np
    if device != "cuda":
        raise ConfigError("compute.device", device, "the labelers run on cpu or cuda.")
    try:
        import cupy
    except ImportError as error:
        raise ConfigError(
            "compute.device", device, "cupy is not installed; install the extra cuda12 or cuda13, or use cpu."
        ) from error
    if not cuda_available():
        raise ConfigError("compute.device", device, "no CUDA device is visible; use cpu.")
    return cupy


def cuda_available() -> bool:
    """Whether cupy is installed and sees a GPU."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount()) > 0
    except Exception:  # no cupy, no driver or no device: each raises its own error
        return False


def namespace(array: Any) -> ModuleType:
    """The module (``numpy`` or ``cupy``) that an array belongs to."""
    if type(array).__module__.split(".")[0] == "cupy":
        import cupy

        return cupy
    return np


def to_numpy(array: Any) -> np.ndarray:
    """Copy a NumPy, CuPy or torch array to host memory."""
    if hasattr(array, "detach"):
        return array.detach().cpu().numpy()
    if hasattr(array, "get"):
        return array.get()
    return np.asarray(array)


def free_memory(xp: ModuleType) -> float:
    """Free bytes that a batch may use: device memory on CuPy, a fixed cautious 2 GiB on NumPy."""
    if xp is np:
        return 2.0 * 2**30
    free, _ = xp.cuda.runtime.memGetInfo()
    return 0.8 * float(free)


def physical_memory() -> float:
    """Bytes of memory of this machine; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf


# Below this size LAPACK gains nothing from threads inside one matrix (and loses a lot when cores are shared).
SMALL_MATRIX = 700
SMALL_BATCHED = 32  # cuSOLVER's own limit for its batched solver


def eigh(matrices: Any, xp: ModuleType = np) -> tuple[Any, Any]:
    """Eigenvalues ``(B, n)`` and eigenvectors ``(B, n, n)`` of Hermitian matrices ``(B, n, n)``.

    CuPy: batched on the GPU. NumPy: matrices are shared among the cores, one thread each, so that a batch
    gives bitwise what its members give alone with one thread; large ones by LAPACK's ``evr``, its fastest
    driver. A large one that is alone gets all threads of BLAS.
    """
    if xp is not np:
        return _eigh_cupy(matrices, xp)
    large = matrices.shape[-1] > SMALL_MATRIX
    if large:
        from magsim.lapack import evr

        if len(matrices) == 1:
            levels, vectors = evr(matrices[0])
            return levels[None], vectors[None]
    from threadpoolctl import threadpool_limits

    workers = min(cores(), len(matrices))
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        if large:
            pairs = list(pool.map(evr, matrices))
            return np.stack([values for values, _ in pairs]), np.stack([vectors for _, vectors in pairs])
        parts = list(pool.map(np.linalg.eigh, np.array_split(matrices, workers)))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _eigh_cupy(matrices: Any, xp: ModuleType) -> tuple[Any, Any]:
    """One divide-and-conquer call for each matrix: cuSOLVER's batched routine is a Jacobi method for small
    matrices only."""
    if matrices.shape[-1] <= SMALL_BATCHED:
        return xp.linalg.eigh(matrices)
    pairs = [xp.linalg.eigh(matrix) for matrix in matrices]
    return xp.stack([values for values, _ in pairs]), xp.stack([vectors for _, vectors in pairs])


_chosen_cores: int | None = None


def set_cores(n: int | None) -> None:
    """Let :func:`cores` be ``n``; None: what the environment allows."""
    global _chosen_cores
    _chosen_cores = n


def cores() -> int:
    """Cores this process may use: those of :func:`set_cores`, else ``OMP_NUM_THREADS`` if set, else those of
    its affinity mask."""
    if _chosen_cores is not None:
        return _chosen_cores
    asked = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked) if asked.isdigit() and int(asked) > 0 else available
