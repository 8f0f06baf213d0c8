"""Several processes that simulate one lattice, each a slab of it; the first is the one that records."""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from magsim.dynamics import EffectiveField, Frame, Integrator, Protocol, evolve
from magsim.dynamics.parallel import ParallelField, ProcessShare, whole_frames
from magsim.dynamics.pieces import SlabField
from magsim.errors import ConfigError, RunError
from magsim.tasks.meeting import SILENCE, free_port

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


@dataclass(frozen=True, eq=False)
class Job:
    """What every process of a run needs; ``field`` is on the CPU."""

    field: SlabField
    integrator: Integrator
    protocol: Protocol
    seed: int
    start_step: int
    record_every: int | None
    replicas: int
    device: str
    port: int
    threads: int


@contextmanager
def moving(
    field: EffectiveField,
    spins: Tensor,
    integrator: Integrator,
    protocol: Protocol,
    seed: int,
    start_step: int = 0,
    record_every: int | None = None,
    tick: Callable[[int], None] | None = None,
    processes: int = 1,
    steps: str = "auto",
) -> Iterator[Iterator[Frame]]:
    """The frames of a run, by this process alone or with others.

    Args:
        field: a :class:`SlabField` of as many slabs where there are several processes.
        steps: for one process; several do them by torch.
        others: as of :func:`magsim.dynamics.evolve`.

    Raises:
        ConfigError: fewer GPUs than processes.
        RunError: one of the processes failed; all have stopped.
    """
    if processes == 1:
        how = (integrator, protocol, seed, start_step, None, record_every)
        yield evolve(field, spins, *how, tick=tick, steps=steps)
        return
    assert isinstance(field, SlabField)
    device = spins.device.type
    if device == "cuda" and torch.cuda.device_count() < processes:
        raise ConfigError(
            "compute.processes", processes, f"torch sees {torch.cuda.device_count()} CUDA devices."
        )
    threads = torch.get_num_threads()
    there = copy.deepcopy(field).to("cpu") if device == "cuda" else field
    share = max(1, threads // processes)
    recipe = (there, integrator, protocol, seed, start_step, record_every)
    job = Job(*recipe, len(spins), device, free_port(), share)
    others: list[tuple[BaseProcess, connection.Connection]] = []
    try:
        torch.set_num_threads(share)
        others = [_start(rank, job) for rank in range(1, processes)]
        with _group(0, processes, job):
            yield _frames(0, job, field, spins, tick)
        for process, _ in others:
            process.join(SILENCE.total_seconds())
    except RuntimeError as error:  # of torch.distributed; no error of this program is one
        for process, _ in others:
            process.join(2.0)
        raise _failure(others, error) from error
    finally:
        for process, _ in others:
            if process.is_alive():
                process.terminate()
            process.join(10.0)
        torch.set_num_threads(threads)


def _frames(
    rank: int, job: Job, field: SlabField, spins: Tensor | None, tick: Callable[[int], None] | None = None
) -> Iterator[Frame]:
    place = torch.device("cpu" if job.device == "cpu" else f"cuda:{rank}")
    share = ProcessShare(field.cut, rank, place)
    mine = share.scattered(spins, job.replicas)
    part = ParallelField(field.piece, share, field)
    how = (job.integrator, job.protocol, job.seed, job.start_step, None, job.record_every)
    return whole_frames(evolve(part, mine, *how, tick=tick), share)


@contextmanager
def _group(rank: int, processes: int, job: Job) -> Iterator[None]:
    backend = "gloo" if job.device == "cpu" else "nccl"
    place = f"tcp://127.0.0.1:{job.port}"
    dist.init_process_group(backend, init_method=place, rank=rank, world_size=processes, timeout=SILENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _start(rank: int, job: Job) -> tuple[BaseProcess, connection.Connection]:
    """Another process, and what it has to say if it fails."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_accompany, args=(there, rank, job), daemon=True)
    process.start()
    there.close()
    if here not in connection.wait([here, process.sentinel], SILENCE.total_seconds()):
        process.terminate()
        raise RunError(f"Process {rank} of the simulation did not start; see its message above.")
    here.recv()
    return process, here


def _accompany(pipe: Any, rank: int, job: Job) -> None:
    """The life of a process that is not the first."""
    pipe.send(None)  # it has everything it needs
    torch.set_num_threads(job.threads)
    if job.device == "cuda":
        torch.cuda.set_device(rank)
        job.field.to(f"cuda:{rank}")
    try:
        with _group(rank, job.field.cut.n, job):
            for _ in _frames(rank, job, job.field, None):
                pass
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        with contextlib.suppress(OSError):
            pipe.send(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


def _failure(
    others: list[tuple[BaseProcess, connection.Connection]], error: RuntimeError
) -> RunError | RuntimeError:
    """What went wrong where: a process that lost its neighbour only tells that."""
    said = []
    for rank, (process, pipe) in enumerate(others, 1):
        with contextlib.suppress(EOFError, OSError):
            if pipe.poll():
                said.append((rank, str(pipe.recv())))
                continue
        if process.exitcode:
            said.append((rank, f"it ended with exit code {process.exitcode}"))
    if not said:
        return error
    own = [(rank, text) for rank, text in said if "peer" not in text and "gloo" not in text.lower()]
    rank, text = (own or said)[0]
    return RunError(f"Process {rank} of the simulation failed: {text}")
