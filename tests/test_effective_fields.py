"""Effective fields: sums, exact and learned ones answer in the kind and shape of the spins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from biased_labeler import BiasedLabeler, Strip
from test_integrators import random_start

from magsim.dynamics import ClassicalField, CommitteeField, ExactField, LearnedField, SumField
from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers.ed import EDLabeler
from magsim.lattice import make_lattice
from magsim.spins import random_spins, transverse


def test_fields_add_in_order_without_nesting():
    a, b, c = (
        ClassicalField(ClassicalHamiltonian(make_lattice("chain", (6,)), zeeman=(x, 0, 1))) for x in (1, 2, 3)
    )
    a.name, b.name, c.name = "a", "b", "c"
    total = (a + b) + (c + a)
    assert isinstance(total, SumField)
    assert total.terms == (a, b, c, a)
    assert total.name == "a+b+c+a"
    spins = random_start(6)
    torch.testing.assert_close(total(spins)[1], sum(f(spins)[1] for f in total.terms))
    torch.testing.assert_close(total(spins)[0], sum(f(spins)[0] for f in total.terms))
    with pytest.raises(ValueError, match="different lattices"):
        a + ClassicalField(ClassicalHamiltonian(make_lattice("chain", (5,))))
    with pytest.raises(ValueError, match=r"\(\.\.\., 6, 3\)"):
        a(random_start(5))


def test_exact_field_gives_the_labels_in_the_kind_and_shape_of_the_spins():
    labeler = EDLabeler(SDHamiltonian(make_lattice("square", (3, 3)), hopping=(1.0,), mu=-1.0, T=0.1, J=1.0))
    field = ExactField(labeler)
    spins = random_spins(9, np.random.default_rng(0), batch=(2, 2))
    labels = labeler.label(spins.reshape(4, 9, 3))
    energy, force = field(spins)
    np.testing.assert_array_equal(force.reshape(4, 9, 3), labels.field)
    np.testing.assert_array_equal(energy.ravel(), labels.energy)
    energy, force = field(torch.from_numpy(spins).float())
    assert force.dtype == torch.float32
    np.testing.assert_allclose(force.numpy().reshape(4, 9, 3), labels.field, atol=1e-5)


class Toy(torch.nn.Module):
    """E = w sum_i S_iz^3, field by autograd, single precision."""

    lattice = make_lattice("chain", (6,))

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, spins):
        assert spins.dtype == torch.float32
        spins = spins.detach().requires_grad_()
        energy = self.w * (spins[..., 2] ** 3).sum(-1)
        return energy, -torch.autograd.grad(energy.sum(), spins)[0]


def test_learned_field_answers_in_the_dtype_and_kind_of_the_spins():
    field = LearnedField(Toy())
    spins = random_start(6, replicas=5)
    energy, force = field(spins)
    assert energy.shape == (5,)
    assert force.dtype == torch.float64
    assert not force.requires_grad
    gradient = torch.zeros_like(spins)
    gradient[..., 2] = -1.5 * spins[..., 2] ** 2
    torch.testing.assert_close(force, transverse(gradient, spins), rtol=1e-5, atol=1e-6)
    numpy_energy, numpy_force = field(spins[0].numpy())
    assert isinstance(numpy_force, np.ndarray)
    assert numpy_energy.shape == ()
    np.testing.assert_allclose(numpy_force, force[0], atol=1e-7)


def strip_field(voltage=0.0):
    return ExactField(BiasedLabeler(Strip(make_lattice("square", (6, 2), ("open", "periodic")), voltage)))


def test_every_replica_of_an_exact_field_feels_its_own_voltage():
    spins = random_spins(12, np.random.default_rng(0), batch=(4,))
    voltages = np.array([0.5, 0.0, 0.5, -1.0])
    field = strip_field()
    field.set_voltage(voltages)
    energy, force = field(spins)
    assert np.isnan(energy).all()
    for r, voltage in enumerate(voltages):
        np.testing.assert_array_equal(force[r], strip_field(voltage)(spins[r])[1])
    with pytest.raises(ValueError, match=r"4,.*for 3 configurations"):
        field(spins[:3])
    field.set_voltage(0.5)  # one for all of them
    np.testing.assert_array_equal(field(spins)[1], strip_field(0.5)(spins)[1])


class BiasedToy(Toy):
    """The same times 1 + V."""

    takes_voltage = True

    def forward(self, spins, voltage=None):
        energy, field = super().forward(spins)
        scale = 1.0 if voltage is None else 1 + voltage
        return scale * energy, field * (scale if voltage is None else scale[:, None, None])


def test_a_learned_field_hands_every_replica_its_voltage():
    spins = random_start(6, replicas=5)
    plain, biased = (LearnedField(kind()) for kind in (Toy, BiasedToy))
    force = plain(spins)[1]
    torch.testing.assert_close(biased(spins)[1], force)
    voltages = np.arange(5.0)
    for field in (biased, CommitteeField([biased, biased])):
        field.set_voltage(voltages)
        torch.testing.assert_close(field(spins)[1], force * torch.from_numpy(1 + voltages)[:, None, None])


def test_a_sum_passes_the_voltage_to_the_terms_that_know_one():
    classical = ClassicalField(ClassicalHamiltonian(make_lattice("square", (6, 2)), zeeman=(0, 0, 1)))
    field = classical + strip_field()
    field.set_voltage(0.5)
    spins = random_spins(12, np.random.default_rng(0), batch=(2,))
    np.testing.assert_array_equal(field(spins)[1], classical(spins)[1] + strip_field(0.5)(spins)[1])
    with pytest.raises(ConfigError, match=r"protocol\.V=0\.5: field classical knows no bias"):
        classical.set_voltage(0.5)
