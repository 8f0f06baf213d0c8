"""Models with random weights, as training would leave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from magsim.lattice import Lattice, make_lattice
from magsim.models import EnergyModel, PotentialModel, build_model
from magsim.spins import random_spins

BISPECTRUM: dict[str, Any] = {"name": "bispectrum", "cutoff": 1.8, "references": 2}
BP: dict[str, Any] = {"name": "bp", "hidden": [16, 8], "activation": "silu"}
LINEAR: dict[str, Any] = {"name": "linear"}


def trained(
    lattice: Lattice,
    kind: Mapping[str, Any] = BP,
    dtype: torch.dtype = torch.float64,
    **descriptor: Any,
) -> EnergyModel:
    """A model with random weights of the size that training gives them, and real statistics."""
    torch.manual_seed(3)
    model = build_model(lattice, BISPECTRUM | descriptor, kind).double()
    rng = np.random.default_rng(0)
    spins = torch.tensor(random_spins(lattice.n_sites, rng, (6,)))
    model.fit_statistics(spins, 0.1 * torch.tensor(rng.normal(size=spins.shape)))
    with torch.no_grad():
        for parameter in model.parameters():
            width = parameter.shape[-1] if parameter.ndim > 1 else len(parameter)
            parameter.normal_(std=2 * width**-0.5)
    model.energy_shift.fill_(-0.3)
    return model.to(dtype).eval()


STRIP = make_lattice("square", (5, 4), ["open", "periodic"])
DRIVEN: dict[str, Any] = {
    "name": "bispectrum",
    "cutoff": 1.5,
    "chirality_cutoff": 1.5,
    "channels": 5,
    "time_reversal": False,
    "point_group": "mirror_y",
}


def driven(
    lattice: Lattice = STRIP,
    descriptor: Mapping[str, Any] = DRIVEN,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> PotentialModel:
    """A model of a driven strip with random weights, its field of order one at a voltage of one."""
    torch.manual_seed(5)
    model = build_model(lattice, descriptor, {"name": "potential", "hidden": [16, 8], **options}).double()
    assert isinstance(model, PotentialModel)
    rng = np.random.default_rng(0)
    spins = torch.tensor(random_spins(lattice.n_sites, rng, (6,)))
    voltage = torch.full((6,), 1.6, dtype=torch.float64)
    model.fit_statistics(spins, 0.1 * torch.tensor(rng.normal(size=spins.shape)), **model.given(voltage))
    with torch.no_grad():
        for network in (model.of_energy, model.of_drive):
            if network is not None:
                network.rest[-1].weight.mul_(20)
    model.energy_shift.fill_(-0.3)
    return model.to(dtype).eval()


SMALL = make_lattice("triangular", (5, 5))
LEARNED = {
    "bp triangular": (SMALL, BP, {}),
    "bp with chiralities": (SMALL, BP, {"chirality_cutoff": 1.0}),
    "bp with bispectrum": (SMALL, BP, {"bispectrum": True, "references": 1, "chirality_cutoff": 1.0}),
    "bp square open": (make_lattice("square", (4, 5), "open"), BP, {"cutoff": 2.0}),
    "bp kagome half open": (make_lattice("kagome", (3, 3), ["open", "periodic"]), BP, {}),
    "bp honeycomb": (make_lattice("honeycomb", (3, 3)), BP, {}),
    "bp cubic": (make_lattice("cubic", (3, 3, 3)), BP, {"cutoff": 1.0}),
    "bp chain": (make_lattice("chain", (9,)), BP, {"cutoff": 3.0}),
    "linear triangular": (SMALL, LINEAR, {"chirality_cutoff": 1.0}),
    "linear kagome open": (make_lattice("kagome", (3, 3), "open"), LINEAR, {}),
}
