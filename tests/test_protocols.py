"""Protocols with a course of their own: tables of temperature and field, hysteresis loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from magsim.config import compose
from magsim.dynamics import (
    ClassicalField,
    FieldSweep,
    Quench,
    Schedule,
    evolve,
    initial_spins,
    make_integrator,
)
from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.tasks.dispatch import execute

LATTICE = make_lattice("square", (4, 4))
MAGNET = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(-1.0,), easy_axis=0.3))
FREE = ClassicalField(ClassicalHamiltonian(LATTICE))


def frames(protocol, field=MAGNET, seed=3, spins=None, dt=0.05, alpha=0.5, **options):
    """Frames of a run from the protocol's own initial state."""
    start = torch.from_numpy(initial_spins(protocol, LATTICE, seed)) if spins is None else spins
    return list(evolve(field, start, make_integrator("heun", dt, alpha), protocol, seed, **options))


# --- tables


def test_a_schedule_is_linear_between_its_rows_and_constant_outside() -> None:
    protocol = Schedule(T=((10, 1.0), (30, 0.0)), B=((0, 0, 0, 1), (100, 2, 0, 1)))
    steps = (0, 10, 15, 20, 30, 99)
    assert [protocol.temperature(step, 7.0) for step in steps] == [1.0, 1.0, 0.75, 0.5, 0.0, 0.0]
    assert protocol.external(50) == (1.0, 0.0, 1.0)
    assert protocol.external(500) == (2.0, 0.0, 1.0) == protocol.strongest
    assert Schedule().temperature(5, 7.0) == 7.0
    assert Schedule().external(5) is None


def test_tables_in_units_of_time_mean_the_same_with_any_time_step() -> None:
    protocol = Schedule(clock="time", T=((0, 1.0), (10, 0.0)))
    coarse, fine = protocol.timed(0.1), protocol.timed(0.05)
    for time in (0.0, 2.5, 9.0, 20.0):
        assert coarse.temperature(round(time / 0.1), 0) == pytest.approx(max(0, 1 - time / 10))
        assert fine.temperature(round(time / 0.05), 0) == pytest.approx(max(0, 1 - time / 10))


def test_a_free_spin_precesses_about_the_field_of_the_table_as_it_is_at_each_time() -> None:
    """Without damping the angle about z is the integral of B_z(t), by the rule of the left end."""
    protocol = Schedule(steps=400, record_every=400, initial="ferromagnet", B=((0, 0, 0, 0), (400, 0, 0, 2)))
    tilted = torch.zeros(1, 16, 3, dtype=torch.float64)
    tilted[..., 0] = 1.0
    end = frames(protocol, FREE, spins=tilted, dt=0.005, alpha=0.0)[-1]
    angle = sum(0.005 * 2 * step / 400 for step in range(400))
    np.testing.assert_allclose(end.spins[0, 0].numpy(), [math.cos(angle), -math.sin(angle), 0], atol=1e-5)
    assert float(end.energy) == pytest.approx(0, abs=1e-12)


def test_the_energy_of_a_frame_holds_the_external_field() -> None:
    protocol = Schedule(steps=10, record_every=5, B=((0, 0.3, 0, 1), (10, 0.3, 0, 2)))
    for frame in frames(protocol):
        energy, force = MAGNET(frame.spins)
        B = torch.tensor(protocol.external(frame.step), dtype=torch.float64)
        torch.testing.assert_close(frame.energy, energy - frame.spins.sum(-2) @ B)
        torch.testing.assert_close(frame.field, force + B)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"T": ((0, -1.0),)}, r"protocol\.T=.*zero or positive"),
        ({"T": ((5, 1.0), (5, 0.5))}, r"protocol\.T=.*must increase"),
        ({"B": ((0, 1.0),)}, r"protocol\.B=.*\[when, Bx, By, Bz\]"),
        ({"B": ((0, 0, 0, math.inf),)}, r"protocol\.B=.*finite"),
        ({"clock": "days"}, r"protocol\.clock=days"),
    ],
)
def test_tables_that_mean_nothing_are_refused(options, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Schedule(**options)


# --- loops


def test_a_loop_visits_every_value_down_and_up() -> None:
    sweep = FieldSweep(direction=(0, 0, 2), B_max=1.0, points=3, hold=20, record_every=10)
    assert sweep.steps == 100
    assert [sweep.external(step)[2] for step in (0, 19, 20, 40, 60, 80, 99, 1000)] == [
        1,
        1,
        0,
        -1,
        0,
        1,
        1,
        1,
    ]
    assert sweep.external(0) == sweep.strongest == (0, 0, 1)


def test_a_magnet_switches_at_the_field_of_stoner_and_wohlfarth() -> None:
    """``B_sw = 2 K (cos^(2/3) + sin^(2/3))^(-3/2)`` for a field at an angle to the easy axis
    (doi:10.1098/rsta.1948.0007); the magnetisation is that of the minimum that holds until then."""
    angle, K = math.radians(30), 0.3
    switching = 2 * K * (math.cos(angle) ** (2 / 3) + math.sin(angle) ** (2 / 3)) ** -1.5
    direction = np.array([math.sin(angle), 0, math.cos(angle)])
    sweep = FieldSweep(
        direction=direction,
        B_max=0.6,
        points=25,
        hold=600,
        record_every=600,
        tolerance=1e-3,
        initial="ferromagnet",
    )
    seen = frames(sweep, dt=0.1, alpha=1.0)
    m = [float(frame.spins.mean((0, 1)) @ torch.tensor(direction)) for frame in seen]
    reached = dict(zip((frame.step for frame in seen), m, strict=True))
    down = [(sweep.value_at(step - 1), reached[step]) for step in reached if 0 < step <= 25 * 600]
    up = [(sweep.value_at(step - 1), reached[step]) for step in reached if step > 25 * 600]
    assert len(down) == 25
    assert len(up) == 24
    last_held = min(value for value, along in down if along > 0)
    assert last_held - 0.05 <= -switching <= last_held
    np.testing.assert_allclose(  # the loop is odd
        [along for _, along in up], [-along for _, along in down[1:]], atol=1e-2
    )


def test_a_state_at_rest_passes_over_the_steps_until_the_next_value() -> None:
    calls = 0

    def counted(spins):
        nonlocal calls
        calls += 1
        return MAGNET(spins)

    at_rest = {"direction": (1, 0, 1), "points": 3, "hold": 150, "record_every": 150}
    start = torch.from_numpy(initial_spins(Quench(10, initial="ferromagnet"), LATTICE, 0))
    seen = frames(FieldSweep(tolerance=1e-3, **at_rest), counted, spins=start, alpha=1.0, dt=0.2)
    assert [frame.step for frame in seen] == [0, 150, 300, 450, 600, 750]
    quick, calls = calls, 0
    slow = frames(FieldSweep(tolerance=None, **at_rest), counted, spins=start, alpha=1.0, dt=0.2)
    assert quick < calls / 2
    for a, b in zip(seen, slow, strict=True):
        torch.testing.assert_close(a.spins, b.spins, atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"direction": (0, 0, 0)}, r"protocol\.direction=\[0\.0, 0\.0, 0\.0\]"),
        ({"hold": 30, "record_every": 20}, r"protocol\.hold=30: a multiple of protocol\.record_every=20"),
        ({"points": 1}, r"protocol\.points=1"),
        ({"B_max": -1.0}, r"protocol\.B_max=-1"),
        ({"steps": 10**6}, r"protocol\.steps=1000000: the loop has 8200 steps"),
        ({"tolerance": 0.0}, r"protocol\.tolerance=0"),
    ],
)
def test_loops_that_mean_nothing_are_refused(options, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        FieldSweep(**options)


def test_rest_needs_damping_and_no_bath() -> None:
    with pytest.raises(ConfigError, match=r"never at rest"):
        FieldSweep(tolerance=1e-3).check(make_integrator("heun", 0.1, 0.5, T=0.1))
    with pytest.raises(ConfigError, match=r"needs damping"):
        FieldSweep(tolerance=1e-3).check(make_integrator("heun", 0.1, 0.0))
    with pytest.raises(ConfigError, match=r"needs damping"):
        Schedule(T=((0, 1.0),)).check(make_integrator("heun", 0.1, 0.0))


# --- continuing


@pytest.mark.parametrize("half", [40, 33])
@pytest.mark.parametrize(
    "protocol",
    [
        Schedule(80, 10, 2, T=((0, 0.5), (60, 0.1)), B=((0, 0, 0, 1), (80, 1, 0, 0))),
        FieldSweep(80, 10, 2, points=3, hold=20, tolerance=0.4),
    ],
    ids=["schedule", "field_sweep"],
)
def test_n_steps_and_n_more_equal_2n_bitwise(protocol, half) -> None:
    whole = frames(protocol)
    first = frames(protocol, n_steps=half)[-1]
    rest = frames(protocol, spins=first.spins, start_step=first.step)
    assert [frame.step for frame in rest] == [frame.step for frame in whole if frame.step > first.step]
    for frame in rest:
        (same,) = (other for other in whole if other.step == frame.step)
        assert torch.equal(frame.spins, same.spins)
        assert torch.equal(frame.energy, same.energy)


def test_a_loop_ends_in_its_figure_and_the_coercive_field(tmp_path, monkeypatch) -> None:
    """Half the width of the loop of a macrospin along an easy axis that is nearly the field's, ``~ 2 K``."""
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    job = ["task=simulate", "logger=csv", "compute=cpu", "hamiltonian=none", "classical=heisenberg"]
    job += ["classical.heisenberg=[-1]", "classical.easy_axis=0.2", "lattice=square", "lattice.shape=[4,4]"]
    job += ["integrator.dt=0.2", "protocol=field_sweep", "protocol.direction=[1,0,8]", "protocol.points=9"]
    job += ["protocol.B_max=0.6", "protocol.initial=ferromagnet", "protocol.hold=320"]
    job += ["protocol.record_every=320", "observables.names=[energy]", "observables.figures=[hysteresis]"]
    metrics = execute(compose(job), job, tmp_path / "run")
    angle = math.atan(1 / 8)
    switching = 0.4 * (math.cos(angle) ** (2 / 3) + math.sin(angle) ** (2 / 3)) ** -1.5
    assert metrics["simulate/coercive_field"] == pytest.approx(switching, abs=0.15)
    assert (tmp_path / "run" / "hysteresis.png").is_file()
