"""Electrons hopping on a lattice and coupled to classical spins.

A Hamiltonian here is data: it says which matrix belongs to a spin configuration, which elements of the
one-body density matrix a solver must return, and what field and density follow from them. It solves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from magsim.errors import ConfigError
from magsim.lattice import Lattice

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=np.complex128)


@dataclass(frozen=True, eq=False)
class Electrons:
    """What the electronic Hamiltonians share: lattice, hopping, ensemble, temperature.

    Attributes:
        lattice: where the electrons live.
        hopping: amplitude per neighbour shell, ``H = - sum_ij t_ij c+_i c_j``.
        mu: chemical potential (grand canonical), or None.
        filling: occupied fraction of the states (canonical), or None; exactly one of the two is given.
        T: temperature of the electrons, >= 0.
        conservative: whether the field is the gradient of an energy: it is in equilibrium.
    """

    conservative: ClassVar[bool] = True

    lattice: Lattice
    hopping: tuple[float, ...]
    mu: float | None = None
    filling: float | None = None
    T: float = 0.0

    def __post_init__(self) -> None:
        if (self.mu is None) == (self.filling is None):
            raise ConfigError(
                "hamiltonian.mu", self.mu, f"give either mu or filling (filling={self.filling}), not both."
            )
        if self.filling is not None and not 0.0 < self.filling < 1.0:
            raise ConfigError(
                "hamiltonian.filling", self.filling, "the filling is a fraction of all states, in (0, 1)."
            )
        if self.T < 0:
            raise ConfigError("hamiltonian.T", self.T, "the temperature is not negative.")

    @property
    def n_states(self) -> int:
        """Size of the one-body matrix."""
        raise NotImplementedError

    @cached_property
    def hopping_matrix(self) -> sparse.csr_matrix:
        """``(N, N)`` real sparse matrix of ``-t_ij``; images across small periodic lattices add up."""
        n = self.lattice.n_sites
        total = sparse.csr_matrix((n, n))
        for t, shell in zip(self.hopping, self.lattice.shells(len(self.hopping)), strict=True):
            if t != 0.0:
                amplitude = np.full(len(shell.i), -t)
                total = total + sparse.csr_matrix((amplitude, (shell.i, shell.j)), shape=(n, n))
        return total

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """An interval that holds every level, whatever the spins: by Gershgorin's circles, the largest sum of
        hopping amplitudes at a site."""
        radius = float(abs(self.hopping_matrix).sum(axis=1).max())
        return -radius, radius

    @cached_property
    def bonds(self) -> sparse.coo_matrix:
        """The hopping matrix as a list of directed bonds."""
        return self.hopping_matrix.tocoo()

    def dense(self, spins: Any, xp: ModuleType = np) -> Any:
        """``(B, n_states, n_states)`` Hermitian matrices for ``spins`` ``(B, N, 3)``."""
        raise NotImplementedError

    def sparse(self, spins: np.ndarray) -> sparse.csr_matrix:
        """``(n_states, n_states)`` sparse matrix for one configuration ``(N, 3)``."""
        raise NotImplementedError

    @cached_property
    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column indices of the density-matrix elements that :meth:`observe` needs."""
        raise NotImplementedError

    def observe(self, spins: Any, elements: Any, xp: ModuleType = np) -> tuple[Any, Any]:
        """Field ``(B, N, 3)`` and electrons per site ``(B, N)`` from ``rho[pattern]`` ``(B, len(pattern))``.

        ``rho_ab = <c+_b c_a>``; the field is ``F_i = -dE/dS_i`` (Hellmann-Feynman).
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class SDHamiltonian(Electrons):
    """The s-d (Kondo-lattice, ferromagnetic Hund) model,

        H(S) = - sum_ij t_ij c+_ia c_ja - J sum_i S_i . c+_ia sigma_ab c_ib .

    Energies in units of the hopping, spin-orbital index ``2 i + s``. The field is
    ``F_i = J <c+_i sigma c_i>``. At ``J`` far above the bandwidth and fixed filling this is the
    double-exchange model at finite Hund coupling.

    Attributes:
        J: coupling (Pauli matrices, no factor 1/2).
    """

    J: float = 1.0

    @property
    def n_states(self) -> int:
        return 2 * self.lattice.n_sites

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Those of the hopping, widened by the coupling |J| (Weyl's inequality)."""
        low, high = super().bounds
        return low - abs(self.J), high + abs(self.J)

    @cached_property
    def _hopping_dense(self) -> np.ndarray:
        return np.kron(self.hopping_matrix.toarray(), np.eye(2)).astype(np.complex128)

    def dense(self, spins: Any, xp: ModuleType = np) -> Any:
        spins = xp.asarray(spins)
        batch, n = spins.shape[:2]
        matrix = xp.tile(xp.asarray(self._hopping_dense), (batch, 1, 1))
        up = xp.arange(n) * 2
        x, y, z = (-self.J * spins[..., k] for k in range(3))
        matrix[:, up, up] += z
        matrix[:, up + 1, up + 1] -= z
        matrix[:, up, up + 1] += x - 1j * y
        matrix[:, up + 1, up] += x + 1j * y
        return matrix

    @cached_property
    def _hopping_sparse(self) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Pattern of H with the hopping filled in, and where its on-site 2x2 blocks lie in ``data``."""
        n = self.lattice.n_sites
        blocks = sparse.kron(sparse.identity(n), np.ones((2, 2)))
        hopping = sparse.kron(self.hopping_matrix, np.eye(2), format="csr")  # not BSR: it stores zeros
        # the union of both patterns: complex markers keep the explicit zeros, and are removed again
        matrix = (hopping + 1j * blocks).tocsr()
        matrix.sort_indices()
        matrix.data = matrix.data.real.astype(np.complex128)
        rows = np.repeat(np.arange(2 * n), np.diff(matrix.indptr))
        positions = np.flatnonzero(rows // 2 == matrix.indices // 2)  # per row pair: uu, ud, du, dd
        return matrix, positions

    def sparse(self, spins: np.ndarray) -> sparse.csr_matrix:
        template, positions = self._hopping_sparse
        matrix = template.copy()
        x, y, z = (-self.J * np.asarray(spins)[:, k] for k in range(3))
        matrix.data[positions] += np.stack([z + 0j, x - 1j * y, x + 1j * y, -z + 0j], axis=-1).ravel()
        return matrix

    @cached_property
    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        up = 2 * np.arange(self.lattice.n_sites)
        rows, columns = np.stack([up, up + 1, up], axis=1), np.stack([up, up + 1, up + 1], axis=1)
        return rows.ravel(), columns.ravel()  # uu, dd, ud per site

    def observe(self, spins: Any, elements: Any, xp: ModuleType = np) -> tuple[Any, Any]:
        rho = elements.reshape(len(elements), self.lattice.n_sites, 3)
        up, down, flip = rho[..., 0].real, rho[..., 1].real, rho[..., 2]
        field = self.J * xp.stack([2 * flip.real, -2 * flip.imag, up - down], axis=-1)
        return field, up + down


@dataclass(frozen=True, eq=False)
class ProjectedDoubleExchange(Electrons):
    """Double exchange in the limit J -> infinity: each electron's spin follows the local moment,

        H_ij = - t_ij <chi_i|chi_j> ,   (S_i . sigma) chi_i = chi_i ,   |<chi_i|chi_j>|^2 = (1 + S_i.S_j)/2

    (Anderson and Hasegawa, Phys. Rev. 100, 675, doi:10.1103/PhysRev.100.675). One state per site; the filling
    counts electrons per site of the lower band. A turn ``dS = w x S`` changes ``chi`` by ``-(i/2) w.sigma
    chi``, so with ``tau_i = Re[i sum_j rho_ji H-tilde_ij]``, ``H-tilde_ij = -t_ij chi_i+ sigma chi_j``, the
    energy changes by ``w.tau`` and the field, purely transverse, is ``F_i = S_i x tau_i``.
    """

    @property
    def n_states(self) -> int:
        return self.lattice.n_sites

    @staticmethod
    def spinors(spins: Any, xp: ModuleType = np) -> Any:
        """``(..., 2)`` spinors along ``(..., 3)`` unit spins; two gauges that join at the equator."""
        x, y, z = spins[..., 0], spins[..., 1], spins[..., 2]
        north = z >= 0
        a = xp.where(north, 1 + z, x - 1j * y)
        b = xp.where(north, x + 1j * y, 1 - z + 0j)
        return xp.stack([a, b], axis=-1) / xp.sqrt(xp.where(north, 2 + 2 * z, 2 - 2 * z))[..., None]

    def _bond_values(self, spins: Any, xp: ModuleType) -> Any:
        chi = self.spinors(spins, xp)
        i, j, value = (xp.asarray(a) for a in (self.bonds.row, self.bonds.col, self.bonds.data))
        return value * (chi[..., i, :].conj() * chi[..., j, :]).sum(-1)

    def dense(self, spins: Any, xp: ModuleType = np) -> Any:
        spins = xp.asarray(spins)
        n = self.n_states
        matrix = xp.zeros((len(spins), n, n), dtype=np.complex128)
        matrix[:, xp.asarray(self.bonds.row), xp.asarray(self.bonds.col)] = self._bond_values(spins, xp)
        return matrix

    def sparse(self, spins: np.ndarray) -> sparse.csr_matrix:
        values = self._bond_values(np.asarray(spins), np)
        return sparse.csr_matrix((values, (self.bonds.row, self.bonds.col)), shape=self.bonds.shape)

    @cached_property
    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        site = np.arange(self.n_states)
        rows, columns = [site, self.bonds.col], [site, self.bonds.row]  # rho_ii, then rho_ji
        return np.concatenate(rows), np.concatenate(columns)

    def observe(self, spins: Any, elements: Any, xp: ModuleType = np) -> tuple[Any, Any]:
        n = self.n_states
        chi = self.spinors(spins, xp)
        i, j, value = (xp.asarray(a) for a in (self.bonds.row, self.bonds.col, self.bonds.data))
        between = xp.einsum("bma,kac,bmc->bmk", chi[:, i].conj(), xp.asarray(PAULI), chi[:, j])
        torque_terms = (1j * (elements[:, n:] * value)[..., None] * between).real
        # bonds are sorted by row, so each site owns one contiguous run of them
        tau = xp.stack([_sum_by_row(torque_terms[b], i, n, xp) for b in range(len(elements))])
        return xp.cross(spins, tau), elements[:, :n].real


def _sum_by_row(values: Any, rows: Any, n: int, xp: ModuleType) -> Any:
    columns = [
        xp.bincount(rows, weights=xp.ascontiguousarray(values[:, k]), minlength=n)
        for k in range(values.shape[1])
    ]
    return xp.stack(columns, axis=-1)
