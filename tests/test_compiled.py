"""Compiled steps of classical fields: equal to those by torch operations, on every lattice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.dynamics import (
    INTEGRATORS,
    ClassicalField,
    FieldSweep,
    Quench,
    SumField,
    compiled,
    evolve,
    make_integrator,
)
from magsim.dynamics.make_walk import make_walk
from magsim.dynamics.thermostat import Noise
from magsim.dynamics.walk import CompiledWalk, TorchWalk
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.spins import random_spins

METHODS = sorted(name for name, cls in INTEGRATORS.items() if cls(dt=0.1).sweeps())
ONSITE = {"easy_axis": 0.3, "axis": (1.0, 2.0, -1.0), "zeeman": (0.1, -0.2, 0.4)}
SYSTEMS = {
    "square": ("square", (3, 21), None, {"heisenberg": (1.0, 0.3), "dm": 0.4, **ONSITE}),
    "tiny": ("square", (2, 2), None, {"heisenberg": (1.0,)}),
    "kagome": ("kagome", (3, 4), ["open", "periodic"], {"heisenberg": (-1.0, 0.2), "dm": 0.2, **ONSITE}),
    "chain": ("chain", (33,), "open", {"heisenberg": (1.0, 0.0, 0.2), **ONSITE}),
    "cubic": ("cubic", (2, 3, 9), ["open", "periodic", "open"], {"heisenberg": (1.0,), "dm": 0.3}),
}


def field_of(system):
    name, shape, boundary, terms = SYSTEMS[system]
    return ClassicalField(ClassicalHamiltonian(make_lattice(name, shape, boundary), **terms))


def random_start(n_sites, replicas=2):
    return torch.from_numpy(random_spins(n_sites, np.random.default_rng(2), batch=(replicas,)))


def end(field, spins, integrator, steps=10, **options):
    return list(evolve(field, spins, integrator, Quench(steps=steps), seed=5, **options))[-1]


@pytest.mark.parametrize("T", [0.0, 0.4])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_compiled_steps_equal_those_of_torch_to_rounding(system, name, T):
    field, integrator = field_of(system), make_integrator(name, 0.1, 0.3, T, sense=-1)
    spins = random_start(field.n_sites)
    fast, plain = end(field, spins, integrator), end(SumField(field), spins, integrator)
    assert float((fast.spins - spins).norm()) > 1
    torch.testing.assert_close(fast.spins, plain.spins, rtol=0, atol=1e-12)
    torch.testing.assert_close(fast.energy, plain.energy, rtol=0, atol=1e-11)


def test_every_method_but_suzuki_trotter_is_compiled_and_wrapped_fields_are_not():
    assert set(METHODS) == set(INTEGRATORS) - {"suzuki_trotter"}
    field, integrator = field_of("tiny"), make_integrator("heun", 0.1)
    spins, noise = random_start(4), Noise(0, (0, 1))
    assert isinstance(make_walk(field, integrator, Quench(), spins, noise), CompiledWalk)
    for other in (
        make_walk(SumField(field), integrator, Quench(), spins, noise),
        make_walk(field, integrator, Quench(), spins.float(), noise),
        make_walk(field, make_integrator("suzuki_trotter", 0.1), Quench(), spins, noise),
    ):
        assert isinstance(other, TorchWalk)


@pytest.mark.parametrize("name", METHODS)
def test_threads_change_nothing(name, monkeypatch):
    field, integrator = field_of("square"), make_integrator(name, 0.1, 0.3, 0.2)
    spins = random_start(field.n_sites)
    alone = end(field, spins, integrator)
    monkeypatch.setattr(compiled, "PARALLEL", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert torch.equal(end(field, spins, integrator).spins, alone.spins)


def test_a_swept_field_acts_in_compiled_steps_as_in_those_of_torch():
    field, integrator = field_of("square"), make_integrator("sib", 0.1, 0.5)
    protocol = FieldSweep(B_max=2.0, points=3, hold=10, record_every=10)
    spins = random_start(field.n_sites)
    runs = [list(evolve(f, spins, integrator, protocol, seed=0)) for f in (field, SumField(field))]
    assert len(runs[0]) == len(runs[1]) > 4
    for fast, plain in zip(*runs, strict=True):
        assert fast.step == plain.step
        torch.testing.assert_close(fast.spins, plain.spins, rtol=0, atol=1e-11)
        torch.testing.assert_close(fast.energy, plain.energy, rtol=0, atol=1e-10)


@pytest.mark.parametrize("system", SYSTEMS)
def test_shifted_views_give_the_field_of_the_rows(system):
    """What a GPU evaluates, here on the CPU."""
    hamiltonian = field_of(system).hamiltonian
    spins = random_start(hamiltonian.n_sites, replicas=3)
    energy, field = hamiltonian.energy_and_field(spins)
    shifted_energy, shifted = hamiltonian._by_shifts(spins)
    torch.testing.assert_close(shifted, field, rtol=0, atol=1e-13)
    torch.testing.assert_close(shifted_energy, energy, rtol=0, atol=1e-12)
