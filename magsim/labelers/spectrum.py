"""Density of states, whole and site by site, of one spin configuration."""

from __future__ import annotations

import numpy as np

from magsim.arrays import array_module, eigh, to_numpy
from magsim.hamiltonian.electronic import Electrons
from magsim.labelers.ensemble import canonical_T0, solve_mu
from magsim.lattice import Lattice


def eigenstates(
    hamiltonian: Electrons, spins: np.ndarray, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Levels ``(K,)`` of spins ``(N, 3)`` and their states ``(N, s, K)``, s = 1 or 2 states on a site; solved
    on ``cpu`` or ``cuda``."""
    xp = array_module(device)
    matrix = hamiltonian.dense(xp.asarray(spins, dtype=np.float64)[None], xp)
    levels, vectors = (to_numpy(part)[0] for part in eigh(matrix, xp))
    # spin-orbital index 2 i + s: the states of a site are neighbours
    return levels, vectors.reshape(hamiltonian.lattice.n_sites, -1, len(levels))


def site_weights(states: np.ndarray) -> np.ndarray:
    """Where states ``(N, s, K)`` live: ``sum_s |psi_n(i, s)|^2`` ``(N, K)``."""
    return (np.abs(states) ** 2).sum(axis=1)


def broadened(levels: np.ndarray, weights: np.ndarray, energies: np.ndarray, eta: float) -> np.ndarray:
    """``(M, N)`` sums over levels ``(K,)`` with weights ``(N, K)``, each a Lorentzian
    ``(eta/pi) / ((E - e_n)^2 + eta^2)``."""
    x = np.asarray(energies)[:, None] - levels
    return (eta / np.pi / (x**2 + eta**2)) @ weights.T


def momentum_weights(lattice: Lattice, states: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Weight of plane waves in states, ``w_n(k) = sum_s |sum_i exp(-i k.r_i) psi_n(i, s)|^2 / N``.

    Broadened over energy this is the spectral function A(k, E): the bands of the crystal as far as an
    irregular spin configuration leaves them. On a finite lattice k goes to the nearest wavevector that fits.

    Args:
        lattice: of the states.
        states: ``(N, s, n)`` from :func:`eigenstates`.
        k: ``(K, d)``.

    Returns:
        ``(K, n)``; with one site in the unit cell, the sum over the wavevectors that fit is 1 for each state.
    """
    sides = lattice.vectors * np.array(lattice.shape)[:, None]
    turns = np.asarray(k) @ sides.T / (2 * np.pi)
    turns = np.where(lattice.periodic, np.round(turns), turns)
    fitting = turns / np.array(lattice.shape) @ lattice.reciprocal
    waves = np.exp(-1j * fitting @ lattice.positions.T)
    overlap = np.einsum("ki,isn->ksn", waves, states, optimize=True)
    return (np.abs(overlap) ** 2).sum(axis=1) / lattice.n_sites


def density_of_states(levels: np.ndarray, energies: np.ndarray, width: float, n_sites: int) -> np.ndarray:
    """States per site and energy ``(M,)`` from levels ``(K,)``, each a Gaussian of that standard deviation.

    Gaussians keep a gap empty, which the tails of Lorentzians fill.

    Args:
        levels: of the sample, or of all wavevectors of a mesh.
        energies: ``(M,)``.
        width: in units of the hopping, > 0.
        n_sites: sites that the levels belong to.
    """
    levels, energies = np.asarray(levels).ravel(), np.asarray(energies)
    # a histogram far finer than the width first: a mesh has millions of levels
    edges = np.arange(levels.min() - width, levels.max() + width, width / 20)
    count, _ = np.histogram(levels, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    some = count > 0
    shapes = np.exp(-0.5 * ((energies[:, None] - middle[some]) / width) ** 2)
    return shapes @ count[some] / (width * np.sqrt(2 * np.pi) * n_sites)


def fermi_energy(hamiltonian: Electrons, levels: np.ndarray) -> float:
    """mu of the Hamiltonian: as given, or such that its filling of these levels comes out."""
    if hamiltonian.filling is None:
        assert hamiltonian.mu is not None
        return float(hamiltonian.mu)
    sorted_levels = np.sort(np.asarray(levels).ravel())[None]
    electrons = hamiltonian.filling * sorted_levels.size
    if hamiltonian.T == 0.0:
        return float(canonical_T0(sorted_levels, electrons)[1][0])
    return float(solve_mu(sorted_levels, electrons, hamiltonian.T)[0])
