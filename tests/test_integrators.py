"""Integrators of the LLG equation: order, sense, damping, length, time step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from magsim.dynamics import (
    INTEGRATORS,
    SIB,
    ClassicalField,
    Heun,
    Midpoint,
    Quench,
    Relax,
    SumField,
    evolve,
    initial_spins,
    make_integrator,
    suggest_timestep,
)
from magsim.dynamics.evolve import EvolutionError
from magsim.errors import ConfigError, RunError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.spins import random_spins

NAMES = sorted(INTEGRATORS)
ANY_FIELD = [name for name in NAMES if name != "suzuki_trotter"]
PAIRS = ClassicalField(
    ClassicalHamiltonian(make_lattice("chain", (6,)), heisenberg=(-1.0, 0.3), dm=0.4, zeeman=(0.1, 0.2, -0.3))
)
RING = ClassicalField(replace(PAIRS.hamiltonian, easy_axis=0.3))


def ring(name):
    """Exchange, DM and field, and an easy axis where the method takes it."""
    return RING if name in ANY_FIELD else PAIRS


def random_start(n_sites: int, replicas: int = 1, seed: int = 3) -> torch.Tensor:
    return torch.from_numpy(random_spins(n_sites, np.random.default_rng(seed), batch=(replicas,)))


def run(field, spins, integrator, steps, **options):
    """Frames of a run without bath or with the integrator's."""
    return list(evolve(field, spins, integrator, Quench(steps=steps, **options), seed=0))


class LongitudinalField:
    """A field with a longitudinal part far larger than its torque, as an electronic field has."""

    def __init__(self, field, strength):
        self.field, self.strength = field, strength

    def __call__(self, spins):
        energy, force = self.field(spins)
        return energy, force + self.strength * spins


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("alpha", "sense"), [(0.0, 1), (0.3, -1)])
def test_error_falls_with_the_order_of_the_method(name, alpha, sense):
    spins, time = random_start(6), 2.0

    def end(method, steps):
        return run(
            ring(name),
            spins,
            make_integrator(method, time / steps, alpha, sense=sense),
            steps,
            record_every=steps,
        )[-1].spins

    exact = end("rk4", 1000)
    errors = [float((end(name, steps) - exact).norm()) for steps in (80, 160, 320)]
    order = np.log2(np.array(errors[:-1]) / errors[1:])
    assert INTEGRATORS[name].order == (4 if name == "rk4" else 2)
    np.testing.assert_allclose(order, INTEGRATORS[name].order, atol=0.15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sense", [1, -1])
def test_one_spin_in_a_field_follows_the_closed_solution(name, sense):
    """B along z: azimuth -s B t (dS/dt = s S x B), tan(theta/2) decays as exp(-alpha B t)."""
    B, alpha, dt, steps = 1.0, 0.2, 0.01, 200
    field = ClassicalField(ClassicalHamiltonian(make_lattice("chain", (1,)), zeeman=(0, 0, B)))
    start = torch.tensor([[[1.0, 0.0, 0.0]]], dtype=torch.float64)
    x, y, z = run(field, start, make_integrator(name, dt, alpha, sense=sense), steps)[-1].spins[0, 0].tolist()
    t = dt * steps
    assert math.atan2(y, x) == pytest.approx(-sense * B * t, abs=1e-4)
    assert math.sqrt((1 - z) / (1 + z)) == pytest.approx(math.exp(-alpha * B * t), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sense", [1, -1])
def test_energy_falls_at_every_step_with_damping(name, sense):
    frames = run(
        ring(name),
        random_start(6, replicas=5),
        make_integrator(name, 0.05, 0.3, sense=sense),
        400,
        record_every=1,
    )
    energy = torch.stack([frame.energy for frame in frames])
    assert bool((energy.diff(dim=0) < 1e-14).all())
    assert bool((energy[-1] < energy[0] - 1).all())


@pytest.mark.parametrize(
    ("name", "largest"),
    [("heun", 6e-3), ("sib", 3e-3), ("rk4", 1e-6), ("depondt", 3e-3), ("midpoint", 3e-3)],
)
def test_energy_is_conserved_without_damping(name, largest):
    """Total energies are of order 3, the time 20; the drift falls at least with the order of the method."""

    def drift(dt):
        steps = round(20 / dt)
        protocol = {"record_every": steps // 50}
        frames = run(RING, random_start(6, replicas=5), make_integrator(name, dt, 0.0), steps, **protocol)
        assert float((frames[-1].spins - frames[0].spins).norm()) > 1  # the spins do move
        energy = torch.stack([frame.energy for frame in frames])
        return float((energy - energy[0]).abs().max())

    fine, coarse = drift(0.02), drift(0.04)
    assert fine < largest
    assert coarse / fine > 0.85 * 2 ** INTEGRATORS[name].order


def test_sublattices_in_turn_conserve_the_energy_to_rounding():
    frames = run(PAIRS, random_start(6, replicas=5), make_integrator("suzuki_trotter", 0.2, 0.0), 500)
    assert float((frames[-1].spins - frames[0].spins).norm()) > 1
    energy = torch.stack([frame.energy for frame in frames])
    assert float((energy - energy[0]).abs().max()) < 1e-12


def test_midpoint_takes_a_step_back_exactly():
    """Symmetric in time: a step of -dt (both terms of the equation change sign) undoes a step."""
    start = random_start(6)
    there = Midpoint(dt=0.2, alpha=0.0, sense=1).step(RING, start, RING(start)[1])
    back = Midpoint(dt=0.2, alpha=0.0, sense=-1).step(RING, there, RING(there)[1])
    torch.testing.assert_close(back, start, rtol=0, atol=1e-12)


def test_midpoint_tells_when_its_iteration_does_not_converge():
    with pytest.raises(RunError, match=r"did not converge in 100 iterations .* smaller integrator\.dt"):
        run(RING, random_start(6), make_integrator("midpoint", 5.0, 0.3), 20)


@pytest.mark.parametrize(
    ("field", "what"),
    [
        (RING, "an easy axis"),
        (SumField(PAIRS, PAIRS), "field classical"),
        (lambda spins: PAIRS(spins), "function"),
    ],
)
def test_suzuki_trotter_refuses_fields_that_are_not_classical_pairs(field, what):
    with pytest.raises(ConfigError, match=what):
        evolve(field, random_start(6), make_integrator("suzuki_trotter", 0.1), Quench(), seed=0)


@pytest.mark.parametrize("name", NAMES)
def test_spins_keep_unit_length(name):
    frames = run(ring(name), random_start(6), make_integrator(name, 0.1, 0.1, T=0.5), 1000)
    assert max(float((frame.spins.norm(dim=-1) - 1).abs().max()) for frame in frames) < 1e-12


@pytest.mark.parametrize("name", ANY_FIELD)
def test_only_the_transverse_field_enters_a_step(name):
    """A longitudinal part hundred times the torque changes nothing, at a time step set by the torque."""
    spins, integrator = random_start(6), make_integrator(name, 0.1, 0.3)
    plain = run(RING, spins, integrator, 20)[-1].spins
    loaded = run(LongitudinalField(RING, 100.0), spins, integrator, 20)[-1].spins
    torch.testing.assert_close(loaded, plain, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_total_spin_is_conserved_by_exchange_alone(name):
    field = ClassicalField(ClassicalHamiltonian(make_lattice("square", (4, 4)), heisenberg=(1.0,)))
    frames = run(field, random_start(16), make_integrator(name, 0.01, 0.0), 100)
    total = [frame.spins.sum(dim=1) for frame in frames]
    torch.testing.assert_close(total[-1], total[0], rtol=0, atol=1e-3)
    assert float((frames[-1].spins - frames[0].spins).norm()) > 1


@pytest.mark.parametrize("name", NAMES)
def test_suggested_time_step_makes_the_stated_error_for_a_steady_turn(name):
    """One spin turning in a field lags by about the stated angle after one suggested step, or not at all."""
    field = ClassicalField(ClassicalHamiltonian(make_lattice("chain", (1,)), zeeman=(0, 0, 0.4)))
    start = torch.tensor([[[1.0, 0.0, 0.0]]], dtype=torch.float64)
    bare = make_integrator(name, None, 0.0)
    dt = suggest_timestep(field(start)[1], start, bare, error=1e-3)
    end = run(field, start, make_integrator(name, dt, 0.0), 1)[-1].spins[0, 0]
    error = abs(math.atan2(float(end[1]), float(end[0])) + 0.4 * dt)
    if name in ("depondt", "suzuki_trotter"):
        assert error < 1e-14
    else:
        assert 0.2e-3 < error < 2e-3


def test_suggested_time_step_follows_the_torque_not_the_field():
    spins = random_start(6)
    force = RING(spins)[1]
    dt = suggest_timestep(force, spins, Heun)
    assert suggest_timestep(force + 50 * spins, spins, Heun) == pytest.approx(dt)
    assert suggest_timestep(2 * force, spins, Heun) == pytest.approx(dt / 2)
    assert suggest_timestep(force, spins, Heun(alpha=1.0)) == pytest.approx(dt / math.sqrt(2))
    assert suggest_timestep(force, spins, Heun(alpha=1.0, T=100.0)) == pytest.approx(1e-4)
    with pytest.raises(ConfigError, match="torque"):
        suggest_timestep(spins, spins, Heun)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"tolerance": 0.0}, "integrator.tolerance"),
        ({"tolerance": 1e-3, "T": 0.1}, "integrator.tolerance"),
        ({"dt": 0.0}, "integrator.dt"),
        ({"dt": float("inf")}, "integrator.dt"),
        ({"alpha": -0.1}, "integrator.alpha"),
        ({"T": -1.0}, "integrator.T"),
        ({"T": 1.0, "alpha": 0.0}, "integrator.T"),
        ({"sense": 0}, "integrator.sense"),
        ({"name": "euler"}, "integrator.name"),
    ],
)
def test_wrong_parameters_are_refused_by_name(values, key):
    with pytest.raises(ConfigError) as error:
        make_integrator(**({"name": "heun"} | values))
    assert error.value.key == key


def test_a_run_without_time_step_is_refused_before_it_starts():
    with pytest.raises(ConfigError, match=r"integrator\.dt"):
        evolve(RING, random_start(6), SIB(), Quench(), seed=0)


def test_relax_stops_when_no_torque_is_left():
    protocol = Relax(steps=5000, record_every=1000, tolerance=1e-6)
    frames = list(evolve(RING, random_start(6), SIB(dt=0.1, alpha=0.5), protocol, seed=0))
    last = frames[-1]
    assert last.step < 5000
    assert float(torch.linalg.cross(last.spins, last.field).norm(dim=-1).max()) < 1e-6


def test_frames_fall_on_multiples_of_the_stride_and_on_the_end():
    frames = run(RING, random_start(6), SIB(dt=0.1), 25, record_every=10)
    assert [frame.step for frame in frames] == [0, 10, 20, 25]
    assert frames[2].time == pytest.approx(2.0)
    energy, field = RING(frames[2].spins)
    torch.testing.assert_close(frames[2].energy, energy)
    torch.testing.assert_close(frames[2].field, field)


def test_a_field_that_turns_nan_stops_the_run_with_the_last_good_frame():
    calls = iter(range(1000))

    def breaking(spins):
        energy, force = RING(spins)
        if next(calls) >= 25:
            force[0, 4, 1] = float("nan")
        return energy, force

    frames = evolve(breaking, random_start(6), SIB(dt=0.1), Quench(steps=100, record_every=5), seed=0)
    with pytest.raises(EvolutionError, match=r"step \d+, replica 0, site ") as error:
        list(frames)
    assert error.value.last_good is not None
    assert error.value.last_good.step == 10
    assert bool(torch.isfinite(error.value.last_good.spins).all())


def test_spins_that_lose_their_length_stop_the_run():
    class Leaky(SIB):
        def step(self, field, spins, force, thermal=None):
            return 1.0001 * super().step(field, spins, force, thermal)

    with pytest.raises(EvolutionError, match="unit length"):
        list(evolve(RING, random_start(6), Leaky(dt=0.1), Quench(steps=20), seed=0))


def test_initial_states_do_not_depend_on_the_number_of_replicas():
    lattice = make_lattice("square", (4, 4))
    one, three = (initial_spins(Quench(replicas=r), lattice, seed=5) for r in (1, 3))
    np.testing.assert_array_equal(three[:1], one)
    assert not np.allclose(three[1], three[0])
    assert initial_spins(Quench(initial="neel", replicas=2), lattice, seed=5)[1, 0, 2] == 1.0


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_a_thermal_run_on_the_gpu_follows_the_one_on_the_cpu(name):
    integrator = make_integrator(name, 0.05, 0.3, T=0.2)
    cpu = run(ring(name), random_start(6, replicas=2), integrator, 50)[-1].spins
    gpu = run(ring(name), random_start(6, replicas=2).cuda(), integrator, 50)[-1].spins
    torch.testing.assert_close(gpu.cpu(), cpu, rtol=0, atol=1e-10)
