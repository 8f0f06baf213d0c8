"""Adaptive time steps: error per unit of time, fields saved, continuation, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_integrators import RING, random_start, run

from magsim.dynamics import SIB, Anneal, Heun, Quench, evolve, make_integrator
from magsim.errors import ConfigError, RunError


@pytest.mark.parametrize("name", ["heun", "rk4", "sib"])
def test_adaptive_steps_err_by_the_tolerance_per_unit_of_time(name):
    spins, time = random_start(6), 4.0
    exact = run(RING, spins, make_integrator("rk4", time / 2000, 0.2), 2000)[-1].spins

    def error(tolerance):
        integrator = make_integrator(name, time / 2, 0.2, tolerance=tolerance)
        last = run(RING, spins, integrator, 2, record_every=2)[-1]
        assert last.time == time
        return float((last.spins - exact).abs().max())

    assert error(1e-4) < 2e-4 * time
    assert error(1e-5) < 2e-5 * time
    assert error(1e-3) > 5 * error(1e-5)


def test_adaptive_steps_need_fewer_fields_where_torques_fade():
    calls = 0

    def counted(spins):
        nonlocal calls
        calls += 1
        return RING(spins)

    list(evolve(counted, random_start(6), Heun(dt=2.0, tolerance=1e-4), Quench(steps=2), seed=0))
    early, calls = calls, 0
    late = list(evolve(RING, random_start(6), Heun(dt=2.0, tolerance=1e-4), Quench(steps=40), seed=0))[-1]
    list(evolve(counted, late.spins, Heun(dt=2.0, tolerance=1e-4), Quench(steps=2), seed=0))
    assert calls < early / 3


def test_an_adaptive_run_continues_bitwise_and_a_batch_equals_its_members():
    spins, integrator = random_start(6, replicas=2), SIB(dt=1.0, alpha=0.2, tolerance=1e-4)
    whole = list(evolve(RING, spins, integrator, Quench(steps=8), seed=0))[-1].spins
    first = list(evolve(RING, spins, integrator, Quench(steps=8), seed=0, n_steps=3))[-1]
    rest = list(evolve(RING, first.spins, integrator, Quench(steps=8), seed=0, start_step=3))[-1].spins
    assert torch.equal(rest, whole)
    for r in range(2):
        alone = list(evolve(RING, spins[r : r + 1], integrator, Quench(steps=8), seed=0))[-1]
        assert torch.equal(alone.spins[0], whole[r])


def test_adaptive_steps_tell_when_no_step_is_short_enough():
    def rough(spins):
        return RING(spins)[0], torch.from_numpy(np.random.default_rng().normal(size=spins.shape))

    with pytest.raises(RunError, match=r"integrator\.tolerance=1e-12 is not reached"):
        list(evolve(rough, random_start(6), Heun(dt=0.1, tolerance=1e-12), Quench(steps=1), seed=0))


def test_adaptive_steps_are_refused_in_a_bath():
    with pytest.raises(ConfigError, match=r"integrator\.tolerance"):
        evolve(RING, random_start(6), SIB(dt=1.0, tolerance=1e-4), Anneal(), seed=0)
