"""Elements of the density matrix and the grand potential from Green's functions at the Fermi poles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

from magsim.arrays import array_module, cores, free_memory, to_numpy
from magsim.hamiltonian.electronic import Electrons
from magsim.labelers.greens.dissection import dissect
from magsim.labelers.greens.rational import FermiPoles
from magsim.labelers.greens.selected_inverse import SelectedInverse

# Shifts that are solved together hold about this many numbers: small lattices are solved in large batches,
# while the blocks of large ones pass through the processor's cache one after the other.
TOGETHER = 500_000
# A pole whose rounding error in complex64 would be larger is solved in complex128.
ONE_POLE = 8e-7


@dataclass(frozen=True, eq=False)
class Solution:
    """What the poles of one chemical potential give for one configuration.

    Attributes:
        mu: chemical potential.
        elements: ``rho[pattern]``.
        grand_potential: Omega at mu.
        count: number of electrons.
    """

    mu: float
    elements: np.ndarray
    grand_potential: float
    count: float


class GreensSolver:
    """Density matrices of one Hamiltonian,

        rho = c + sum_p [w_p G(z_p) + h.c.] ,   Omega = k n + c Tr H - sum_p [w_p ln det(z_p - H) + c.c.] ,

    with the poles of :class:`magsim.labelers.greens.rational.FermiPoles`; threads share the poles.
    """

    def __init__(self, hamiltonian: Electrons, device: str = "cpu") -> None:
        self.hamiltonian = hamiltonian
        self.xp: ModuleType = array_module(device)
        self.n_states = hamiltonian.n_states
        lattice = hamiltonian.lattice
        template = self._template(hamiltonian)
        rows, columns = hamiltonian.pattern
        self._same = rows == columns
        cells = np.repeat(lattice.cells, self.n_states // lattice.n_cells, axis=0)
        levels = dissect(template, cells, lattice.shape, lattice.periodic)
        # G_cr is wanted beside G_rc: rho_rc = c + sum_p [w_p G_rc + (w_p G_cr)*]
        self.inverse = SelectedInverse(
            template, levels, np.concatenate([rows, columns]), np.concatenate([columns, rows]), self.xp
        )

    def _template(self, hamiltonian: Electrons) -> sparse.csr_matrix:
        """The sparsity of every H, diagonal included; remembers where the elements of H lie in it."""
        n = hamiltonian.lattice.n_sites
        matrix = hamiltonian.sparse(np.tile([0.6, 0.48, 0.64], (n, 1)))
        matrix.sort_indices()
        entries = [np.repeat(np.arange(self.n_states), np.diff(matrix.indptr)), matrix.indices]
        key = entries[0].astype(np.int64) * self.n_states + entries[1]
        every = np.union1d(key, np.arange(self.n_states, dtype=np.int64) * (self.n_states + 1))
        self._position = np.searchsorted(every, key)
        rows, columns = np.divmod(every, self.n_states)
        self._diagonal = np.flatnonzero(rows == columns)
        indptr = np.searchsorted(rows, np.arange(self.n_states + 1))
        return sparse.csr_matrix((np.ones(len(every)), columns, indptr), shape=matrix.shape)

    def values(self, spins: np.ndarray) -> np.ndarray:
        """``(nnz,)`` the elements of H for spins ``(N, 3)`` in the order of the template."""
        matrix = self.hamiltonian.sparse(spins)
        matrix.sort_indices()
        values = np.zeros(self.inverse.n_pattern, dtype=np.complex128)
        values[self._position] = matrix.data
        return values

    def levels_below(self, values: np.ndarray, energy: float) -> int:
        """Number of levels below an energy: every level above adds pi to the imaginary part of
        ``ln det(energy + i0 - H)``. Costs a third of a pole.

        Args:
            values: of :meth:`values`.
            energy: where; levels within 1e-9 of the bandwidth may fall on either side.
        """
        xp = self.xp
        low, high = self.hamiltonian.bounds
        shift = xp.asarray([energy + 1e-9j * (high - low)])
        [log_det] = self.spread(
            lambda _: self.inverse.log_det(shift, xp.asarray(values)[None]), [np.zeros(1)]
        )
        return self.n_states - round(float(log_det[0].imag) / math.pi)

    def solve(
        self, values: Sequence[np.ndarray], poles: Sequence[FermiPoles], mu: Sequence[float], dtype: Any
    ) -> list[Solution]:
        """One solution for each set of elements of H, each with poles of its own.

        Args:
            values: of :meth:`values`.
            poles: of :func:`magsim.labelers.greens.rational.fermi_poles`.
            mu: their chemical potentials.
            dtype: complex128 or complex64, of the inversion.
        """
        xp = self.xp
        owner = np.repeat(np.arange(len(values)), [len(p.poles) for p in poles])
        shifts, weights = (np.concatenate([getattr(p, name) for p in poles]) for name in ("poles", "weights"))
        precise = np.concatenate([self.needs_double(p) for p in poles]) | (dtype == np.complex128)
        stack = {d: xp.asarray(np.stack(list(values)), dtype=d) for d in {dtype, np.dtype(np.complex128)}}
        n_elements = len(self._same)
        elements = np.zeros((len(values), n_elements), dtype=np.complex128)
        log_det = np.zeros(len(values))

        def work(mine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            kind = np.dtype(np.complex128) if precise[mine[0]] else dtype
            green, logs = self.inverse(xp.asarray(shifts[mine]), stack[kind][owner[mine]])
            w = xp.asarray(weights[mine])[:, None]
            terms = w * green[:, :n_elements] + (w * green[:, n_elements:]).conj()
            return mine, to_numpy(terms), to_numpy(logs)

        batches = [*self.split(np.flatnonzero(precise)), *self.split(np.flatnonzero(~precise))]
        for mine, terms, logs in self.spread(work, batches):
            np.add.at(elements, owner[mine], terms)
            np.add.at(log_det, owner[mine], 2 * (weights[mine] * logs).real)
        solutions = []
        for k, pole in enumerate(poles):
            rho = elements[k] + pole.constant * self._same
            trace = float(values[k][self._diagonal].sum().real)
            omega = pole.offset * self.n_states + pole.constant * trace - float(log_det[k])
            solutions.append(Solution(mu[k], rho, omega, float(rho[self._same].sum().real)))
        return solutions

    def needs_double(self, poles: FermiPoles) -> np.ndarray:
        """Which poles lie too close to the levels for complex64."""
        return self._rounding(poles, np.complex64) > ONE_POLE

    def rounding(self, poles: FermiPoles, dtype: Any) -> float:
        """Estimated error of an occupation by rounding."""
        single = self._rounding(poles, dtype)
        return float(np.where(self.needs_double(poles), self._rounding(poles, np.complex128), single).sum())

    def _rounding(self, poles: FermiPoles, dtype: Any) -> np.ndarray:
        """Of each pole: |w| times the error of G, that of z - H times |G|^2 <= 1/(Im z)^2; of this a tenth,
        as is measured."""
        low, high = self.hamiltonian.bounds
        return 0.1 * np.finfo(dtype).eps * (high - low) * np.abs(poles.weights) / poles.poles.imag**2

    def split(self, shifts: np.ndarray) -> list[np.ndarray]:
        """Shares of shifts that are solved together: for each thread (CPU), or what fits (GPU)."""
        numbers = self.inverse.numbers_per_shift
        if self.xp is np:
            size = min(max(1, TOGETHER // numbers), -(-len(shifts) // cores()))
        else:
            size = max(1, int(free_memory(self.xp) / (32 * numbers)))
        return np.array_split(shifts, -(-len(shifts) // size)) if len(shifts) else []

    def spread(self, work: Any, shares: list[np.ndarray]) -> Any:
        """Do the shares, on the CPU by threads; results in fixed order."""
        if self.xp is not np:
            return [work(share) for share in shares]
        from threadpoolctl import threadpool_limits

        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(cores(), initializer=_flush_denormals) as pool,
        ):
            return list(pool.map(work, shares))


def _flush_denormals() -> None:
    """Let numbers that underflow be zero in this thread: far from the levels G decays over a few sites, and
    processors take a hundred times as long for the denormal numbers at its end."""
    import torch

    torch.set_flush_denormal(True)
