"""What a device can do, and what an evaluation asks of it: bytes moved and operations of matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from magsim.arrays import array_module
from magsim.tasks.benchmark import timing

COPIED = 2**28  # bytes
SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices that are multiplied


@dataclass(frozen=True)
class Limits:
    """Rates of a device, measured with all its cores.

    Attributes:
        bandwidth: bytes per second that a copy reads and writes.
        operations: per second of a product of float32 matrices.
    """

    bandwidth: float
    operations: float

    @property
    def words(self) -> str:
        """What the shares in a table are of, in two sentences."""
        return (
            f"Of bandwidth: share of the rate of a copy ({self.bandwidth / 1e9:.3g} GB/s), counting what "
            "every kernel reads and writes, above 1 where caches serve. Of arithmetic: share of the rate of "
            f"matrix products ({self.operations / 1e9:.3g} Gflop/s, float32), counting dense products alone."
        )


@dataclass(frozen=True)
class Work:
    """What a call did.

    Attributes:
        bytes: that its kernels read and wrote, each tensor counted once a kernel; on a lattice that no cache
            holds all of them go to the memory.
        operations: of its matrix products; sparse ones and pointwise arithmetic are not counted.
    """

    bytes: float
    operations: float

    def share(self, seconds: float, limits: Limits) -> tuple[float, float]:
        """Of the bandwidth and of the arithmetic, if it takes so many seconds."""
        return self.bytes / seconds / limits.bandwidth, self.operations / seconds / limits.operations


def limits(device: str, seconds: float) -> Limits:
    """Measure a device for about so many seconds, twice."""
    source = torch.ones(COPIED // 4, device=device)
    target = torch.empty_like(source)
    n = SIDE[device]
    a = torch.rand(n, n, device=device)
    copy = fastest(lambda: target.copy_(source), device, seconds)
    product = fastest(lambda: a @ a, device, seconds)
    return Limits(2.0 * COPIED / copy, 2.0 * n**3 / product)


def products(device: str, budget: float, n: int = 1024) -> float:
    """Operations per second of a complex128 matrix product on all cores, or on the GPU."""
    xp = array_module(device)
    a = xp.asarray(np.random.default_rng(0).normal(size=(n, n)) + 1j)

    def product() -> None:
        xp.matmul(a, a)
        if xp is not np:
            xp.cuda.Device().synchronize()

    return 8.0 * n**3 / timing.time_calls(product, budget).seconds


def fastest(work: Callable[[], Any], device: str, seconds: float) -> float:
    """As :func:`.timing.fastest`; a call ends when the GPU has finished. With one thread the seconds are
    those of the processor, as in :mod:`magsim.tasks.training.model_cost`: other jobs lengthen them little."""
    alone = torch.get_num_threads() == 1 and device == "cpu"

    def whole() -> None:
        work()
        if device == "cuda":
            torch.cuda.synchronize()

    return timing.fastest(whole, seconds, time.process_time if alone else time.perf_counter)


def work_of(call: Callable[[], Any]) -> Work:
    """Count what a call does, kernel by kernel."""
    with _Counter() as counter:
        call()
    return Work(float(counter.bytes), float(counter.operations))


class _Counter(TorchDispatchMode):
    """Adds up the sizes of what kernels read and write, and the operations of dense products."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        made = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        read = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        known = {_place(x) for x in read}
        views = made and all(_place(x) in known for x in made) and not function._schema.is_mutable
        if not views:
            self.bytes += sum(_size(x) for x in [*made, *read])
        operations = flop_registry.get(function._overloadpacket)
        if operations is not None and all(x.layout == torch.strided for x in read):
            self.operations += operations(*args, **(kwargs or {}), out_val=out)
        return out


def _place(x: Tensor) -> int | None:
    return None if x.layout != torch.strided else x.untyped_storage().data_ptr()


def _size(x: Tensor) -> int:
    if x.layout == torch.sparse_csr:
        return sum(_size(part) for part in (x.values(), x.col_indices(), x.crow_indices()))
    return x.numel() * x.element_size()
