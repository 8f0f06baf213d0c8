"""Training, checkpoints and dynamics know a model as :class:`magsim.models.Model`, whatever it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import magsim
from magsim.config import compose
from magsim.dynamics import LearnedField, Quench, evolve, make_integrator
from magsim.hamiltonian import ClassicalHamiltonian
from magsim.lattice import Lattice, make_lattice
from magsim.learning.checkpoint import model_facts, save_model
from magsim.learning.module import ForceFieldModule, Optimisation
from magsim.models import MODELS, Model, build_model
from magsim.spins import random_spins, transverse
from magsim.tasks.build import plain
from magsim.tasks.training.errors import predict

LATTICE = make_lattice("triangular", (6, 6))
KIND = {"name": "swirl"}


class Swirl(Model):
    """``F_i = a sum_j S_j + b sum_j S_i x S_j`` over nearest neighbours: its second part has no energy."""

    conservative = False
    n_features = 2

    def __init__(self, descriptor: nn.Module) -> None:
        super().__init__()
        self.bind(descriptor.lattice)
        self.weight = nn.Parameter(torch.zeros(2))

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def bind(self, lattice: Lattice) -> Swirl:
        self._lattice, shell = lattice, lattice.shells(1)[0]
        self.bonds = [torch.tensor(shell.i), torch.tensor(shell.j)]
        return self

    def fit_statistics(self, spins: Tensor, field: Tensor) -> None:
        self.energy_scale.copy_(transverse(field, spins).pow(2).mean().sqrt())

    def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        i, j = self.bonds
        mean = torch.zeros_like(spins).index_add(1, i, spins[:, j])
        field = self.weight[0] * mean + self.weight[1] * torch.linalg.cross(spins, mean)
        return spins.new_full((len(spins),), float("nan")), field


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> tuple[Model, Tensor, Tensor]:
    """An untrained swirl, spins and the exact field of one."""
    monkeypatch.setitem(MODELS, "swirl", Swirl)
    spins = torch.tensor(random_spins(36, np.random.default_rng(0), (12,)))
    neighbours = ClassicalHamiltonian(LATTICE, heisenberg=(1.0,)).energy_and_field(spins)[1]
    field = 0.7 * neighbours - 0.4 * torch.linalg.cross(spins, neighbours)
    model = build_model(LATTICE, plain(compose(["descriptor.cutoff=1"]).descriptor), KIND).double()
    model.fit_statistics(spins, field)
    return model, spins, field


def test_a_model_without_invariants_or_energy_is_trained_saved_and_moves_spins(
    fields: tuple[Model, Tensor, Tensor], tmp_path: Path
) -> None:
    model, spins, field = fields
    module = ForceFieldModule(model, Optimisation(weight_decay=0.0), ("random",), {})
    module.log = lambda *args, **more: None  # type: ignore[method-assign,assignment]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    module.optimizers = lambda *args: optimizer  # type: ignore[method-assign,assignment]
    batch: dict[str, Any] = {"spins": spins, "field": field, "weight": torch.ones(12).double()}
    for _ in range(400):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
    ratio = (model.weight[1] / model.weight[0]).detach()
    assert float(ratio) == pytest.approx(-0.4 / 0.7, rel=1e-3)

    facts = model_facts(LATTICE, plain(compose(["descriptor.cutoff=1"]).descriptor), KIND)
    save_model(tmp_path / "model.safetensors", model, facts)
    again = magsim.load_field(tmp_path / "model.safetensors", shape=(9, 8))
    assert isinstance(again, LearnedField)
    assert not again.conservative
    assert again.torque_scale == pytest.approx(float(model.energy_scale))
    start = torch.tensor(random_spins(72, np.random.default_rng(1), (2,)))
    frames = list(evolve(again, start, make_integrator("heun", 0.05, 0.3), Quench(4, 2), seed=0))
    assert len(frames) == 3
    assert float((frames[-1].spins - start).abs().max()) > 1e-3


def test_predictions_of_a_model_without_energy_have_none(fields: tuple[Model, Tensor, Tensor]) -> None:
    model, spins, _ = fields
    energy, field = predict(model, spins.numpy())
    assert np.isnan(energy).all()
    assert field.shape == spins.shape


def test_a_model_that_lacks_a_part_of_the_contract_cannot_be_made() -> None:
    class Half(Model):
        def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
            return spins.sum((1, 2)), spins

    with pytest.raises(TypeError, match=r"bind|fit_statistics|lattice"):
        Half()  # type: ignore[abstract]
