"""Local densities of states without eigenvectors."""

from __future__ import annotations

import numpy as np

from magsim.arrays import to_numpy
from magsim.hamiltonian.electronic import Electrons
from magsim.labelers.greens.electrons import GreensSolver


def local_density_of_states(
    hamiltonian: Electrons, spins: np.ndarray, energies: np.ndarray, eta: float, device: str = "cpu"
) -> np.ndarray:
    """States per energy on every site from the resolvent,

        rho_i(E) = - Im tr_s G_ii(E + i eta) / pi = sum_n |psi_n(i)|^2 (eta/pi) / ((E - e_n)^2 + eta^2) ,

    both spins together, so that the integral over E is the number of states of a site; by selected inversion,
    O(N^1.5) for each energy in two dimensions, on lattices that are far too large to be diagonalised.

    Args:
        hamiltonian: what to solve.
        spins: ``(N, 3)``.
        energies: ``(M,)``.
        eta: half width of the Lorentzians, > 0.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        ``(M, N)``, in states per hopping.
    """
    solver = GreensSolver(hamiltonian, device)
    xp, n_sites = solver.xp, hamiltonian.lattice.n_sites
    rows, columns = hamiltonian.pattern
    diagonal = np.flatnonzero(rows == columns)
    # the states of a site follow each other
    order = diagonal[np.argsort(rows[diagonal], kind="stable")]
    values = xp.asarray(solver.values(spins))[None]
    shifts = np.asarray(energies) + 1j * eta

    def work(mine: np.ndarray) -> np.ndarray:
        elements, _ = solver.inverse(xp.asarray(shifts[mine]), xp.repeat(values, len(mine), axis=0))
        return -to_numpy(elements[:, order].imag).reshape(len(mine), n_sites, -1).sum(axis=2) / np.pi

    return np.concatenate(solver.spread(work, solver.split(np.arange(len(shifts)))))
