"""Steps that a GPU replays or compiles: what they are is tested on the CPU, that it does so on a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from random_models import LEARNED, trained

from magsim.dynamics import (
    INTEGRATORS,
    Anneal,
    ClassicalField,
    EffectiveField,
    FieldSweep,
    LearnedField,
    Quench,
    Relax,
    Schedule,
    SumField,
    evolve,
    kind_of_steps,
    make_integrator,
    recorded,
)
from magsim.dynamics.make_walk import KINDS
from magsim.dynamics.share import WHOLE, Share
from magsim.dynamics.thermostat import Noise
from magsim.dynamics.walk import Course, TorchWalk
from magsim.errors import ConfigError, RunError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.spins import random_spins

EXPLICIT = sorted(name for name, cls in INTEGRATORS.items() if not cls.implicit)
LATTICE = make_lattice("square", (6, 4), ["periodic", "open"])
TERMS = ClassicalHamiltonian(LATTICE, heisenberg=(1.0, 0.3), dm=0.4, zeeman=(0.1, -0.2, 0.4))
SWEEP = FieldSweep(B_max=2.0, points=3, hold=6, record_every=6)
SLOW = ("bp with bispectrum", "bp with chiralities")
COOLING = Anneal(steps=12, T_start=0.5, T_end=0.0, schedule="linear")  # the last step is a cold one


class Shifts(EffectiveField):
    """Classical terms by the operations of a GPU, on any device."""

    steady = True

    def __init__(self, hamiltonian: ClassicalHamiltonian) -> None:
        self.hamiltonian, self.n_sites, self.name = hamiltonian, hamiltonian.n_sites, "shifts"

    def evaluate(self, spins):
        return self.hamiltonian._by_shifts(spins)


def start(n_sites: int = LATTICE.n_sites, replicas: int = 2) -> torch.Tensor:
    return torch.from_numpy(random_spins(n_sites, np.random.default_rng(2), (replicas,)))


def moved(walk, steps: int):
    walk.enter(0)
    for step in range(steps):
        walk.advance(step)
        walk.enter(step + 1)
    return walk.look()


@pytest.mark.parametrize("protocol", [Quench(), COOLING, SWEEP], ids=lambda p: p.name)
def test_replaying_one_step_is_the_run_step_by_step(protocol, monkeypatch):
    """Temperatures, noise and fields that change are seen by a step that was recorded before."""
    runs = []

    def replayed(move, state):
        runs.append(move)
        return SimpleNamespace(replay=lambda: state[0].copy_(move(*state)))

    monkeypatch.setattr(recorded, "recorded", replayed)
    integrator = make_integrator("heun", 0.1, 0.3, 0.2 if protocol.name == "quench" else 0.0)
    how = (Shifts(TERMS), integrator, protocol.timed(0.1), start(), Noise(5, (0, 3)))
    plain = moved(TorchWalk(Course(*how)), 12)
    for answer, expected in zip(moved(recorded.RecordedWalk(Course(*how)), 12), plain, strict=True):
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    assert len(runs) == (2 if protocol is COOLING else 1)


def test_a_run_whose_cold_steps_cannot_be_recorded_goes_on_with_its_hot_ones(monkeypatch):
    """Both move one tensor: a step done as it is written leaves its result where replays look."""
    calls = []

    def replayed(move, state):
        calls.append(move)
        if len(calls) == 2:
            raise RuntimeError("operation not permitted when stream is capturing")
        return SimpleNamespace(replay=lambda: state[0].copy_(move(*state)))

    monkeypatch.setattr(recorded, "recorded", replayed)
    warm_cold_warm = Schedule(steps=12, clock="steps", T=((0, 0.5), (3, 0.0), (6, 0.0), (9, 0.5)))
    how = (Shifts(TERMS), make_integrator("heun", 0.1, 0.3), warm_cold_warm, start(), Noise(5, (0, 3)))
    with pytest.warns(RuntimeWarning, match="could not be recorded"):
        answers = moved(recorded.RecordedWalk(Course(*how)), 12)
    for answer, expected in zip(answers, moved(TorchWalk(Course(*how)), 12), strict=True):
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    assert len(calls) == 2


@pytest.mark.parametrize("name", [n for n in EXPLICIT if n != "suzuki_trotter"])
def test_a_step_of_classical_spins_asks_the_host_for_nothing(name):
    """Fake tensors have no values: whatever looks at one raises."""
    integrator = make_integrator(name, 0.1, 0.3, 0.2)
    walk = recorded.RecordedWalk(Course(Shifts(TERMS), integrator, Quench(), start(), Noise(5, (0, 1))))
    state = (walk._spins, walk._step, walk._bath)
    walk._bath.fill_(0.1)
    expected = walk._hot(*state)
    graph = recorded.operations(walk._hot, state)
    torch.testing.assert_close(graph(*state), expected, rtol=0, atol=1e-13)
    walk._step.fill_(1)
    assert not torch.allclose(graph(*state), expected)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in LEARNED]
)
def test_a_learned_field_asks_the_host_for_nothing(name):
    lattice, kind, descriptor = LEARNED[name]
    field = LearnedField(trained(lattice, kind, **descriptor))
    spins = start(lattice.n_sites)
    walk = recorded.RecordedWalk(
        Course(field, make_integrator("heun", 0.1), Quench(), spins, Noise(0, (0, 1)))
    )
    state = (walk._spins, walk._step, walk._bath)
    graph = recorded.operations(walk._cold, state)
    torch.testing.assert_close(graph(*state), walk._cold(*state), rtol=0, atol=1e-12)


def test_only_classical_terms_are_compiled_and_only_steady_fields_are_recorded():
    classical = ClassicalField(TERMS)
    spins = SimpleNamespace(device=torch.device("cuda"))
    heun, midpoint = make_integrator("heun", 0.1), make_integrator("midpoint", 0.1)
    assert recorded.replayable(classical, heun, spins)
    assert recorded.replayable(SumField(classical, Shifts(TERMS)), heun, spins)
    assert not recorded.replayable(classical, heun, start())
    assert not recorded.replayable(classical, midpoint, spins)
    assert not recorded.replayable(lambda s: (s, s), heun, spins)
    assert recorded.fusible(SumField(classical, classical))
    assert not recorded.fusible(SumField(classical, Shifts(TERMS)))


def gpu_spins(n_sites: int = LATTICE.n_sites, replicas: int = 2) -> SimpleNamespace:
    """What is asked about spins before a run, of spins on a GPU."""
    return SimpleNamespace(device=torch.device("cuda"), dtype=torch.float64, shape=(replicas, n_sites, 3))


def test_every_way_that_steps_are_done_is_taken_where_it_can_be_had():
    classical, heun, quench = ClassicalField(TERMS), make_integrator("heun", 0.1), Quench()
    adaptive = make_integrator("heun", 0.1, tolerance=1e-4)
    many, share = gpu_spins(recorded.FUSED_FROM, 1), Share()
    for expected, field, integrator, protocol, spins, *rest in (
        ("minimiser", classical, heun, Relax(method="cg"), start()),
        ("adaptive", classical, adaptive, quench, start()),
        ("loops", classical, heun, quench, start()),
        ("eager", classical, heun, quench, start(), WHOLE, "eager"),
        ("eager", classical, heun, quench, start(), share),
        ("eager", Shifts(TERMS), heun, quench, start()),
        ("graph", classical, heun, quench, gpu_spins()),
        ("fused", classical, heun, quench, many),
        ("graph", Shifts(TERMS), heun, quench, many),
        ("graph", classical, heun, quench, many, WHOLE, "graph"),
        ("fused", classical, heun, quench, gpu_spins(), WHOLE, "fused"),
        ("eager", classical, heun, quench, many, WHOLE, "eager"),
        ("eager", classical, make_integrator("midpoint", 0.1), quench, many),
    ):
        assert kind_of_steps(field, integrator, protocol, spins, *rest) == expected
        assert expected in KINDS


@pytest.mark.parametrize("steps", ["graph", "fused"])
def test_steps_that_nothing_can_record_are_refused_before_the_first(steps):
    classical, heun = ClassicalField(TERMS), make_integrator("heun", 0.1)
    midpoint = make_integrator("midpoint", 0.1)
    with pytest.raises(ConfigError, match=rf"^compute\.steps={steps}: needs a CUDA GPU \(.* on cpu\)"):
        evolve(classical, start(), heun, Quench(), seed=0, steps=steps)
    with pytest.raises(ConfigError, match="explicit steps of one length"):
        kind_of_steps(classical, midpoint, Quench(), gpu_spins(), WHOLE, steps)
    with pytest.raises(ValueError, match="must be one of auto, eager, graph, fused"):
        evolve(classical, start(), heun, Quench(), seed=0, steps="compiled")


@pytest.mark.parametrize("T", [0.0, 0.3])
def test_compiled_loops_are_the_steps_of_torch(T):
    integrator, protocol = make_integrator("heun", 0.1, 0.3, T), Quench(10, 10)
    loops, eager = (
        list(evolve(ClassicalField(TERMS), start(), integrator, protocol, seed=3, steps=steps))[-1].spins
        for steps in ("auto", "eager")
    )
    torch.testing.assert_close(loops, eager, rtol=0, atol=1e-12)


def test_steps_that_were_asked_for_and_fail_end_the_run(monkeypatch):
    def failing(move, state):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recorded, "recorded", failing)
    how = (Shifts(TERMS), make_integrator("heun", 0.1), Quench(), start(), Noise(5, (0, 3)))
    with pytest.raises(RunError, match=r"could not be recorded \(RuntimeError: .* use compute.steps=auto"):
        moved(recorded.RecordedWalk(Course(*how), "graph", strict=True), 1)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [COOLING, SWEEP], ids=lambda p: p.name)
def test_a_compiled_step_is_that_of_torch(protocol, monkeypatch):
    monkeypatch.setattr(recorded, "RECORDED_TO", 0)
    how = (Shifts(TERMS), make_integrator("heun", 0.1, 0.3), protocol.timed(0.1), start(), Noise(5, (0, 3)))
    plain = moved(TorchWalk(Course(*how)), 12)
    for answer, expected in zip(moved(recorded.RecordedWalk(Course(*how), "fused"), 12), plain, strict=True):
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)


def on_gpu(field, integrator, protocol, steps, spins, first=0, n_steps=None):
    return list(evolve(field, spins, integrator, protocol, 5, first, n_steps, steps=steps))


@pytest.mark.gpu
@pytest.mark.filterwarnings("error:A step could not be")
@pytest.mark.parametrize("T", [0.0, 0.3])
@pytest.mark.parametrize("name", EXPLICIT)
def test_replayed_steps_on_the_gpu_are_those_of_torch(name, T):
    integrator = make_integrator(name, 0.1, 0.3, T)
    spins = start().cuda()
    frames = [
        on_gpu(ClassicalField(TERMS), integrator, Quench(20, 5), steps, spins) for steps in ("eager", "graph")
    ]
    for a, b in zip(*frames, strict=True):
        torch.testing.assert_close(b.spins, a.spins, rtol=0, atol=1e-12)
        torch.testing.assert_close(b.energy, a.energy, rtol=0, atol=1e-11)


@pytest.mark.gpu
@pytest.mark.filterwarnings("error:A step could not be")
@pytest.mark.parametrize("T", [0.0, 0.3])
@pytest.mark.parametrize("name", ["heun", "depondt"])
def test_compiled_steps_on_the_gpu_are_those_of_torch(name, T):
    integrator = make_integrator(name, 0.1, 0.3, T)
    spins = start().cuda()
    frames = [
        on_gpu(ClassicalField(TERMS), integrator, Quench(20, 5), steps, spins) for steps in ("eager", "fused")
    ]
    for a, b in zip(*frames, strict=True):
        torch.testing.assert_close(b.spins, a.spins, rtol=0, atol=1e-11)


@pytest.mark.gpu
@pytest.mark.filterwarnings("error:A step could not be")
@pytest.mark.parametrize("protocol", [Anneal(12, 3, T_start=0.5, T_end=0.0, schedule="linear"), SWEEP])
def test_what_a_protocol_changes_reaches_replayed_steps_on_the_gpu(protocol):
    integrator, spins = make_integrator("sib", 0.1, 0.3), start().cuda()
    frames = [
        on_gpu(ClassicalField(TERMS), integrator, protocol, steps, spins) for steps in ("eager", "graph")
    ]
    for a, b in zip(*frames, strict=True):
        torch.testing.assert_close(b.spins, a.spins, rtol=0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("steps", ["graph", "fused"])
def test_a_run_on_the_gpu_that_is_continued_is_the_whole_run(steps):
    """n + n steps are 2n, bit by bit."""
    integrator, spins, field = make_integrator("heun", 0.1, 0.3, 0.2), start().cuda(), ClassicalField(TERMS)
    whole = on_gpu(field, integrator, Quench(20, 10), steps, spins)[-1]
    half = on_gpu(field, integrator, Quench(20, 10), steps, spins, 0, 10)[-1]
    assert torch.equal(
        on_gpu(field, integrator, Quench(20, 10), steps, half.spins, 10)[-1].spins, whole.spins
    )


@pytest.mark.gpu
@pytest.mark.filterwarnings("error:A step could not be")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", LEARNED)
def test_replayed_steps_of_a_learned_field_are_those_of_torch(name, dtype):
    """Spins are float64, whatever the network is in."""
    lattice, kind, descriptor = LEARNED[name]
    field = LearnedField(trained(lattice, kind, **descriptor).to(dtype).cuda())
    integrator, spins = make_integrator("heun", 0.05, 0.3), start(lattice.n_sites).cuda()
    frames = [on_gpu(field, integrator, Quench(10, 5), steps, spins)[-1] for steps in ("eager", "graph")]
    assert frames[0].spins.dtype == torch.float64
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4  # sums of float32 come in any order
    torch.testing.assert_close(frames[1].spins, frames[0].spins, rtol=0, atol=tolerance)
