"""Classical terms: signs, field = -dE/dS, one answer for every kind of array."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.spins import ferromagnet, neel, random_rotation, random_spins

RNG = np.random.default_rng(7)
ALL_TERMS = {"easy_axis": 0.3, "axis": (1.0, 2.0, -1.0), "zeeman": (0.1, -0.2, 0.4)}
CASES = [
    ("chain", (7,), "open", {"heisenberg": (1.0, -0.3), "dm": 0.4, "dm_kind": "z"}),
    ("square", (4, 3), None, {"heisenberg": (0.5,), **ALL_TERMS}),
    ("square", (2, 2), None, {"heisenberg": (0.5, 0.2), "dm": 0.3}),
    (
        "triangular",
        (4, 3),
        None,
        {"heisenberg": (1.0, 0.2, -0.1), "dm": -0.4, "dm_kind": "neel", **ALL_TERMS},
    ),
    ("kagome", (2, 3), "open", {"heisenberg": (-1.0,), "dm": 0.2, "dm_kind": "bloch"}),
    ("cubic", (3, 2, 3), None, {"dm": 0.7, **ALL_TERMS}),
]


@pytest.mark.parametrize(("name", "shape", "boundary", "terms"), CASES)
def test_field_is_minus_the_derivative_of_the_energy(name, shape, boundary, terms):
    hamiltonian = ClassicalHamiltonian(make_lattice(name, shape, boundary), **terms)
    spins = random_spins(hamiltonian.n_sites, RNG)
    h = 1e-4
    steps = h * np.eye(spins.size).reshape(-1, *spins.shape)
    numeric = -(hamiltonian.energy(spins + steps) - hamiltonian.energy(spins - steps)) / (2 * h)
    np.testing.assert_allclose(hamiltonian.field(spins).ravel(), numeric, atol=1e-9)


def test_superexchange_on_one_tilted_spin_adds_minus_4J_along_z():
    """The reference of a 6x6 square lattice, all spins +z but one: field -4 J z with J = +0.1."""
    lattice = make_lattice("square", (6, 6))
    spins = ferromagnet(lattice)
    spins[0] = np.ones(3) / np.sqrt(3)
    field = ClassicalHamiltonian(lattice, heisenberg=(0.1,)).field(spins)
    np.testing.assert_allclose(field[0], [0, 0, -0.4], atol=1e-14)


def test_positive_exchange_favours_the_neel_state():
    lattice = make_lattice("square", (4, 4))
    hamiltonian = ClassicalHamiltonian(lattice, heisenberg=(1.0,))
    # two bonds a site
    assert hamiltonian.energy(ferromagnet(lattice)) == pytest.approx(2.0 * 16)
    assert hamiltonian.energy(neel(lattice)) == pytest.approx(-2.0 * 16)


def test_second_shell_counts_each_diagonal_bond_once():
    lattice = make_lattice("square", (5, 5))
    energy = ClassicalHamiltonian(lattice, heisenberg=(0.0, 1.0)).energy(ferromagnet(lattice))
    assert energy == pytest.approx(2.0 * 25)


@pytest.mark.parametrize(("kind", "plane"), [("z", "xy"), ("bloch", "yz"), ("neel", "zx")])
@pytest.mark.parametrize("D", [0.5, -0.5])
def test_dm_energy_of_a_pair_is_D_times_the_signed_angle(kind, plane, D):
    """E = D_12.(S_1 x S_2), D_12 along z, the bond x, or z x x = y: +D for a quarter turn about it."""
    pair = ClassicalHamiltonian(make_lattice("chain", (2,), "open"), dm=D, dm_kind=kind)
    first, second = (np.eye(3)["xyz".index(axis)] for axis in plane)
    assert pair.energy(np.stack([first, second])) == pytest.approx(D)
    assert pair.energy(np.stack([second, first])) == pytest.approx(-D)


def test_easy_axis_and_zeeman_lower_the_energy_along_their_directions():
    lattice = make_lattice("chain", (3,))
    up = ferromagnet(lattice)
    assert ClassicalHamiltonian(lattice, easy_axis=0.3, axis=(0, 0, 2)).energy(up) == pytest.approx(-0.9)
    assert ClassicalHamiltonian(lattice, zeeman=(0, 0, 0.2)).energy(up) == pytest.approx(-0.6)


def test_exchange_is_invariant_under_spin_rotations_and_dm_is_not():
    lattice = make_lattice("triangular", (4, 4))
    spins = random_spins(16, RNG)
    turned = spins @ random_rotation(RNG).T
    exchange = ClassicalHamiltonian(lattice, heisenberg=(1.0, 0.3))
    assert exchange.energy(turned) == pytest.approx(exchange.energy(spins), abs=1e-12)
    dm = ClassicalHamiltonian(lattice, dm=1.0)
    assert abs(dm.energy(turned) - dm.energy(spins)) > 1e-3


@pytest.mark.parametrize("dm", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_torch_numpy_batches_and_single_configurations_agree_bitwise(dm, dtype):
    hamiltonian = ClassicalHamiltonian(
        make_lattice("square", (4, 4)), heisenberg=(1.0, 0.2), dm=dm, **ALL_TERMS
    )
    spins = random_spins(16, RNG, batch=(2, 3)).astype(dtype)
    energy, field = hamiltonian.energy_and_field(spins)
    assert energy.shape == (2, 3)
    assert field.shape == spins.shape
    assert field.dtype == energy.dtype == dtype
    torch_energy, torch_field = hamiltonian.energy_and_field(torch.from_numpy(spins))
    assert torch_field.dtype == torch.from_numpy(spins).dtype
    np.testing.assert_array_equal(torch_field.numpy(), field)
    np.testing.assert_array_equal(torch_energy.numpy(), energy)
    np.testing.assert_array_equal(hamiltonian.field(spins[1, 2]), field[1, 2])


@pytest.mark.gpu
@pytest.mark.parametrize("dm", [0.0, 0.3])
def test_gpu_field_equals_cpu_field(dm):
    hamiltonian = ClassicalHamiltonian(
        make_lattice("square", (4, 4)), heisenberg=(1.0, 0.2), dm=dm, **ALL_TERMS
    )
    spins = torch.from_numpy(random_spins(16, RNG, batch=(3,)))
    energy, field = hamiltonian.energy_and_field(spins)
    gpu_energy, gpu_field = hamiltonian.energy_and_field(spins.cuda())
    torch.testing.assert_close(gpu_field.cpu(), field, rtol=0, atol=1e-13)
    torch.testing.assert_close(gpu_energy.cpu(), energy, rtol=0, atol=1e-12)


def test_terms_add_and_bind_to_another_size():
    small, large = make_lattice("square", (4, 4)), make_lattice("square", (6, 6))
    spins = random_spins(36, RNG)
    both = ClassicalHamiltonian(small, heisenberg=(1.0,), dm=0.2).bind(large)
    parts = ClassicalHamiltonian(large, heisenberg=(1.0,)).field(spins) + ClassicalHamiltonian(
        large, dm=0.2
    ).field(spins)
    np.testing.assert_allclose(both.field(spins), parts, atol=1e-14)


@pytest.mark.parametrize(
    ("terms", "key"),
    [
        ({"dm": 1.0, "dm_kind": "sideways"}, "classical.dm_kind"),
        ({"dm": 1.0, "dm_kind": "z"}, "classical.dm_kind"),
        ({"easy_axis": 1.0, "axis": (0, 0, 0)}, "classical.axis"),
        ({"zeeman": (0, 1)}, "classical.zeeman"),
        ({"heisenberg": (float("nan"),)}, "classical.heisenberg"),
    ],
)
def test_wrong_terms_are_refused_by_name(terms, key):
    with pytest.raises(ConfigError) as error:
        ClassicalHamiltonian(make_lattice("square", (4, 4)), **terms)
    assert error.value.key == key


def test_spins_of_another_lattice_are_refused():
    with pytest.raises(ValueError, match="16"):
        ClassicalHamiltonian(make_lattice("square", (4, 4))).energy(random_spins(15, RNG))
