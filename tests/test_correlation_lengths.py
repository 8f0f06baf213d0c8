"""Lengths of correlations and domains whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from magsim import observables as obs
from magsim.lattice import make_lattice, site_permutations
from magsim.spins import (
    ferromagnet,
    neel,
    normalise,
    random_spins,
    tetrahedral,
)


def reversed_in(spins: np.ndarray, sites: np.ndarray) -> np.ndarray:
    out = spins.copy()
    out[sites] *= -1
    return out


@pytest.mark.parametrize("xi", [0.7, 2.0, 5.0])
def test_second_moment_length_of_a_lorentzian_is_its_correlation_length(xi: float) -> None:
    lattice = make_lattice("triangular", [24, 24])
    q = obs.wavevectors(lattice)
    peak = q[12, 0]  # a zone-edge midpoint
    images = (
        q[..., None, :]
        - peak
        - np.array([[a, b] for a in range(-2, 3) for b in range(-2, 3)]) @ lattice.reciprocal
    )
    distance = np.linalg.norm(images, axis=-1).min(-1)
    spectrum = 3.0 / (1 + (xi * distance) ** 2)
    assert obs.second_moment_length(lattice, spectrum) == pytest.approx(xi, rel=1e-9)


def test_heisenberg_chain_has_its_exact_correlation_length() -> None:
    # exact: <S_0.S_r> = u^r, u = coth K - 1/K (Fisher, Am. J. Phys. 32, 343, 1964); bonds are independent
    rng, n, coupling = np.random.default_rng(8), 4096, 8.0
    exact = -1 / np.log(1 / np.tanh(coupling) - 1 / coupling)
    cosine = 1 + np.log(rng.uniform(np.exp(-2 * coupling), 1, size=(16, n))) / coupling
    azimuth = rng.uniform(0, 2 * np.pi, size=(16, n))
    spins = np.zeros((16, n, 3))
    spins[:, 0] = [0, 0, 1]
    for i in range(1, n):
        old = spins[:, i - 1]
        helper = np.where(np.abs(old[:, 2:]) < 0.9, [0, 0, 1.0], [1.0, 0, 0])
        e1 = normalise(np.cross(old, helper))
        e2 = np.cross(old, e1)
        c, phi = cosine[:, i, None], azimuth[:, i, None]
        spins[:, i] = c * old + np.sqrt(1 - c**2) * (np.cos(phi) * e1 + np.sin(phi) * e2)
    lattice = make_lattice("chain", [n])
    # the factor 4/3 of isotropic fluctuations in single frames
    assert obs.correlation_length(lattice, spins).mean() == pytest.approx(4 / 3 * exact, rel=0.1)


@pytest.mark.parametrize("xi", [3.0, 6.0])
def test_exponential_correlations_give_their_length(xi: float) -> None:
    lattice = make_lattice("square", [96, 96])
    x = np.minimum(np.arange(96), 96 - np.arange(96))
    spectrum = np.fft.fftn(np.exp(-np.hypot(x[:, None], x) / xi)).real
    assert obs.correlation_volume_length(lattice, spectrum) == pytest.approx(xi, rel=0.02)


def test_correlation_length_is_a_cell_for_random_spins_and_the_lattice_for_order() -> None:
    lattice = make_lattice("square", [32, 32])
    random = random_spins(lattice.n_sites, np.random.default_rng(0), (8,))
    np.testing.assert_allclose(obs.correlation_length(lattice, random), (4 / 3 * 2 / np.pi) ** 0.5, rtol=0.1)
    for order in (ferromagnet(lattice), neel(lattice)):
        assert obs.correlation_length(lattice, order) == pytest.approx(32 * (2 / np.pi) ** 0.5)
    spectrum = obs.sublattice_structure_factor(lattice, neel(lattice))
    assert obs.second_moment_length(lattice, spectrum) == pytest.approx(32)


@pytest.mark.parametrize("wavelength", [6, 12, 24])
def test_domain_size_of_a_sinusoidal_chirality_is_its_wavelength(wavelength: int) -> None:
    lattice = make_lattice("triangular", [24, 24])
    centres = lattice.triangle_centres(lattice.triangles())
    # along b_1, whose wavevectors are 2 pi m / (24 sin 60)
    q = lattice.reciprocal[0] / wavelength
    values = np.cos(centres @ q)
    expected = 2 * np.pi / np.linalg.norm(q)
    spectrum = obs.triangle_structure_factor(lattice, values)
    assert obs.first_moment_length(lattice, spectrum) == pytest.approx(expected, rel=1e-9)
    assert obs.second_moment_length(lattice, np.ones_like(spectrum)) == 0


def test_wider_chiral_stripes_have_larger_domain_size() -> None:
    lattice = make_lattice("triangular", [48, 48])
    base, column = tetrahedral(lattice), lattice.cells[:, 0]
    size = []
    for width in (4, 8, 12, 24):
        spins = reversed_in(base, (column // width) % 2 == 1)
        assert abs(obs.mean_chirality(lattice, spins)) < 0.05
        size.append(float(obs.chirality_domain_size(lattice, spins)))
    assert np.all(np.diff(size) > 1)
    assert 1.4 < size[1] / size[0] < 2.2
    assert obs.chirality_domain_size(lattice, base) == pytest.approx(48 * (np.sqrt(3) / 2) ** 0.5)
    # a single domain is correlated over the whole area
    area = 48**2 * np.sqrt(3) / 2
    assert obs.chirality_correlation_length(lattice, base) == pytest.approx((2 / np.pi * area) ** 0.5)


@pytest.mark.parametrize("lattice_name", ["triangular", "kagome", "square"])
def test_triangle_structure_factor_is_the_fourier_sum_over_up_and_down_triangles(lattice_name: str) -> None:
    lattice = make_lattice(lattice_name, [4, 6])
    centres = lattice.triangle_centres(lattice.triangles())
    values = np.random.default_rng(5).normal(size=len(centres))
    spectrum = obs.triangle_structure_factor(lattice, values)
    assert spectrum.mean() == pytest.approx((values**2).mean())
    q = obs.wavevectors(lattice).reshape(-1, 2)
    # triangles of one kind differ by lattice vectors
    cells = centres @ np.linalg.inv(lattice.vectors)
    kinds = np.unique(np.round(cells % 1, 6) % 1, axis=0)
    direct = 0.0
    for kind in kinds:
        mine = (np.abs(cells - kind - np.round(cells - kind)) < 1e-5).all(axis=1)
        assert mine.sum() == 24
        direct = direct + np.abs(np.exp(-1j * q @ centres[mine].T) @ values[mine]) ** 2 / len(values)
    np.testing.assert_allclose(spectrum.reshape(-1), direct, atol=1e-9)


def test_lengths_do_not_change_under_the_point_group_of_the_lattice() -> None:
    lattice = make_lattice("triangular", [6, 6])
    spins = random_spins(36, np.random.default_rng(2))
    for permutation in site_permutations(lattice):
        image = np.empty_like(spins)
        image[permutation] = spins
        for quantity in (obs.chirality_domain_size, obs.chirality_correlation_length, obs.correlation_length):
            np.testing.assert_allclose(quantity(lattice, image), quantity(lattice, spins), rtol=1e-10)
        np.testing.assert_allclose(
            abs(obs.mean_chirality(lattice, image)), abs(obs.mean_chirality(lattice, spins))
        )


def test_missing_triangles_of_an_open_boundary_count_as_zero() -> None:
    lattice = make_lattice("triangular", [5, 4], "open")
    spins = random_spins(20, np.random.default_rng(2))
    chirality = obs.scalar_chirality(lattice, spins)
    assert len(chirality) == 2 * 4 * 3
    spectrum = obs.chirality_structure_factor(lattice, spins)
    assert spectrum.mean() == pytest.approx((chirality**2).mean())


def test_coplanar_spins_have_no_chirality_and_no_not_a_number() -> None:
    lattice = make_lattice("triangular", [6, 6])
    for quantity in (obs.chirality_domain_size, obs.chirality_correlation_length, obs.correlation_length):
        assert np.isfinite(quantity(lattice, ferromagnet(lattice)))


def test_random_spins_have_mean_absolute_chirality_pi_over_eight() -> None:
    lattice = make_lattice("triangular", [60, 60])
    spins = random_spins(lattice.n_sites, np.random.default_rng(7), (4,))
    np.testing.assert_allclose(obs.mean_abs_chirality(lattice, spins), np.pi / 8, atol=0.01)
