"""Observables of ordered states, whose values are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from reference_lattices import ALL_LATTICES, PLANAR, name

from magsim import observables as obs
from magsim.lattice import Lattice, make_lattice
from magsim.spins import (
    ferromagnet,
    neel,
    order_120,
    random_spins,
    spiral,
    tetrahedral,
)


@pytest.mark.parametrize("sign", [1, -1])
def test_tetrahedral_order_has_one_chirality_of_0_7698_on_every_triangle(sign: int) -> None:
    lattice = make_lattice("triangular", [6, 8])
    spins = sign * tetrahedral(lattice)
    chirality = obs.scalar_chirality(lattice, spins)
    assert chirality.shape == (2 * lattice.n_sites,)
    assert np.ptp(chirality) < 1e-14
    assert abs(chirality[0]) == pytest.approx(0.76980036, abs=1e-8)
    assert np.sign(chirality[0]) == sign * np.sign(obs.mean_chirality(lattice, tetrahedral(lattice)))
    assert obs.mean_abs_chirality(lattice, spins) == pytest.approx(4 / (3 * np.sqrt(3)), abs=1e-14)
    assert obs.nn_correlation(lattice, spins) == pytest.approx(-1 / 3, abs=1e-14)
    assert obs.magnetisation(lattice, spins) == pytest.approx(0, abs=1e-14)
    assert (obs.chirality_domains(lattice, spins, threshold=0.5) == np.sign(chirality)).all()
    assert (obs.chirality_domains(lattice, spins, threshold=0.8) == 0).all()


def test_tetrahedral_order_peaks_at_the_three_zone_edge_midpoints() -> None:
    lattice = make_lattice("triangular", [8, 8])
    spectrum = obs.structure_factor(lattice, tetrahedral(lattice))
    peaks = obs.wavevectors(lattice)[spectrum > 1e-9]
    assert len(peaks) == 3
    np.testing.assert_allclose(np.linalg.norm(peaks, axis=-1), 2 * np.pi / np.sqrt(3), rtol=1e-12)
    np.testing.assert_allclose(spectrum[spectrum > 1e-9], lattice.n_sites / 3, rtol=1e-12)


def test_120_degree_order_peaks_at_the_zone_corners() -> None:
    lattice = make_lattice("triangular", [6, 9])
    spins = order_120(lattice)
    assert obs.nn_correlation(lattice, spins) == pytest.approx(-0.5, abs=1e-14)
    assert obs.mean_abs_chirality(lattice, spins) == pytest.approx(0, abs=1e-14)
    spectrum = obs.structure_factor(lattice, spins)
    peaks = obs.wavevectors(lattice)[spectrum > 1e-9]
    assert len(peaks) == 2  # K and K'
    np.testing.assert_allclose(np.linalg.norm(peaks, axis=-1), 4 * np.pi / 3, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(obs.ordering_vector(lattice, spins)), 4 * np.pi / 3, rtol=1e-12)


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_ferromagnet_is_saturated(lattice: Lattice) -> None:
    spins = ferromagnet(lattice)
    assert obs.magnetisation(lattice, spins) == pytest.approx(1)
    np.testing.assert_allclose(obs.magnetisation_vector(lattice, spins), [0, 0, 1])
    assert obs.nn_correlation(lattice, spins) == pytest.approx(1)
    assert obs.structure_factor(lattice, spins).reshape(-1)[0] == pytest.approx(lattice.n_sites)
    assert np.linalg.norm(obs.ordering_vector(lattice, spins)) == 0


@pytest.mark.parametrize(
    "lattice", [lat for lat in ALL_LATTICES if lat.n_basis == 1 and lat.name != "triangular"], ids=name
)
def test_neel_order_is_antiparallel_and_peaks_at_the_zone_corner(lattice: Lattice) -> None:
    spins = neel(lattice)
    assert obs.nn_correlation(lattice, spins) == pytest.approx(-1)
    assert obs.magnetisation(lattice, spins) == pytest.approx(0)
    np.testing.assert_allclose(np.abs(obs.ordering_vector(lattice, spins)), np.pi)


def test_second_shell_of_the_neel_state_is_parallel() -> None:
    lattice = make_lattice("square", [4, 6])
    assert obs.shell_correlation(lattice, neel(lattice), 2) == pytest.approx(1)


def test_honeycomb_neel_order_shows_outside_the_first_zone() -> None:
    lattice = make_lattice("honeycomb", [4, 4])
    spins = neel(lattice)
    assert obs.nn_correlation(lattice, spins) == pytest.approx(-1)
    assert obs.structure_factor(lattice, spins).max() == pytest.approx(0, abs=1e-12)
    q, spectrum = obs.extended_structure_factor(lattice, spins, zones=1)
    # Neel order of the honeycomb lattice has the phase factor 3/4 at the nearest reciprocal vectors
    assert spectrum.max() == pytest.approx(0.75 * lattice.n_sites)
    np.testing.assert_allclose(np.linalg.norm(q[spectrum > 1e-9], axis=-1).min(), 4 * np.pi / 3)
    assert np.linalg.norm(obs.ordering_vector(lattice, spins)) == 0


def test_open_boundary_bonds_are_counted_once() -> None:
    lattice = make_lattice("chain", [4], "open")
    spins = np.array([[0, 0, 1.0], [0, 0, 1], [0, 0, -1], [0, 0, -1]])
    assert obs.nn_correlation(lattice, spins) == pytest.approx(1 / 3)


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_structure_factor_is_the_fourier_sum_and_obeys_the_sum_rule(lattice: Lattice) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(3))
    q = obs.wavevectors(lattice).reshape(-1, lattice.dim)
    amplitude = np.exp(-1j * q @ lattice.positions.T) @ spins
    direct = (np.abs(amplitude) ** 2).sum(-1) / lattice.n_sites
    np.testing.assert_allclose(obs.structure_factor(lattice, spins).reshape(-1), direct, atol=1e-10)
    assert obs.sublattice_structure_factor(lattice, spins).mean() == pytest.approx(1)
    if lattice.n_basis == 1:
        assert obs.structure_factor(lattice, spins).mean() == pytest.approx(1)


@pytest.mark.parametrize("lattice", PLANAR, ids=name)
def test_extended_zones_carry_the_true_phases_of_the_basis(lattice: Lattice) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(4))
    q, spectrum = obs.extended_structure_factor(lattice, spins, zones=1)
    direct = (np.abs(np.exp(-1j * q @ lattice.positions.T) @ spins) ** 2).sum(-1) / lattice.n_sites
    np.testing.assert_allclose(spectrum, direct, atol=1e-10)


def test_wavevectors_lie_in_the_first_zone() -> None:
    lattice = make_lattice("triangular", [12, 12])
    q = obs.wavevectors(lattice)
    longer = np.linalg.norm(
        q[..., None, :] - np.concatenate([lattice.reciprocal, -lattice.reciprocal]), axis=-1
    )
    assert (np.linalg.norm(q, axis=-1)[..., None] <= longer + 1e-9).all()
    assert np.linalg.norm(q, axis=-1).max() == pytest.approx(4 * np.pi / 3)


def test_spiral_peaks_at_its_wavevector() -> None:
    lattice = make_lattice("square", [12, 8])
    spins = spiral(lattice, np.array([2 * np.pi * 2 / 12, 2 * np.pi * 3 / 8]))
    spectrum = obs.centred(lattice, obs.structure_factor(lattice, spins))
    peaks = {tuple(int(v) for v in p) for p in np.argwhere(spectrum > 1e-9)}
    assert peaks == {(6 + 2, 4 + 3), (6 - 2, 4 - 3)}
