"""Large lattices keep each spin component contiguous: nothing but the speed depends on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.dynamics import ClassicalField, Quench, evolve, initial_spins, make_integrator
from magsim.dynamics.llg import LONG, component_major, cross, rate, rotation_vector
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.spins import random_spins, rng

LATTICE = make_lattice("square", (LONG // 32 + 1, 33))


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    drawn = random_spins(LATTICE.n_sites, rng(1), (2, 2))
    return torch.from_numpy(drawn[0]), torch.from_numpy(3 * drawn[1])


def test_components_are_contiguous_and_values_unchanged(pair) -> None:
    spins, _ = pair
    moved = component_major(spins)
    assert moved.transpose(-1, -2).is_contiguous()
    assert torch.equal(moved, spins)
    assert component_major(spins[:, : LONG - 1]).is_contiguous()


def test_the_rate_is_that_of_the_double_cross_product_in_either_order(pair) -> None:
    spins, field = pair
    torque = torch.linalg.cross(spins, field)
    expected = -1 * torque - 0.3 * torch.linalg.cross(spins, torque)
    for s, f in (
        (spins, field),
        (component_major(spins), component_major(field)),
        (component_major(spins), field),
    ):
        torch.testing.assert_close(cross(s, f), torque, rtol=0, atol=1e-15)
        torch.testing.assert_close(rate(s, f, 0.3, -1), expected, rtol=0, atol=1e-14)
        turned = torch.linalg.cross(s, rotation_vector(s, f, 0.3, -1))
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dm", [0.0, 0.2])
def test_the_classical_field_is_the_same_in_either_order(pair, dm: float) -> None:
    hamiltonian = ClassicalHamiltonian(
        LATTICE, heisenberg=(-1.0, 0.3), dm=dm, easy_axis=0.1, zeeman=(0, 0.1, 0)
    )
    energy, field = hamiltonian.energy_and_field(pair[0])
    other_energy, other = hamiltonian.energy_and_field(component_major(pair[0]))
    torch.testing.assert_close(other, field, rtol=0, atol=0)
    torch.testing.assert_close(other_energy, energy, rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", ["heun", "rk4", "sib"])
def test_batches_equal_single_runs_and_continued_runs_the_whole_bitwise(name: str) -> None:
    field = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(-1.0,)))
    quench = Quench(steps=6, record_every=3, replicas=2)
    integrator = make_integrator(name, 0.05, 0.3, T=0.2)
    start = torch.from_numpy(initial_spins(quench, LATTICE, 0))
    whole = list(evolve(field, start, integrator, quench, seed=4))
    for r in range(2):
        single = list(evolve(field, start[r : r + 1], integrator, quench, seed=4, replicas=(r,)))
        assert torch.equal(single[-1].spins[0], whole[-1].spins[r])
        assert torch.equal(single[-1].energy[0], whole[-1].energy[r])
    stored = torch.from_numpy(np.ascontiguousarray(whole[1].spins.numpy()))  # as a file gives it back
    rest = list(evolve(field, stored, integrator, quench, seed=4, start_step=3))
    assert torch.equal(rest[-1].spins, whole[-1].spins)
