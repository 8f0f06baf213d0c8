"""Trajectories beside those of the spirit package, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.dynamics import ClassicalField, Quench, evolve, make_integrator
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.observables import skyrmion_number
from magsim.spins import normalise
from magsim.tasks.benchmark import spirit_package

pytestmark = pytest.mark.skipif(spirit_package.load() is None, reason="spirit is not installed")

SIDE, TIME, ALPHA = 16, 3.0, 0.1
LATTICE = make_lattice("square", (SIDE, SIDE))
FIELD = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(-1.0,)))


def skyrmion(radius: float = 4.0) -> np.ndarray:
    """A skyrmion with its core down in an up background, and a little disorder."""
    x, y = (LATTICE.positions - (SIDE - 1) / 2).T
    r, azimuth = np.hypot(x, y), np.arctan2(y, x)
    theta = np.pi * np.clip(1 - r / (1.8 * radius), 0, 1)
    spins = np.stack(
        [np.sin(theta) * np.cos(azimuth), np.sin(theta) * np.sin(azimuth), np.cos(theta)], axis=-1
    )
    return normalise(spins + 0.1 * np.random.default_rng(0).normal(size=spins.shape))


def ours(name: str, steps: int) -> np.ndarray:
    integrator = make_integrator(name, TIME / steps, ALPHA, sense=-1)
    spins = torch.from_numpy(skyrmion())[None]
    return list(evolve(FIELD, spins, integrator, Quench(steps, steps), seed=0))[-1].spins[0].numpy()


def theirs(name: str, steps: int) -> tuple[np.ndarray, float]:
    with spirit_package.ferromagnet(name, 0.0, SIDE, TIME / steps, ALPHA) as run:
        assert run is not None
        run.spins = skyrmion()
        run.advance(steps)
        return run.spins, run.topological_charge()


@pytest.mark.parametrize("name", ["heun", "sib", "depondt"])
def test_trajectories_agree_to_the_order_of_the_integrator_and_so_do_charges(name):
    """Both converge to the solution as dt^2, and to each other."""
    exact = ours("rk4", 3000)
    assert np.abs(exact - skyrmion()).max() > 0.5
    errors = []
    for steps in (50, 100, 200):
        mine, (other, charge) = ours(name, steps), theirs(name, steps)
        errors.append([np.abs(a - b).max() for a, b in ((mine, exact), (other, exact), (mine, other))])
        assert charge == pytest.approx(float(skyrmion_number(LATTICE, mine)), abs=1e-6)
    assert abs(charge) == pytest.approx(1)
    errors = np.array(errors)  # (steps, ours | theirs | difference of both)
    order = np.log2(errors[:-1] / errors[1:])
    np.testing.assert_allclose(order[:, :2], 2, atol=0.15)
    if name == "heun":  # one method; spirit takes its parameters in single precision
        assert errors[:, 2].max() < 3e-7
    else:  # spirit does not normalise the midpoint of SIB, and turns about other axes in depondt
        np.testing.assert_allclose(order[:, 2], 2, atol=0.15)
