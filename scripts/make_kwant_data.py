"""Transmission and scattering states of strips by kwant, for tests/data/kwant_strips.npz.

usage: python scripts/make_kwant_data.py

kwant 1.5.0 needs an environment of its own, see tests/data/README.md. A strip is that of
``hamiltonian=driven`` with t = 1, J = 1.5, no bath, random spins; the square lattice goes on in the leads,
without moments or with one in each. The scattering states psi_m that come in from the left, at unit current,
have the spin density ``sum_m psi_m+ sigma psi_m`` on each site: that of ``G Gamma_L G+``.
"""

from __future__ import annotations

from pathlib import Path

import kwant
import numpy as np

OUT = Path(__file__).resolve().parents[1] / "tests" / "data" / "kwant_strips.npz"
J = 1.5
ENERGIES = np.array([-1.7, 0.3, 1.1])
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
# name -> Lx, Ly, y periodic, moments of the leads
STRIPS = {
    "plain": (5, 4, False, [[0, 0, 0], [0, 0, 0]]),
    "magnetised": (6, 4, True, [[0, 0.6, 0.8], [1, 0, 0]]),
}


def onsite(spin: np.ndarray) -> np.ndarray:
    """``- J S.sigma``."""
    return -J * np.einsum("k,kab->ab", spin, PAULI)


def strip(grid: np.ndarray, periodic: bool, moments: np.ndarray) -> kwant.system.FiniteSystem:
    """A strip with spins ``(Lx, Ly, 3)`` and its two leads, the left one first."""
    lattice = kwant.lattice.square(norbs=2)
    columns, width, _ = grid.shape
    syst = kwant.Builder()
    for x in range(columns):
        for y in range(width):
            syst[lattice(x, y)] = onsite(grid[x, y])
    syst[lattice.neighbors()] = -np.eye(2)
    if periodic:
        for x in range(columns):
            syst[lattice(x, 0), lattice(x, width - 1)] = -np.eye(2)
    for direction, moment in zip((-1, 1), moments, strict=True):
        lead = kwant.Builder(kwant.TranslationalSymmetry((direction, 0)))
        for y in range(width):
            lead[lattice(0, y)] = onsite(moment)
        lead[lattice.neighbors()] = -np.eye(2)
        if periodic:
            lead[lattice(0, 0), lattice(0, width - 1)] = -np.eye(2)
        syst.attach_lead(lead)
    return syst.finalized()


def main() -> None:
    arrays = {"energies": ENERGIES}
    for seed, (name, (columns, width, periodic, moments)) in enumerate(STRIPS.items(), start=1):
        spins = np.random.default_rng(seed).normal(size=(columns * width, 3))
        spins /= np.linalg.norm(spins, axis=1, keepdims=True)
        syst = strip(spins.reshape(columns, width, 3), periodic, np.array(moments, dtype=float))
        order = [syst.id_by_site[site] for site in sorted(syst.sites, key=lambda site: tuple(site.tag))]
        through, density = [], []
        for energy in ENERGIES:
            through.append(kwant.smatrix(syst, energy).transmission(1, 0))
            psi = kwant.wave_function(syst, energy)(0).reshape(-1, columns * width, 2)[:, order]
            density.append(np.einsum("mna,kab,mnb->nk", psi.conj(), PAULI, psi).real)
        arrays |= {
            f"{name}_spins": spins,
            f"{name}_moments": np.array(moments, dtype=float),
            f"{name}_transmission": np.array(through),
            f"{name}_spin_density": np.array(density),
        }
    np.savez_compressed(OUT, **arrays)


if __name__ == "__main__":
    main()
