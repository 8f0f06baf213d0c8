"""Driven strips against other ways to the same numbers: closed form, Landauer, kwant, equilibrium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from effective_field_checks import moved, tangent_directions
from strips import reference_spins, spins_of, strip

from magsim.errors import ConfigError
from magsim.hamiltonian import DrivenStrip, SDHamiltonian
from magsim.hamiltonian.electronic import PAULI
from magsim.labelers import EDLabeler, NEGFLabeler
from magsim.labelers.negf.closed_form import density_matrix, effective_hamiltonian, equilibrium_matrix
from magsim.labelers.negf.fermi_nodes import Levels, fermi_nodes, half_fermi
from magsim.labelers.negf.leads import Lead
from magsim.labelers.negf.recursion import Columns, injected
from magsim.labelers.negf.transmission import transmission
from magsim.spins import transverse

DATA = Path(__file__).parent / "data"


def closed_field(h: DrivenStrip, rho: np.ndarray) -> np.ndarray:
    n = h.lattice.n_sites
    blocks = rho.reshape(n, 2, n, 2)[np.arange(n), :, np.arange(n)]
    return h.J * np.einsum("nrs,ksr->nk", blocks, PAULI).real


@pytest.mark.parametrize(
    ("leads", "expected"), [("semi_infinite", 0.347152412056), ("wide_band", 0.380175454663)]
)
def test_transmission_of_a_small_strip_is_the_reference_value(leads: str, expected: float) -> None:
    h = strip(leads=leads, gamma_bath=0.0)
    assert abs(transmission(h, reference_spins(), np.array([0.3]))[0] - expected) < 1e-12


@pytest.mark.parametrize("leads", ["semi_infinite", "wide_band"])
def test_without_a_bath_the_current_is_the_one_of_landauer(leads: str) -> None:
    h = strip(leads=leads, gamma_bath=0.0, voltage=0.6)
    labels = NEGFLabeler(h, tolerance=1e-13).label(reference_spins()[None])
    energies, w = _beyond_band_edges(h)
    left, right = (0.5 * (1 - np.tanh((energies - mu) / (2 * h.T))) for mu in (0.6, 0.0))
    current = (w * (left - right) * transmission(h, reference_spins(), energies)).sum() / (2 * np.pi)
    assert current > 0.01
    np.testing.assert_allclose(
        labels.extra["terminal_current"][0], [current, -current, 0], rtol=0, atol=1e-12
    )


def _beyond_band_edges(h: DrivenStrip) -> tuple[np.ndarray, np.ndarray]:
    """A rule for functions with square roots at the band edges: Gauss-Legendre in arccos E between them."""
    edges = Lead(h, "L").band_edges
    points = np.unique(np.concatenate([np.linspace(-2.2, 2.8, 6), edges[(edges > -2.2) & (edges < 2.8)]]))
    x, w = np.polynomial.legendre.leggauss(100)
    angle = 0.5 * np.pi * (x + 1)
    middle, half = 0.5 * (points[1:] + points[:-1])[:, None], 0.5 * np.diff(points)[:, None]
    return (middle - half * np.cos(angle)).ravel(), (0.5 * np.pi * w * half * np.sin(angle)).ravel()


SYSTEMS = {
    "open": {},
    "periodic": {"shape": (6, 4), "across": "periodic", "mu": -2.0, "J": 3.8},
    "dropping": {"potential_drop": True},
    "polarised": {"lead_moment_L": (0.0, 0.3, 0.5), "lead_moment_R": (0.8, 0.0, 0.0)},
    "right": {"split": "right"},
}


@pytest.mark.parametrize("T", [0.05, 5e-4, 0.0])
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_recursion_agrees_with_the_closed_form(system: str, T: float) -> None:
    h = strip(**{**SYSTEMS[system], "voltage": 0.6, "T": T})
    _agree(h)


@pytest.mark.slow
@pytest.mark.parametrize("T", [0.05, 0.0])
@pytest.mark.parametrize("shape", [(20, 10), (60, 20)])
def test_the_recursion_agrees_with_the_closed_form_on_large_strips(shape: tuple[int, int], T: float) -> None:
    _agree(strip(shape, "periodic", voltage=0.6, T=T, J=3.8, mu=-2.0, gamma=2.0))


def _agree(h: DrivenStrip) -> None:
    """Field, density, currents of bonds and leads."""
    spins = spins_of(h)
    labels = NEGFLabeler(h, tolerance=1e-11).label(spins[None])
    rho = density_matrix(h, spins)
    n, (i, j) = h.lattice.n_sites, h.current_bonds
    np.testing.assert_allclose(labels.field[0], closed_field(h, rho), rtol=0, atol=1e-10)
    np.testing.assert_allclose(labels.density[0], np.diag(rho).real.reshape(n, 2).sum(1), rtol=0, atol=1e-10)
    bonds = rho.reshape(n, 2, n, 2)[i, :, j]
    charge = -2 * h.hopping[0] * np.einsum("brr->b", bonds).imag
    spin = -h.hopping[0] * np.einsum("brs,ksr->bk", bonds, PAULI).imag
    np.testing.assert_allclose(labels.extra["bond_current"][0], charge, rtol=0, atol=1e-10)
    np.testing.assert_allclose(labels.extra["bond_spin_current"][0], spin, rtol=0, atol=1e-10)
    gammas = effective_hamiltonian(h, spins)[1]
    alone = [equilibrium_matrix(h, spins, mu) - rho for mu in h.chemical_potentials]
    currents = [np.trace(gamma @ rest).real for gamma, rest in zip(gammas, alone, strict=True)]
    np.testing.assert_allclose(labels.extra["terminal_current"][0], currents, rtol=0, atol=1e-10)


def test_where_levels_and_their_states_meet_the_closed_form_still_holds() -> None:
    """Two sites between leads that each take one spin: at Gamma = 2 t the two levels of spin up are one, with
    one eigenvector."""
    h = strip((2, 1), gamma=2.0, voltage=0.4, lead_moment_L=(0, 0, 1.0), lead_moment_R=(0, 0, -1.0))
    spins = np.tile([0.0, 0.0, 1.0], (2, 1))
    vectors = np.linalg.eig(effective_hamiltonian(h, spins)[0])[1]
    assert np.linalg.cond(vectors) > 1e6
    labels = NEGFLabeler(h, tolerance=1e-11).label(spins[None])
    np.testing.assert_allclose(labels.field[0], closed_field(h, density_matrix(h, spins)), rtol=0, atol=1e-11)


@pytest.mark.parametrize("T", [0.05, 0.0])
def test_both_closed_forms_are_one(T: float) -> None:
    h, spins = strip(voltage=0.6, T=T), reference_spins()
    one, other = (density_matrix(h, spins, schur=schur) for schur in (False, True))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_the_closed_form_says_what_it_is_not_for() -> None:
    for h in (strip(leads="semi_infinite"), strip(gamma_bath=0.0), strip(cut=-8.0)):
        with pytest.raises(ConfigError, match="the closed form"):
            density_matrix(h, reference_spins())


def test_a_strip_in_equilibrium_becomes_the_closed_one_linearly_in_gamma() -> None:
    spins = reference_spins()
    errors = []
    for gamma in (0.02, 0.01, 0.005):
        h = strip(gamma=gamma, gamma_bath=gamma, T=0.2)
        closed = SDHamiltonian(h.lattice, h.hopping, J=h.J, mu=h.mu, T=h.T)
        exact = EDLabeler(closed).label(spins[None])
        labels = NEGFLabeler(h, tolerance=1e-10).label(spins[None])
        errors.append(np.abs(labels.field - exact.field).max())
    assert errors[0] > 1e-4
    np.testing.assert_allclose(np.array(errors[:2]) / errors[1:], 2.0, rtol=0.02)


def test_the_curl_of_the_field_vanishes_without_bias_and_is_linear_in_it() -> None:
    spins = reference_spins()
    a, b = tangent_directions(spins, np.random.default_rng(2), 2)
    a[6:], b[:6] = 0.0, 0.0  # on different sites, where covariant and plain derivatives agree
    h = 1e-2

    def curl(voltage: float) -> float:
        labeler = NEGFLabeler(strip(voltage=voltage), tolerance=1e-11)

        def response(push: np.ndarray, probe: np.ndarray) -> float:
            fields = labeler.label(np.stack([moved(spins, push, k * h) for k in (-2, -1, 1, 2)])).field
            weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12 * h)
            return float(np.einsum("k,knc,nc->", weights, fields, probe))

        return response(a, b) - response(b, a)

    assert abs(curl(0.0)) < 1e-8
    small, twice = curl(0.01), curl(0.02)
    assert abs(small) > 1e-5
    assert twice == pytest.approx(2 * small, rel=2e-2)


def test_batches_are_their_members_to_the_last_bit_whatever_the_number_of_energies() -> None:
    h = strip((6, 3), voltage=0.4)
    rough, smooth = spins_of(h, 1, (3,)), np.tile([0.0, 0.0, 1.0], (1, 18, 1))
    labeler = NEGFLabeler(h, tolerance=1e-5)
    together = labeler.label(np.concatenate([rough, smooth]))
    for k, spins in enumerate([*rough, *smooth]):
        alone = labeler.label(spins[None])
        np.testing.assert_array_equal(together.field[k], alone.field[0])
        np.testing.assert_array_equal(together.error[k], alone.error[0])
        for name in together.extra:
            np.testing.assert_array_equal(together.extra[name][k], alone.extra[name][0])


@pytest.mark.parametrize("T", [0.05, 0.0])
@pytest.mark.parametrize("leads", ["semi_infinite", "wide_band"])
def test_the_stated_error_bounds_the_error(leads: str, T: float) -> None:
    h = strip((6, 3), voltage=0.4, leads=leads, T=T)
    spins = spins_of(h, 3)[None]
    exact = NEGFLabeler(h, tolerance=1e-11).label(spins)
    for tolerance in (1e-3, 1e-5, 1e-7):
        labels = NEGFLabeler(h, tolerance=tolerance).label(spins)
        assert np.abs(labels.field - exact.field).max() < labels.error[0] < tolerance
        assert labels.extra["nodes"][0] < exact.extra["nodes"][0]


@pytest.mark.parametrize("T", [0.5, 0.02, 0.001, 0.0])
def test_fermi_nodes_give_the_occupation_of_complex_levels(T: float) -> None:
    levels = Levels(reach=8.0, narrow=0.01, wide=1.0)
    rng = np.random.default_rng(0)
    e = rng.uniform(-8, 8, 200) - 1j * rng.uniform(0.01, 1, 200)
    for tolerance in (1e-4, 1e-9):
        nodes = fermi_nodes(levels, -3.2, T, tolerance)
        found = 2 * (nodes.weights / (nodes.z - e[:, None])).sum(1).real
        left = np.abs(found - 2 * half_fermi(e, -3.2, T).real).max()
        assert left <= nodes.error <= tolerance


@pytest.mark.parametrize("name", ["plain", "magnetised"])
def test_transmission_and_scattering_states_are_those_of_kwant(name: str) -> None:
    """Numbers of kwant 1.5 (Groth et al., New J. Phys. 16, 063065), see tests/data/README.md."""
    with np.load(DATA / "kwant_strips.npz") as data:
        energies, spins, moments, through, density = (
            data[key] if key == "energies" else data[f"{name}_{key}"]
            for key in ("energies", "spins", "moments", "transmission", "spin_density")
        )
    shape, across = ((5, 4), "open") if name == "plain" else ((6, 4), "periodic")
    left, right = map(tuple, moments)
    h = strip(shape, across, gamma_bath=0.0, leads="semi_infinite", lead_moment_L=left, lead_moment_R=right)
    np.testing.assert_allclose(transmission(h, spins, energies), through, rtol=0, atol=1e-10)
    columns = Columns.of(h, spins[None])
    for energy, expected in zip(energies, density, strict=True):
        site = injected(columns, np.zeros(1, dtype=int), np.array([energy]), np.ones(1)).site
        found = np.einsum("nrs,ksr->nk", site.reshape(-1, 2, 2), PAULI).real
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_published_fields_and_densities_of_a_driven_strip_are_reproduced() -> None:
    """32 x 24 sites, the last snapshot of the run of arXiv:2112.12124, see tests/data/README.md."""
    with np.load(DATA / "driven_negf_32x24.npz") as data:
        spins, field, density = (data[name].astype(float) for name in ("spins", "field", "density"))
    h = strip(
        (32, 24),
        "periodic",
        J=3.8,
        gamma=2.0,
        mu=-3.2,
        mu_L=-3.1,
        mu_R=-3.3,
        T=0.02,
        cut=-8.5,
    )
    labels = NEGFLabeler(h, tolerance=1e-5).label(spins)
    difference = transverse(labels.field - field, spins)
    assert np.sqrt(np.mean(difference**2)) < 1e-4
    assert np.sqrt(np.mean((labels.density - density) ** 2)) < 5e-4
