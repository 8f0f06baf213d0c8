"""Every model in either precision, as it is, recorded as a graph and compiled: one list of checks for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from effective_field_checks import Case, EffectiveFieldChecks
from random_models import BP, LINEAR, STRIP, driven, trained
from test_equivariant import SQUARE, WithoutEnergy, random_model

from magsim.dynamics import CommitteeField, EffectiveField, LearnedField
from magsim.models import Model
from magsim.models.graph import field_graph

NEAR = {"cutoff": 1.0}
MODELS: dict[str, Callable[[torch.dtype], Model]] = {
    "linear": lambda dtype: trained(SQUARE, LINEAR, dtype, references=0, **NEAR),
    "bp": lambda dtype: trained(SQUARE, BP, dtype, references=0, **NEAR),
    "bp references": lambda dtype: trained(SQUARE, BP, dtype, references=2, **NEAR),
    "bp bispectrum": lambda dtype: trained(
        SQUARE, BP, dtype, references=1, bispectrum=True, chirality_cutoff=1.5, **NEAR
    ),
    "equivariant": lambda dtype: random_model(SQUARE, {"layers": 2}, NEAR, dtype),
    "equivariant torque": lambda dtype: random_model(SQUARE, {"output": "torque"}, NEAR, dtype),
    "energy of a strip": lambda dtype: driven(dtype=dtype, form="energy"),
    "summed": lambda dtype: driven(dtype=dtype, form="summed"),
    "sitewise": lambda dtype: driven(dtype=dtype, form="sitewise"),
    "direct": lambda dtype: driven(dtype=dtype, form="direct", summed_energy=False),
}
STRIPS = ("energy of a strip", "summed", "sitewise", "direct")
COMMITTEE = "committee"  # of the network and the linear model
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
FORMS = ("as it is", "graph", "compiled")


class GraphField(EffectiveField):
    """A model as a graph of elementary operations, replica by replica."""

    def __init__(self, model: Model, compiled: bool) -> None:
        graph = field_graph(model, replicas=1)
        self.run = torch.compile(graph, dynamic=False) if compiled else graph
        self.n_sites, self.name = model.lattice.n_sites, "graph"
        self.conservative, self.dtype = model.conservative, model.energy_scale.dtype

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        if isinstance(spins, np.ndarray):
            energy, field = self.evaluate(torch.from_numpy(spins))
            return energy.numpy(), field.numpy()
        parts = [self.run(one) for one in spins.reshape(-1, self.n_sites, 3).to(self.dtype).split(1)]
        energies, fields = (torch.cat(answers).to(spins) for answers in zip(*parts, strict=True))
        return energies.reshape(spins.shape[:-2]), fields.reshape(spins.shape)


@cache
def make(name: str, precision: str, form: str) -> Case:
    """The field of a model; made once, since a compilation takes a minute.

    In float32 a number of order 1 is rounded to 6e-8, an energy of 16 sites, of order 10, to 1e-6, and some
    hundred operations follow each other: the same number by two ways agrees to 1e-5, and a finite difference
    over 0.03 to 1e-6 / 0.03, with a margin of 30. In float64 all of this is 1e-9 of it.
    """
    dtype = PRECISIONS[precision]
    field: EffectiveField
    if name == COMMITTEE:
        members = [LearnedField(MODELS[member](dtype)) for member in ("linear", "bp")]
        field = CommitteeField(members)
    else:
        model = MODELS[name](dtype)
        whole = form == "as it is"
        field = LearnedField(model) if whole else GraphField(model, form == "compiled")
        if not field.conservative:
            field = WithoutEnergy(field)  # type: ignore[arg-type]
    lattice, symmetries = SQUARE, {}
    if name in STRIPS:
        lattice, symmetries = STRIP, {"time_reversal": False, "mirror_x": False}
    if precision == "float32":
        return Case(lattice, field, gradient=1e-3, exact=1e-5, step=0.03, **symmetries)
    return Case(lattice, field, **symmetries)


def combinations(slow: bool) -> Iterator[Any]:
    """All of models, precisions and forms; a few that take little are fast, the others slow."""
    fast = {
        ("bp references", "float32", "as it is"),
        ("equivariant", "float32", "as it is"),
        (COMMITTEE, "float64", "as it is"),
        ("linear", "float64", "graph"),
    }
    for name in (*MODELS, COMMITTEE):
        for precision in PRECISIONS:
            for form in FORMS if name != COMMITTEE else FORMS[:1]:
                if ((name, precision, form) in fast) != slow:
                    yield pytest.param((name, precision, form), id=f"{name}, {precision}, {form}")


class TestSomeModels(EffectiveFieldChecks):
    @pytest.fixture(params=combinations(slow=False))
    def case(self, request: pytest.FixtureRequest) -> Case:
        return make(*request.param)


@pytest.mark.slow
class TestEveryModel(EffectiveFieldChecks):
    @pytest.fixture(params=combinations(slow=True))
    def case(self, request: pytest.FixtureRequest) -> Case:
        return make(*request.param)
