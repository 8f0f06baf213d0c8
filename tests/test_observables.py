"""Observables on states whose values are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from magsim import observables as obs
from magsim.arrays import cuda_available, to_numpy
from magsim.errors import ConfigError, DataError
from magsim.lattice import Lattice, make_lattice, site_permutations
from magsim.spins import (
    ferromagnet,
    neel,
    normalise,
    order_120,
    random_rotation,
    random_spins,
    spiral,
    tetrahedral,
)

ALL_LATTICES = [
    make_lattice("chain", [12]),
    make_lattice("square", [6, 8]),
    make_lattice("triangular", [6, 12]),
    make_lattice("honeycomb", [4, 6]),
    make_lattice("kagome", [4, 4]),
    make_lattice("cubic", [4, 4, 6]),
]
PLANAR = [lattice for lattice in ALL_LATTICES if lattice.dim == 2]


def name(lattice: Lattice) -> str:
    return lattice.name


def reversed_in(spins: np.ndarray, sites: np.ndarray) -> np.ndarray:
    out = spins.copy()
    out[sites] *= -1
    return out


def skyrmion(lattice: Lattice, radius: float, winding: int) -> np.ndarray:
    """Belavin-Polyakov texture w = (lambda / z)^(+-1): core down, background up."""
    offset = (
        lattice.positions - lattice.positions[lattice.n_sites // 2 + lattice.shape[1] // 2] - [0.31, 0.17]
    )
    # nearest image of the core on the torus
    images = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]) * lattice.shape @ lattice.vectors
    candidates = offset[:, None] + images
    offset = candidates[np.arange(len(offset)), np.argmin(np.linalg.norm(candidates, axis=-1), axis=1)]
    x, y = offset.T
    r2 = x**2 + y**2
    return (
        np.stack([2 * radius * x, 2 * winding * radius * y, r2 - radius**2], axis=-1)
        / (r2 + radius**2)[:, None]
    )


# --- reference orders ------------------------------------------------------------


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


# --- structure factor ------------------------------------------------------------


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


# --- lengths ------------------------------------------------------------


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


# --- topology ------------------------------------------------------------


@pytest.mark.parametrize(
    "lattice", [make_lattice("square", [24, 24]), make_lattice("triangular", [24, 24])], ids=name
)
def test_belavin_polyakov_skyrmion_has_charge_minus_one_and_its_mirror_plus_one(lattice: Lattice) -> None:
    for radius in (1.5, 3.0):
        texture = skyrmion(lattice, radius, +1)
        assert obs.skyrmion_number(lattice, texture) == -1
        assert obs.skyrmion_number(lattice, skyrmion(lattice, radius, -1)) == 1
        assert obs.skyrmion_number(lattice, -texture) == 1
        density = obs.topological_charge_density(lattice, texture)
        assert density.sum() == pytest.approx(-1, abs=1e-12)
        assert np.abs(density).max() < 0.5


@pytest.mark.parametrize("lattice", PLANAR, ids=name)
def test_charge_of_random_spins_is_an_integer_on_a_torus_and_not_on_a_strip(lattice: Lattice) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(11), (16,))
    charge = obs.topological_charge_density(lattice, spins).sum(-1)
    np.testing.assert_allclose(charge, np.round(charge), atol=1e-12)
    assert len(set(np.round(charge))) > 1
    np.testing.assert_array_equal(obs.skyrmion_number(lattice, spins), np.round(charge))
    strip = make_lattice(lattice.name, lattice.shape, ["open", "periodic"])
    charge = obs.skyrmion_number(strip, spins)
    assert np.abs(charge - np.round(charge)).max() > 1e-3


def test_tetrahedral_order_carries_half_a_charge_per_four_triangles() -> None:
    # every triangle covers a quarter of the sphere
    lattice = make_lattice("triangular", [4, 4])
    assert abs(obs.skyrmion_number(lattice, tetrahedral(lattice))) == 2 * lattice.n_sites / 4


# --- invariances and interface ------------------------------------------------------------


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_scalars_do_not_change_under_a_common_spin_rotation(lattice: Lattice) -> None:
    rng = np.random.default_rng(2)
    spins = random_spins(lattice.n_sites, rng, (3,))
    names = [n for n in obs.select(None, lattice) if n != "energy"]
    before = obs.measure(names, lattice, spins)
    after = obs.measure(names, lattice, spins @ random_rotation(rng).T)
    for key in names:
        np.testing.assert_allclose(after[key], before[key], atol=1e-10, err_msg=key)


def test_chirality_and_charge_are_odd_under_time_reversal() -> None:
    lattice = make_lattice("triangular", [6, 6])
    spins = random_spins(36, np.random.default_rng(2))
    for odd in (obs.scalar_chirality, obs.mean_chirality, obs.skyrmion_number):
        np.testing.assert_allclose(odd(lattice, -spins), -odd(lattice, spins))
    for even in (obs.mean_abs_chirality, obs.chirality_domain_size, obs.correlation_length):
        np.testing.assert_allclose(even(lattice, -spins), even(lattice, spins))


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_batched_equals_single_and_torch_equals_numpy(lattice: Lattice) -> None:
    torch = pytest.importorskip("torch")
    spins = random_spins(lattice.n_sites, np.random.default_rng(9), (2, 3))
    names = obs.select(["all"], lattice)
    energy = np.arange(6.0).reshape(2, 3)
    batched = obs.measure(names, lattice, spins, energy)
    tensors = obs.measure(names, lattice, torch.from_numpy(spins), torch.from_numpy(energy))
    for key in names:
        assert batched[key].shape == (2, 3)
        assert isinstance(tensors[key], torch.Tensor)
        np.testing.assert_allclose(tensors[key].numpy(), batched[key], atol=1e-12, err_msg=key)
        single = obs.measure([key], lattice, spins[1, 2], energy[1, 2])[key]
        np.testing.assert_allclose(single, batched[key][1, 2], atol=1e-14, err_msg=key)
    for function in (obs.structure_factor, obs.sublattice_structure_factor):
        np.testing.assert_allclose(
            function(lattice, torch.from_numpy(spins)).numpy(), function(lattice, spins), atol=1e-12
        )


def test_single_precision_spins_stay_single_precision() -> None:
    lattice = make_lattice("triangular", [12, 12])
    spins = normalise(tetrahedral(lattice) + 0.2 * random_spins(144, np.random.default_rng(1)))
    names = [n for n in obs.select(None, lattice) if n != "energy"]
    double = obs.measure(names, lattice, spins)
    single = obs.measure(names, lattice, spins.astype(np.float32))
    for key in names:
        assert single[key].dtype == np.float32
        np.testing.assert_allclose(single[key], double[key], rtol=1e-4, atol=1e-5, err_msg=key)


def test_energy_is_per_site_and_needs_the_field() -> None:
    lattice = make_lattice("square", [4, 4])
    assert obs.OBSERVABLES["energy"](lattice, ferromagnet(lattice), energy=-32.0) == -2.0
    with pytest.raises(ConfigError, match="energy"):
        obs.measure(["energy"], lattice, ferromagnet(lattice))


@pytest.mark.parametrize(
    ("names", "lattice_name", "shape"),
    [
        (["magnetization"], "square", [4, 4]),
        (["mean_chirality"], "chain", [8]),
        (["energy", "energy"], "square", [4, 4]),
        (["energy", "chirality_domain_size"], "triangular", [1, 1]),
    ],
)
def test_observables_that_cannot_be_measured_are_refused(
    names: list[str], lattice_name: str, shape: list[int]
) -> None:
    with pytest.raises(ConfigError, match=r"observables\.names"):
        obs.select(names, make_lattice(lattice_name, shape))


def test_all_means_what_the_lattice_allows() -> None:
    assert obs.select(["all"], make_lattice("triangular", [48, 48])) == tuple(obs.OBSERVABLES)
    assert obs.select(None, make_lattice("cubic", [4, 4, 4])) == (
        "energy",
        "magnetisation",
        "nn_correlation",
        "correlation_length",
    )
    for shape in ([1, 1], [1, 6], [2, 2]):
        for boundary in ("open", "periodic"):
            lattice = make_lattice("triangular", shape, boundary)
            spins = random_spins(lattice.n_sites, np.random.default_rng(0))
            assert np.isfinite(
                list(obs.measure(obs.select(None, lattice), lattice, spins, 0.0).values())
            ).all()


def test_spins_of_another_lattice_are_refused() -> None:
    with pytest.raises(DataError, match="16, 3"):
        obs.magnetisation(make_lattice("square", [4, 4]), np.zeros((9, 3)))


@pytest.mark.gpu
@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_device_equals_host(lattice: Lattice) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(9), (2, 3))
    names = obs.select(None, lattice)
    energy = np.arange(6.0).reshape(2, 3)
    host = obs.measure(names, lattice, spins, energy)
    devices = []
    if (torch := pytest.importorskip("torch")).cuda.is_available():
        devices.append(lambda a: torch.from_numpy(a).cuda())
    if cuda_available():
        import cupy

        devices.append(cupy.asarray)
    if not devices:
        pytest.skip("no CUDA device")
    for move in devices:
        device = obs.measure(names, lattice, move(spins), move(energy))
        for key in names:
            np.testing.assert_allclose(to_numpy(device[key]), host[key], atol=1e-10, err_msg=key)
