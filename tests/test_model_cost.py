"""The cost of a trained field is measured on its own crystal and leaves the model as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_models import BP, LINEAR, trained

from magsim.lattice import make_lattice
from magsim.spins import random_spins
from magsim.tasks.training.model_cost import microseconds_per_site, model_cost


@pytest.mark.parametrize(
    ("name", "shape", "sites"),
    [("triangular", (6, 6), 400), ("kagome", (3, 4), 432), ("chain", (9,), 400)],
)
def test_cost_is_measured_on_about_as_many_sites_as_asked_for(
    name: str, shape: tuple[int, ...], sites: int
) -> None:
    model = trained(make_lattice(name, shape), LINEAR, torch.float32, cutoff=1.0)
    cost = model_cost(model, seconds=0.0, sites=400)
    assert cost.sites == sites
    assert 0 < cost.microseconds_per_site < 1e4
    assert (cost.precision, cost.device, cost.evaluations) == ("float32", "cpu", 2)


def test_the_model_comes_back_as_it_was() -> None:
    lattice = make_lattice("square", (4, 6))
    model = trained(lattice, BP).train()
    spins = torch.tensor(random_spins(lattice.n_sites, np.random.default_rng(1), (2,)))
    before = model(spins)
    microseconds_per_site(model, seconds=0.0, sites=100)
    assert model.lattice.shape == (4, 6)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    for old, new in zip(before, model(spins), strict=True):
        assert torch.equal(old, new)


def test_a_larger_network_costs_more() -> None:
    lattice = make_lattice("square", (6, 6))
    wide = BP | {"hidden": [512, 512, 512]}
    small, large = (microseconds_per_site(trained(lattice, kind), 0.05, 900) for kind in (BP, wide))
    assert large > 1.5 * small
