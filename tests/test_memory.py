"""Memory of a run: what is predicted is what is used, and what does not fit is cut or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from magsim.config import compose
from magsim.dynamics import Quench, load_field, make_integrator, open_trajectory
from magsim.dynamics.integrators import INTEGRATORS
from magsim.dynamics.memory import ARRAY, CAREFUL, RECORDING, Demand, Peak, demand_of, plan, state_bytes
from magsim.errors import ConfigError
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import model_facts, save_model
from magsim.models import build_model
from magsim.spins import random_spins, rng
from magsim.tasks import simulate
from magsim.tasks.dispatch import execute
from magsim.tasks.simulation import memory
from tests.test_slabs import learned

LATTICE = make_lattice("triangular", (40, 40))


def allocated(action) -> int:
    """Largest number of bytes that torch's allocator had given out during an action and not got back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        action()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return int(np.cumsum([e.nbytes() for e in events]).max())


def test_the_peak_counts_what_is_alive_and_views_once() -> None:
    with Peak() as peak:
        a = torch.zeros(1000, dtype=torch.float64)
        b = a + 1
        a.add_(1)
        c = a.view(10, 100)[2:5]
        del a, b, c
        d = torch.ones(500, dtype=torch.float64)
    assert peak.bytes == 16000
    assert len(d) == 500


@pytest.mark.parametrize("kind", ["bp", "message passing"])
def test_the_memory_of_a_model_is_predicted_within_a_third(kind: str) -> None:
    """On a lattice larger than those of the trials, against the allocator."""
    field = learned(kind, make_lattice("triangular", (6, 6)))
    demand = demand_of(field)
    field.bind(LATTICE.with_shape((100, 80)))
    spins = torch.from_numpy(random_spins(8000, rng(0), (1,)))
    used = allocated(lambda: field(spins)) - demand.fixed
    assert 8000 * demand.work == pytest.approx(used, rel=0.33, abs=demand.fixed)
    tables = sum(buffer.nbytes for buffer in field.model.buffers())
    assert 8000 * demand.tables == pytest.approx(tables, rel=0.05)


@pytest.mark.parametrize("name", [name for name in INTEGRATORS if name != "suzuki_trotter"])
def test_the_arrays_of_a_step_are_counted(name: str) -> None:
    integrator = make_integrator(name, 0.1, 0.5)
    spins = torch.from_numpy(random_spins(20000, rng(0), (1,)))
    force = torch.ones_like(spins)

    def step():
        integrator.step(lambda s: (s.new_zeros(1), force), spins, force, 0 * force)

    work = state_bytes(integrator, Quench()) - RECORDING - 2 * ARRAY
    assert allocated(step) / 20000 == pytest.approx(work, rel=0.3)


def test_a_run_that_does_not_fit_is_cut_into_as_few_slabs_as_do_or_refused() -> None:
    lattice = make_lattice("triangular", (1024, 100))
    demand = Demand(tables=500.0, work=1500.0, fixed=1e6)
    whole = plan(lattice, 1, 200.0, demand, 4, 1e12)
    assert (whole.slabs, round(whole.needed)) == (1, round(102400 * 2200 + 1e6))
    tight = plan(lattice, 1, 200.0, demand, 4, 100e6)
    assert tight.slabs > 1
    assert tight.needed <= CAREFUL * 100e6
    with pytest.raises(ConfigError):
        plan(lattice, 1, 200.0, demand, 4, 100e6, slabs=tight.slabs // 2)
    with pytest.raises(ConfigError, match=r"lattice\.shape=\[1024, 100\]: 1 times 102400 spins need about"):
        plan(lattice, 1, 200.0, demand, None, 100e6)
    with pytest.raises(ConfigError, match=r"in slabs.* are free"):
        plan(lattice, 1, 200.0, demand, 4, 20e6)


def test_a_run_short_of_memory_is_cut_and_is_the_same_to_rounding(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    monkeypatch.setattr(simulate, "simulation_page", lambda *_: None)
    lattice = make_lattice("triangular", (6, 6))
    descriptor = {"name": "bispectrum", "cutoff": 1.1, "references": 1}
    model = {"name": "bp", "hidden": [4]}
    facts = model_facts(lattice, descriptor, model)
    save_model(tmp_path / "model.safetensors", build_model(lattice, descriptor, model), facts)
    job = ["task=simulate", "logger=csv", "compute=cpu", "lattice.shape=[24,8]", "protocol.steps=4"]
    job += ["protocol.record_every=2", "integrator.dt=0.1", "observables.names=[energy]"]
    job += [f"checkpoint={tmp_path / 'model.safetensors'}", "classical=heisenberg"]
    execute(compose(job), job, tmp_path / "whole")
    monkeypatch.setattr(memory, "SMALL", 0)
    state = 24 * 8 * state_bytes(make_integrator("heun", 0.1), Quench())
    half = demand_of(load_field(tmp_path / "model.safetensors")).of(16 * 8, 1)
    monkeypatch.setattr(memory, "free_memory", lambda device: (state + half) / CAREFUL + 1)
    execute(compose(job), job, tmp_path / "cut")
    assert "field in 2 slabs" in capsys.readouterr().out
    whole, cut = (open_trajectory(tmp_path / name / "trajectory.zarr").spins(-1) for name in ("whole", "cut"))
    np.testing.assert_allclose(cut, whole, atol=1e-5)  # the model is in single precision
