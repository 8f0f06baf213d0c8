"""The electronic Hamiltonians as matrices, and what they read off a density matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import PAULI, Electrons, ProjectedDoubleExchange, SDHamiltonian
from magsim.lattice import Lattice, make_lattice
from magsim.spins import ferromagnet, random_spins

LATTICES = [
    ("chain", (5,), "periodic"),
    ("square", (3, 4), ["open", "periodic"]),
    ("triangular", (3, 3), "periodic"),
    ("honeycomb", (3, 2), "periodic"),
    ("kagome", (2, 2), "open"),
    ("cubic", (2, 3, 2), "periodic"),
    ("square", (2, 1), "periodic"),  # bonds onto oneself and double bonds add up
]
HOPPING = (1.0, -0.3, 0.2)

lattices = st.sampled_from(LATTICES).map(lambda arguments: make_lattice(*arguments))


def sd(lattice: Lattice, **options: float) -> SDHamiltonian:
    return SDHamiltonian(lattice=lattice, hopping=HOPPING, **({"mu": 0.0, "J": 1.7} | options))


def projected(lattice: Lattice) -> ProjectedDoubleExchange:
    return ProjectedDoubleExchange(lattice=lattice, hopping=HOPPING, filling=0.4)


def by_the_definition(lattice: Lattice, spins: np.ndarray, J: float) -> np.ndarray:
    """``- sum t_ij c+_ia c_ja - J sum S_i.sigma_ab``, one bond and one site at a time."""
    n = lattice.n_sites
    matrix = np.zeros((2 * n, 2 * n), dtype=complex)
    for t, shell in zip(HOPPING, lattice.shells(len(HOPPING)), strict=True):
        for i, j in zip(shell.i, shell.j, strict=True):
            for s in range(2):
                matrix[2 * i + s, 2 * j + s] -= t
    for i in range(n):
        for a in range(3):
            matrix[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] -= J * spins[i, a] * PAULI[a]
    return matrix


@given(lattices, st.integers(0, 100))
def test_the_sd_matrix_is_the_definition(lattice: Lattice, seed: int) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(seed), (2,))
    dense = sd(lattice).dense(spins)
    for matrix, state in zip(dense, spins, strict=True):
        np.testing.assert_allclose(matrix, by_the_definition(lattice, state, 1.7), atol=1e-14)


@given(lattices, st.sampled_from([sd, projected]), st.integers(0, 100))
def test_sparse_equals_dense_and_both_are_hermitian(lattice: Lattice, make, seed: int) -> None:
    hamiltonian = make(lattice)
    spins = random_spins(lattice.n_sites, np.random.default_rng(seed), (3,))
    dense = hamiltonian.dense(spins)
    assert dense.shape == (3, hamiltonian.n_states, hamiltonian.n_states)
    np.testing.assert_allclose(dense, dense.conj().swapaxes(1, 2), atol=1e-15)
    for matrix, state in zip(dense, spins, strict=True):  # twice: the template is not used up
        np.testing.assert_allclose(hamiltonian.sparse(state).toarray(), matrix, atol=1e-15)
        np.testing.assert_allclose(hamiltonian.sparse(state).toarray(), matrix, atol=1e-15)


def test_the_sparse_matrix_stores_bonds_and_on_site_blocks_alone() -> None:
    lattice = make_lattice("square", (6, 6))
    hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), mu=0.0, J=1.0)
    assert hamiltonian.sparse(random_spins(36, np.random.default_rng(0))).nnz == 36 * (2 * 4 + 4)


@given(st.integers(0, 1000))
def test_the_spinor_points_along_its_spin(seed: int) -> None:
    """``chi+ sigma chi = S``, everywhere on the sphere, also at the poles and on the equator."""
    spins = random_spins(20, np.random.default_rng(seed))
    special = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, -1, 0], [1e-9, 0, -1]], dtype=float)
    spins = np.concatenate([spins, special])
    chi = ProjectedDoubleExchange.spinors(spins)
    np.testing.assert_allclose((np.abs(chi) ** 2).sum(-1), 1, atol=1e-14)
    expectation = np.einsum("na,kab,nb->nk", chi.conj(), PAULI, chi).real
    np.testing.assert_allclose(expectation, spins, atol=1e-9)


def test_projected_hopping_is_the_cosine_of_half_the_angle() -> None:
    lattice = make_lattice("chain", (6,))
    hamiltonian = ProjectedDoubleExchange(lattice=lattice, hopping=(1.0,), filling=0.5)
    spins = random_spins(6, np.random.default_rng(0))
    matrix = hamiltonian.dense(spins[None])[0]
    for i in range(6):
        j = (i + 1) % 6
        assert abs(matrix[i, j]) == pytest.approx(np.sqrt((1 + spins[i] @ spins[j]) / 2), abs=1e-12)
    np.testing.assert_allclose(hamiltonian.dense(ferromagnet(lattice)[None])[0].imag, 0, atol=1e-15)


@given(lattices, st.sampled_from([sd, projected]), st.integers(0, 100))
def test_a_full_band_puts_all_electrons_on_the_sites_and_gives_no_torque(
    lattice: Lattice, make, seed: int
) -> None:
    """rho = 1: two electrons a site (one in the projected band), no spin."""
    hamiltonian = make(lattice)
    spins = random_spins(lattice.n_sites, np.random.default_rng(seed), (2,))
    rows, columns = hamiltonian.pattern
    elements = np.broadcast_to((rows == columns).astype(complex), (2, len(rows)))
    field, density = hamiltonian.observe(spins, elements)
    np.testing.assert_allclose(density, hamiltonian.n_states / lattice.n_sites, atol=1e-15)
    np.testing.assert_allclose(field, 0, atol=1e-14)


@given(lattices, st.integers(0, 100))
def test_the_sd_field_is_J_times_the_electron_spin_of_any_density_matrix(lattice: Lattice, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hamiltonian = sd(lattice, J=2.3)
    n = hamiltonian.n_states
    root = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    rho = root @ root.conj().T
    rows, columns = hamiltonian.pattern
    spins = random_spins(lattice.n_sites, rng, (1,))
    field, density = hamiltonian.observe(spins, rho[rows, columns][None])
    for i in range(lattice.n_sites):
        block = rho[2 * i : 2 * i + 2, 2 * i : 2 * i + 2]
        expected = [2.3 * np.trace(sigma @ block).real for sigma in PAULI]
        np.testing.assert_allclose(field[0, i], expected, atol=1e-10)
        assert density[0, i] == pytest.approx(np.trace(block).real)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "hamiltonian.mu"),
        ({"mu": 0.0, "filling": 0.5}, "hamiltonian.mu"),
        ({"filling": 0.0}, "hamiltonian.filling"),
        ({"filling": 1.0}, "hamiltonian.filling"),
        ({"mu": 0.0, "T": -0.1}, "hamiltonian.T"),
    ],
)
def test_wrong_ensembles_are_refused_by_key(options: dict, key: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Electrons(lattice=make_lattice("chain", (4,)), hopping=(1.0,), **options)
    assert refusal.value.key == key
