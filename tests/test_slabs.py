"""A lattice in slabs: energy and field are those of the whole, for every model, boundary and crystal."""

from __future__ import annotations

import pytest
import torch

from magsim.config import compose
from magsim.dynamics import ClassicalField, CommitteeField, ExactField, LearnedField
from magsim.dynamics.pieces import SlabField
from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import Cut, make_lattice, reach
from magsim.models import build_model
from magsim.spins import random_spins, rng
from magsim.tasks.build import build_labeler

MODELS = {
    "bp": ({"name": "bp", "hidden": [8]}, {"name": "bispectrum", "cutoff": 1.1, "references": 1}),
    "linear": ({"name": "linear"}, {"name": "bispectrum", "cutoff": 1.1, "references": 1}),
    "message passing": (
        {"name": "equivariant", "layers": 2, "channels": 2, "hidden": [6]},
        {"name": "equivariant", "cutoff": 1.1},
    ),
    "torque": (
        {"name": "equivariant", "layers": 2, "channels": 2, "hidden": [6], "output": "torque"},
        {"name": "equivariant", "cutoff": 1.1},
    ),
}
CRYSTALS = {
    "triangular": (13, 4),
    "square": (13, 4),
    "chain": (13,),
    "honeycomb": (9, 3),
    "kagome": (9, 3),
    "cubic": (13, 3, 3),
}


def learned(kind: str, lattice, seed: int = 0) -> LearnedField:
    """A model with random weights of the size that training gives them."""
    torch.manual_seed(seed)
    model, descriptor = MODELS[kind]
    built = build_model(lattice, descriptor, model).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
    built.energy_shift.fill_(-0.3)
    return LearnedField(built)


def compare(make, lattice, slabs: int) -> None:
    spins = torch.from_numpy(random_spins(lattice.n_sites, rng(1), (2,)))
    energy, field = make(lattice)(spins)
    cut = SlabField(make(lattice), lattice, slabs)
    in_slabs = cut(spins)
    scale = float(field.abs().max())
    assert scale > 1e-4
    torch.testing.assert_close(in_slabs[1], field, atol=1e-12 * max(scale, 1), rtol=0)
    torch.testing.assert_close(in_slabs[0], energy, atol=1e-10, rtol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("bp", "periodic"),
        ("bp", "open"),
        ("linear", "open"),
        ("message passing", "periodic"),
        ("message passing", "open"),
        ("torque", "periodic"),
    ],
)
def test_slabs_of_a_learned_field_are_the_whole(kind: str, boundary: str) -> None:
    lattice = make_lattice("triangular", (13, 5), [boundary, "periodic"])
    compare(lambda lattice: learned(kind, lattice), lattice, 3)


@pytest.mark.parametrize("name", CRYSTALS)
def test_slabs_of_every_crystal_are_the_whole(name: str) -> None:
    terms = {"heisenberg": (1.0, -0.3), "dm": 0.2, "zeeman": (0.1, 0, 0.3), "easy_axis": 0.4}
    for boundary in ("periodic", "open"):
        lattice = make_lattice(name, CRYSTALS[name], boundary)
        compare(lambda lattice: ClassicalField(ClassicalHamiltonian(lattice, **terms)), lattice, 4)


def test_sublattices_and_classical_terms_are_cut_together() -> None:
    compare(
        lambda lattice: learned("bp", lattice) + ClassicalField(ClassicalHamiltonian(lattice, dm=0.2)),
        make_lattice("kagome", (8, 3), ["open", "periodic"]),
        3,
    )


def test_windows_longer_than_the_lattice_hold_sites_twice_and_change_nothing() -> None:
    lattice = make_lattice("square", (8, 4))
    cut = Cut(lattice, 2, 4)
    assert cut.window.shape == (12, 4)
    compare(lambda lattice: learned("message passing", lattice), lattice, 2)


def test_slabs_partition_the_lattice_and_open_windows_end_where_it_does() -> None:
    for boundary in ("periodic", "open"):
        lattice = make_lattice("honeycomb", (10, 3), boundary)
        cut = Cut(lattice, 4, 2)
        own = [range(lattice.n_sites)[slab.own] for slab in cut.slabs]
        assert [site for part in own for site in part] == list(range(lattice.n_sites))
        for slab, part in zip(cut.slabs, own, strict=True):
            assert list(cut.sites(slab)[slab.within]) == list(part)
            if boundary == "open":
                assert 0 <= slab.first <= 10 - cut.rows
    assert reach(make_lattice("triangular", (9, 9)), 2.0) == 2


def test_a_committee_is_cut_with_its_members() -> None:
    lattice = make_lattice("square", (9, 4))
    compare(lambda lattice: CommitteeField([learned("linear", lattice, k) for k in (0, 1)]), lattice, 3)


def test_exact_electrons_are_not_cut_and_rows_bound_the_slabs() -> None:
    cfg = compose(["lattice.shape=[4,4]"])
    lattice = make_lattice("triangular", (4, 4))
    with pytest.raises(ConfigError, match=r"compute\.slabs=2: field exact sees the whole lattice"):
        SlabField(ExactField(build_labeler(cfg)), lattice, 2)
    with pytest.raises(ConfigError, match=r"compute\.slabs=9: the lattice has 4 rows"):
        SlabField(ClassicalField(ClassicalHamiltonian(lattice, heisenberg=(1.0,))), lattice, 9)
