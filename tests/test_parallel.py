"""One lattice on two processes: the run is that of one process to rounding, and stops as one."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from magsim.config import compose, resumed
from magsim.dynamics import (
    ClassicalField,
    FieldSweep,
    Quench,
    Relax,
    evolve,
    initial_spins,
    make_integrator,
    open_trajectory,
)
from magsim.dynamics.effective_field import EffectiveField
from magsim.dynamics.parallel import ParallelField, ProcessShare, whole_frames
from magsim.dynamics.pieces import Piece, SlabField
from magsim.errors import ConfigError, RunError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.tasks import simulate as task
from magsim.tasks.dispatch import execute
from magsim.tasks.meeting import free_port
from magsim.tasks.simulation.team import moving
from tests.test_slabs import learned

SQUARE = make_lattice("square", (9, 4))
STRIP = make_lattice("triangular", (11, 4), ["open", "periodic"])
WARM = {"dt": 0.05, "alpha": 0.4, "T": 0.2}


def classical(lattice):
    return ClassicalField(ClassicalHamiltonian(lattice, heisenberg=(1.0, -0.4), dm=0.3, easy_axis=0.2))


QUENCH = Quench(8, 4, 2)
CASES = {
    "heun": (classical, SQUARE, make_integrator("heun", **WARM), QUENCH),
    "rk4": (classical, STRIP, make_integrator("rk4", **WARM), QUENCH),
    "sib": (classical, SQUARE, make_integrator("sib", **WARM), QUENCH),
    "depondt": (classical, STRIP, make_integrator("depondt", **WARM), QUENCH),
    "midpoint": (classical, SQUARE, make_integrator("midpoint", **WARM), QUENCH),
    "network": (lambda lattice: learned("bp", lattice), SQUARE, make_integrator("heun", 0.05, 0.4), QUENCH),
    "message passing and classical": (
        lambda lattice: learned("message passing", lattice) + classical(lattice),
        STRIP,
        make_integrator("sib", 0.05, 0.4),
        QUENCH,
    ),
    "minimiser": (
        classical,
        SQUARE,
        make_integrator("heun"),
        Relax(15, 5, 2, tolerance=0, method="lbfgs"),
    ),
    "damped": (classical, STRIP, make_integrator("heun", 0.1, 1.0), Relax(60, 20, tolerance=0.05)),
    "loop": (
        classical,
        SQUARE,
        make_integrator("heun", 0.1, 1.0),
        FieldSweep(direction=(1, 0, 2), points=2, hold=20, record_every=20, tolerance=0.2),
    ),
}


def share_the_cases(rank: int, port: int) -> dict[str, list]:
    """The frames of all cases, by one of two processes."""
    torch.set_num_threads(1)
    place = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", place, timedelta(minutes=2), world_size=2, rank=rank)
    answers = {}
    for name, (make, lattice, integrator, protocol) in CASES.items():
        field = SlabField(make(lattice), lattice, 2)
        share = ProcessShare(field.cut, rank, torch.device("cpu"))
        whole = torch.from_numpy(initial_spins(protocol, lattice, 5)) if rank == 0 else None
        mine = share.scattered(whole, protocol.replicas)
        frames = evolve(ParallelField(field.piece, share, field), mine, integrator, protocol, 5)
        answers[name] = list(whole_frames(frames, share))
    dist.destroy_process_group()
    return answers


@pytest.fixture(scope="module")
def shared() -> dict[str, list]:
    port = free_port()
    other = multiprocessing.get_context("spawn").Process(target=share_the_cases, args=(1, port), daemon=True)
    other.start()
    answers = share_the_cases(0, port)
    other.join(60)
    assert other.exitcode == 0
    return answers


@pytest.mark.parametrize("name", CASES)
def test_two_processes_do_what_one_does(name: str, shared: dict[str, list]) -> None:
    """Noise included: it belongs to the sites."""
    make, lattice, integrator, protocol = CASES[name]
    start = torch.from_numpy(initial_spins(protocol, lattice, 5))
    alone = list(evolve(make(lattice), start, integrator, protocol, 5))
    tolerance = 1e-8 if protocol.minimiser else 1e-11  # its decisions amplify rounding
    assert [frame.step for frame in alone] == [frame.step for frame in shared[name]]
    a, b = alone[-1], shared[name][-1]
    assert b.spins.shape == a.spins.shape
    torch.testing.assert_close(b.energy, a.energy, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(b.spins, a.spins, rtol=0, atol=tolerance)
    torch.testing.assert_close(b.field, a.field, rtol=0, atol=10 * tolerance)


class Fragile(Piece):
    """Breaks, or gives no number, on the second of two slabs from the third evaluation on."""

    def __init__(self, how: str) -> None:
        self.halo, self.left, self.how = 1, 3, how

    def bind(self, window) -> None:
        pass

    def to(self, device) -> None:
        pass

    def of_sites(self, spins, own):
        self.left -= 1
        field = torch.zeros_like(spins[:, own])
        if self.left < 0 and dist.is_initialized() and dist.get_rank() == 1:
            if self.how == "breaks":
                raise ValueError("this piece is broken")
            field[0, 2, 1] = float("nan")
        return field.sum((-2, -1)), field


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("breaks", r"Process 1 of the simulation failed: ValueError: this piece is broken"),
        pytest.param(
            "nan", r"the field is not finite at step \d, replica 0, site 18", marks=pytest.mark.slow
        ),
    ],
)
def test_what_goes_wrong_in_one_process_stops_all_with_its_sentence(how: str, sentence: str) -> None:
    field = SlabField(classical(SQUARE), SQUARE, 2)
    field.piece = Fragile(how)
    start = torch.from_numpy(initial_spins(QUENCH, SQUARE, 0))
    with (
        pytest.raises(RunError, match=sentence),
        moving(field, start, make_integrator("heun", 0.1), QUENCH, 0, 0, processes=2) as frames,
    ):
        list(frames)
    assert not dist.is_initialized()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_shared_run_is_recorded_resumed_and_continued_by_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(task, "simulation_page", lambda *given: given[5])
    job = ["task=simulate", "logger=csv", "compute=cpu", "hamiltonian=none", "classical=heisenberg"]
    job += ["lattice.shape=[12,6]", "protocol.record_every=5", "integrator.T=0.1", "integrator.dt=0.05"]
    job += ["observables.names=[energy]"]
    execute(compose([*job, "protocol.steps=20"]), job, tmp_path / "whole")
    parts = [*job, "protocol.steps=10", "compute.processes=2"]
    execute(compose(parts), parts, tmp_path / "parts")
    execute(*resumed(tmp_path / "parts", ["protocol.steps=15"]))
    execute(*resumed(tmp_path / "parts", ["protocol.steps=20", "compute.processes=1"]))
    whole, parts = (
        open_trajectory(tmp_path / n / "trajectory.zarr", verify=True) for n in ("whole", "parts")
    )
    np.testing.assert_array_equal(whole.step, parts.step)
    np.testing.assert_allclose(parts.all_spins(), whole.all_spins(), atol=1e-11)
    np.testing.assert_allclose(parts.energy, whole.energy, atol=1e-10)


def test_what_cannot_be_shared_is_refused() -> None:
    from magsim.config import check

    for words, sentence in {
        ("task=simulate", "compute.processes=2"): r"compute\.processes=2: exact electrons see the whole",
        (
            "task=train",
            "compute.processes=2",
        ): r"compute\.processes=2: processes share a lattice in task=simulate",
        ("task=simulate", "compute.slabs=some"): r"compute\.slabs=some: must be auto or a positive",
    }.items():
        with pytest.raises(ConfigError, match=sentence):
            check(compose(list(words)))
    with pytest.raises(ConfigError, match=r"compute\.processes=12: the lattice has 9 rows"):
        SlabField(classical(SQUARE), SQUARE, 12, "compute.processes")
    assert issubclass(ParallelField, EffectiveField)
