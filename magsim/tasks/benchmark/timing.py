"""How a rate is measured, and on which machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "torch", "cupy-cuda12x", "cupy-cuda13x", "spirit")

FEWEST = 3  # calls, the first to warm up
FEW = 5  # a warm-up call may take this many budgets before it has to serve as the measurement


@dataclass(frozen=True)
class Timing:
    """Seconds of one call (the median), from so many calls."""

    seconds: float
    calls: int


def time_calls(work: Callable[[], Any], budget: float) -> Timing:
    """Call ``work`` once to warm up, then for ``budget`` seconds; the median is robust against other users of
    the machine. A first call that takes much longer than the budget is the measurement."""
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    if first > FEW * budget:
        return Timing(first, 1)
    spent: list[float] = []
    now = time.perf_counter()
    end = now + budget
    while now < end:
        start = now
        work()
        now = time.perf_counter()
        spent.append(now - start)
    return Timing(statistics.median(spent), len(spent))


def fastest(work: Callable[[], Any], seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest call, which others on the machine disturbed least, of those that fit into
    ``seconds`` after one to warm up; two at least."""
    spent: list[float] = []
    while len(spent) < FEWEST or sum(spent) < seconds:
        start = clock()
        work()
        spent.append(clock() - start)
    return min(spent[1:])


@contextmanager
def attempt(what: str, failures: list[str]) -> Iterator[None]:
    """Lets the other measurements go on where this one fails, and notes why."""
    try:
        yield
    except Exception as error:  # of any library or driver
        failures.append(f"{what}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")


def machine(device: str) -> dict[str, Any]:
    """What the numbers were measured on: processor, cores, threads, load of others, versions, GPU."""
    import torch

    gpu = torch.cuda.get_device_name(0) if device == "cuda" else None
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "gpu": gpu,
        "versions": versions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
