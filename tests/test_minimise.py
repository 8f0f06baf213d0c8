"""Minimisers on the sphere: where they end, what they need for it, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.dynamics import ClassicalField, Relax, evolve, initial_spins, make_integrator
from magsim.dynamics.effective_field import EffectiveField
from magsim.dynamics.llg import largest_torque, perpendicular
from magsim.dynamics.minimise import MINIMISERS
from magsim.dynamics.share import WHOLE
from magsim.dynamics.sphere import Geodesic
from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.spins import random_spins, rng

LATTICE = make_lattice("triangular", (6, 6))
FRUSTRATED = ClassicalField(
    ClassicalHamiltonian(LATTICE, heisenberg=(-1.0, 0.4), dm=0.6, zeeman=(0, 0, 0.2), easy_axis=0.1)
)
METHODS = ("cg", "lbfgs")


class Counted:
    """A field that counts its evaluations."""

    def __init__(self, field):
        self.field, self.calls, self.conservative = field, 0, field.conservative

    def __call__(self, spins):
        self.calls += 1
        return self.field(spins)


def relaxed(
    method, field=FRUSTRATED, seed=0, steps=2000, every=25, replicas=2, spins=None, tolerance=1e-8, **o
):
    protocol = Relax(steps, every, replicas, tolerance=tolerance, method=method)
    start = torch.from_numpy(initial_spins(protocol, LATTICE, seed)) if spins is None else spins
    counted = Counted(field)
    integrator = make_integrator("heun", 0.1 if method == "llg" else None, 1.0)
    return list(evolve(counted, start, integrator, protocol, 0, **o)), counted.calls


@pytest.mark.parametrize("method", METHODS)
def test_a_minimiser_ends_at_the_tolerance_with_an_energy_that_only_falls(method) -> None:
    minimiser = MINIMISERS[method](WHOLE)
    spins = torch.from_numpy(random_spins(36, rng(0), (2,)))
    energy, force = FRUSTRATED(spins)
    for _ in range(1000):
        spins, lower, force = minimiser.step(FRUSTRATED, spins, energy, force)
        assert bool((lower <= energy + 1e-13 * energy.abs()).all())
        energy = lower
        if float(largest_torque(spins, force).max()) < 1e-8:
            break
    assert float(largest_torque(spins, force).max()) < 1e-8
    assert float((spins.norm(dim=-1) - 1).abs().max()) < 1e-12
    torch.testing.assert_close(force, FRUSTRATED(spins)[1], atol=1e-13, rtol=0)


def test_a_minimiser_needs_far_fewer_fields_than_damped_motion() -> None:
    """From the same spins to the same tolerance, in the same valley."""
    start = torch.from_numpy(random_spins(36, rng(5), (1,)))
    early, _ = relaxed("llg", spins=start, tolerance=0.3)
    slow, many = relaxed("llg", spins=early[-1].spins, tolerance=1e-4)
    for method in METHODS:
        quick, few = relaxed(method, spins=early[-1].spins, tolerance=1e-4)
        assert float(quick[-1].energy) == pytest.approx(float(slow[-1].energy), abs=1e-5)
        assert few < many / 5


def test_replicas_do_not_disturb_each_other() -> None:
    for method in METHODS:
        both, _ = relaxed(method, tolerance=0.0, steps=30)
        for r in range(2):
            alone, _ = relaxed(method, tolerance=0.0, steps=30, spins=both[0].spins[r : r + 1])
            torch.testing.assert_close(alone[-1].spins[0], both[-1].spins[r], atol=1e-8, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_continued_minimisation_is_the_whole_one_bit_by_bit(method) -> None:
    whole, _ = relaxed(method, every=10, steps=45)
    first, _ = relaxed(method, every=10, steps=45, n_steps=20)
    rest, _ = relaxed(method, every=10, steps=45, spins=first[-1].spins, start_step=20)
    assert [f.step for f in rest] == [f.step for f in whole if f.step > 20]
    assert torch.equal(rest[-1].spins, whole[-1].spins)


def test_single_precision_is_relaxed_down_to_its_rounding() -> None:
    class Coarse(EffectiveField):
        n_sites, name = 36, "coarse"

        def evaluate(self, spins):
            energy, field = FRUSTRATED(spins.float().double())
            return energy.float().double(), field.float().double()

    frames, _ = relaxed("lbfgs", Coarse(), tolerance=0.0, steps=150, every=50, replicas=1)
    assert float(largest_torque(frames[-1].spins, frames[-1].field).max()) < 1e-4


def test_a_field_without_an_energy_is_refused() -> None:
    class Torque(Counted):
        pass

    field = Torque(FRUSTRATED)
    field.conservative = False
    with pytest.raises(ConfigError, match=r"protocol\.method=lbfgs: needs an energy"):
        relaxed("lbfgs", field)
    with pytest.raises(ConfigError, match=r"protocol\.method=newton: must be one of llg, cg, lbfgs"):
        Relax(method="newton")


def test_transport_along_a_great_circle_keeps_lengths_angles_and_tangency() -> None:
    spins, v, w = (torch.from_numpy(random_spins(36, rng(k), (2,))) for k in range(3))
    v, w = perpendicular(spins, v), perpendicular(spins, w)
    path, a = Geodesic(spins, v), torch.tensor([0.7, 2.0], dtype=torch.float64)
    there, moved_v, moved_w = path.at(a), path.carry(v, a), path.carry(w, a)
    np.testing.assert_allclose((moved_w * there).sum(-1), 0, atol=1e-14)
    torch.testing.assert_close((moved_w * moved_v).sum(-1), (w * v).sum(-1))
    torch.testing.assert_close(moved_w.norm(dim=-1), w.norm(dim=-1))
    torch.testing.assert_close(moved_v, path.velocity(a))
    step = 1e-6
    torch.testing.assert_close(
        (path.at(a + step) - path.at(a - step)) / (2 * step), moved_v, atol=1e-8, rtol=0
    )
