"""Growth laws, averages over directions and replicas, and peaks of order."""

from __future__ import annotations

import numpy as np
import pytest

from magsim import observables as obs
from magsim.lattice import make_lattice
from magsim.spins import ferromagnet, neel, order_120, random_spins, spiral, tetrahedral


def test_exponent_and_its_error_are_those_of_independent_runs() -> None:
    time = np.linspace(0, 200, 401)
    exponents = np.array([0.9, 1.0, 1.1, 1.0])
    size = 0.4 * np.maximum(time, 1e-9)[:, None] ** exponents
    size[time < 20] = 3.0
    law = obs.fit_growth(time, size, (25, 150))
    assert law.exponent == pytest.approx(1.0)
    assert law.error == pytest.approx(np.std(exponents, ddof=1) / 2)
    assert law.window == (25.0, 150.0)
    assert law.replicas == 4
    np.testing.assert_allclose(law(time[100:200]), 0.4 * time[100:200], rtol=1e-6)
    assert law.text == "1.00 ± 0.04"


def test_a_single_run_has_an_exponent_without_an_error() -> None:
    time = np.geomspace(1, 100, 50)
    law = obs.fit_growth(time, 2 * np.sqrt(time), (2, 80))
    assert law.exponent == pytest.approx(0.5)
    assert np.isnan(law.error)
    assert law.text == "0.50"
    assert np.isnan(obs.fit_growth(time, time, (200, 300)).exponent)


def test_equal_parts_of_the_logarithm_of_time_weigh_the_same() -> None:
    # slope 1 in the first decade and 0 in the second: half way, not the slope of the many late frames
    time = np.arange(1.0, 101)
    assert obs.fit_growth(time, np.minimum(time, 10), (1, 100)).exponent == pytest.approx(0.5, abs=0.06)
    assert np.polyfit(np.log(time), np.log(np.minimum(time, 10)), 1)[0] < 0.3  # weighing frames alike


def test_effective_exponent_follows_a_crossover() -> None:
    time = np.geomspace(1, 1e4, 400)
    local = obs.effective_exponent(time, np.where(time < 100, time, 10 * np.sqrt(time)))
    early, late = local[(time > 3) & (time < 50)], local[(time > 200) & (time < 5000)]
    np.testing.assert_allclose(early, 1.0, atol=1e-9)
    np.testing.assert_allclose(late, 0.5, atol=1e-9)
    assert np.isnan(local[-1])


@pytest.mark.parametrize("name", ["square", "triangular", "kagome"])
def test_radial_average_of_a_function_of_q_is_that_function(name: str) -> None:
    lattice = make_lattice(name, [24, 24])
    q = np.linalg.norm(obs.wavevectors(lattice), axis=-1)
    wavenumber = obs.radial_wavenumbers(lattice)
    assert wavenumber[0] == 0
    assert (np.diff(wavenumber) > 0).all()
    np.testing.assert_allclose(obs.radial_average(lattice, q), wavenumber, atol=1e-12)
    np.testing.assert_allclose(obs.radial_average(lattice, np.ones((3, *q.shape))), 1)
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(obs.radial_average(lattice, torch.from_numpy(q)).numpy(), wavenumber)


def test_sharp_walls_have_the_tail_of_porod() -> None:
    """S(q) ~ q^-3 in two dimensions, for round domains of several sizes."""
    lattice = make_lattice("triangular", [96, 96])
    centres = lattice.triangle_centres(lattice.triangles())
    distance = np.linalg.norm(centres - lattice.positions.mean(axis=0) - [0.2, 0.1], axis=1)
    sign = np.where(distance < np.linspace(18, 34, 24)[:, None], 1.0, -1.0)
    radial = obs.radial_average(lattice, obs.triangle_structure_factor(lattice, sign)).mean(axis=0)
    q = obs.radial_wavenumbers(lattice)
    tail = (q > 0.2) & (q < 0.8)
    slope = np.polyfit(np.log(q[tail]), np.log(radial[tail]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.1)


def test_binder_cumulant_has_its_limits() -> None:
    rng = np.random.default_rng(0)
    assert obs.binder_cumulant(np.array([[1.0, -1, 1, -1], [0.5, 0.5, 0.5, 0.5]])) == pytest.approx(2 / 3)
    assert obs.binder_cumulant(rng.normal(size=400_000)) == pytest.approx(0, abs=0.01)
    vector = np.linalg.norm(rng.normal(size=(400_000, 3)), axis=-1)
    assert obs.binder_cumulant(vector) == pytest.approx(4 / 9, abs=0.01)
    assert obs.binder_cumulant(np.zeros(4)) == 0


def test_two_time_correlation_is_the_memory_of_a_state() -> None:
    lattice = make_lattice("triangular", [6, 6])
    before = random_spins(36, np.random.default_rng(1), (2,))
    np.testing.assert_allclose(obs.two_time_correlation(lattice, before, before), 1)
    np.testing.assert_allclose(obs.two_time_correlation(lattice, -before, before), -1)
    frames = np.stack([before, -before, before])
    np.testing.assert_allclose(obs.two_time_correlation(lattice, frames, before), [[1, 1], [-1, -1], [1, 1]])


def test_order_has_its_peaks_at_its_symmetry_points() -> None:
    triangular, square = make_lattice("triangular", [12, 12]), make_lattice("square", [8, 8])
    cases = [
        (triangular, order_120(triangular), "K", 2),
        (triangular, tetrahedral(triangular), "M", 3),
        (square, neel(square), "M", 1),
        (square, ferromagnet(square), "Γ", 1),
    ]
    for lattice, spins, name, number in cases:
        peaks = obs.structure_factor_peaks(lattice, obs.structure_factor(lattice, spins))
        assert [peak.name for peak in peaks] == [name] * number
        assert sum(peak.weight for peak in peaks) == pytest.approx(1)
        assert peaks[0].intensity == pytest.approx(lattice.n_sites / number)


def test_a_spiral_of_period_six_has_a_pair_of_peaks_at_pi_over_three() -> None:
    lattice = make_lattice("triangular", [24, 24])
    q = np.array([np.pi / 3, 0])
    noisy = spiral(lattice, q) + 0.3 * random_spins(lattice.n_sites, np.random.default_rng(2))
    noisy /= np.linalg.norm(noisy, axis=-1, keepdims=True)
    peaks = obs.structure_factor_peaks(lattice, obs.structure_factor(lattice, noisy))
    assert len(peaks) == 2
    for peak in peaks:
        assert peak.wavenumber == pytest.approx(np.pi / 3)
        assert peak.name == ""
        assert 0.4 < peak.weight < 0.5
