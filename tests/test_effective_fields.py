"""Effective fields: sums, exact and learned ones answer in the kind and shape of the spins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_integrators import random_start

from magsim.dynamics import ClassicalField, ExactField, LearnedField, SumField
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

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.5))
        self.largest_batch = 0

    def forward(self, spins):
        assert spins.dtype == torch.float32
        self.largest_batch = max(self.largest_batch, len(spins))
        spins = spins.detach().requires_grad_()
        energy = self.w * (spins[..., 2] ** 3).sum(-1)
        return energy, -torch.autograd.grad(energy.sum(), spins)[0]


@pytest.mark.parametrize("chunk", [None, 2])
def test_learned_field_answers_in_the_dtype_and_kind_of_the_spins(chunk):
    model = Toy()
    field = LearnedField(model, n_sites=6, chunk=chunk)
    spins = random_start(6, replicas=5)
    energy, force = field(spins)
    assert energy.shape == (5,)
    assert force.dtype == torch.float64
    assert not force.requires_grad
    assert model.largest_batch == (chunk or 5)
    gradient = torch.zeros_like(spins)
    gradient[..., 2] = -1.5 * spins[..., 2] ** 2
    torch.testing.assert_close(force, transverse(gradient, spins), rtol=1e-5, atol=1e-6)
    numpy_energy, numpy_force = field(spins[0].numpy())
    assert isinstance(numpy_force, np.ndarray)
    assert numpy_energy.shape == ()
    np.testing.assert_allclose(numpy_force, force[0], atol=1e-7)
