"""Ferromagnetic clusters: which sites, how many, how large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_lattices import ALL_LATTICES, name

from magsim import observables as obs
from magsim.lattice import Lattice, make_lattice
from magsim.spins import ferromagnet, neel, random_spins

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_neighbour_sum_is_the_sum_over_the_bonds_of_each_site(lattice: Lattice) -> None:
    for crystal in (lattice, make_lattice(lattice.name, lattice.shape, "open")):
        spins = random_spins(crystal.n_sites, np.random.default_rng(3))
        shell = crystal.shells(1)[0]
        expected = np.zeros(crystal.n_sites)
        np.add.at(expected, shell.i, (spins[shell.i] * spins[shell.j]).sum(-1))
        np.testing.assert_allclose(obs.neighbour_sum(crystal, spins), expected, atol=1e-12)


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_random_clusters_are_those_of_a_flood_fill(lattice: Lattice) -> None:
    inside = np.random.default_rng(5).random((3, lattice.n_sites)) < 0.5
    labels = obs.connected(lattice, inside)
    shell = lattice.shells(1)[0]
    for mask, label in zip(inside, labels, strict=True):
        expected = np.zeros(lattice.n_sites, dtype=int)
        for start in np.nonzero(mask)[0]:
            if expected[start]:
                continue
            front, number = {int(start)}, expected.max() + 1
            while front:
                expected[list(front)] = number
                near = shell.j[np.isin(shell.i, list(front))]
                front = {int(j) for j in near if mask[j] and not expected[j]}
        np.testing.assert_array_equal(label, expected)


def test_two_droplets_in_an_antiferromagnet_are_counted_across_the_periodic_edge() -> None:
    lattice = make_lattice("square", [12, 12])
    spins = neel(lattice)
    x, y = lattice.cells.T
    # a square of 4 x 4 over the corner of the lattice, and one of 3 x 3 in the middle
    corner = ((x + 2) % 12 < 4) & ((y + 2) % 12 < 4)
    middle = (abs(x - 6) <= 1) & (abs(y - 6) <= 1)
    spins[corner | middle] = [0, 0, 1.0]
    found = obs.clusters(lattice, spins)
    inner = obs.ferromagnetic_sites(lattice, spins)
    assert not inner[~(corner | middle)].any()
    assert found.number == 2
    assert found.largest == inner[corner].sum()
    assert found.mean_size == pytest.approx(inner.sum() / 2)
    assert found.fraction == pytest.approx(inner.mean())
    open_ended = make_lattice("square", [12, 12], "open")
    assert obs.clusters(open_ended, spins).number > 2


def test_a_ferromagnet_is_one_cluster_and_a_neel_state_has_none() -> None:
    lattice = make_lattice("square", [8, 8])
    whole, none = (obs.clusters(lattice, s) for s in (ferromagnet(lattice), neel(lattice)))
    assert (whole.number, whole.mean_size, whole.fraction) == (1, 64, 1.0)
    assert (none.number, none.mean_size, none.largest) == (0, 0, 0)


def test_the_published_quench_ends_with_clusters_of_1_3_sites() -> None:
    """Last state of the exact 30x30 quench at filling .485, whose <S.S> is -.839."""
    with np.load(DATA / "double_exchange_30x30.npz") as data:
        spins = data["spins"].astype(float)
    lattice = make_lattice("square", [30, 30])
    found = obs.clusters(lattice, spins)
    assert float(obs.nn_correlation(lattice, spins).mean()) == pytest.approx(-0.839, abs=1e-3)
    assert float(found.mean_size.mean()) == pytest.approx(39 / 29)
    assert int(found.number.sum()) == 29
