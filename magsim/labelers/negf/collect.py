"""Weighted sums over energies of what Green's functions are on sites and bonds."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from magsim.hamiltonian.electronic import PAULI
from magsim.labelers.negf.blocks import Elements
from magsim.labelers.negf.kernels import add_bonds, add_elements, add_products

Array = Any


class Collector:
    """Sums of P energies into the elements of the configurations that they belong to: compiled loops on the
    CPU, products of many small matrices on a GPU.

    Attributes:
        result: the sums.
    """

    def __init__(
        self, count: int, shape: tuple[int, ...], owner: np.ndarray, weights: np.ndarray, xp: ModuleType
    ) -> None:
        self.result = Elements.zeros(count, shape, xp)
        self._owner, self._each, self._xp = owner, np.asarray(weights, dtype=np.float64), xp
        mine = (owner[None] == np.arange(count)[:, None]) * self._each  # (B, P)
        self._weights = xp.asarray(mine.astype(np.complex128))
        self._site = xp.arange(shape[1])

    def waves(self, x: int, wave: Array, ahead: Array | None) -> None:
        """``w_p W W+`` of ``wave`` W ``(P, 2 Ly, a)`` on the sites and bonds of column x, ``w_p W A+`` with
        ``ahead`` A on those to column x + 1."""
        result = self.result
        if self._xp is np:
            add_products(result.site[:, x], self._owner, self._each, wave, wave, 0)
            add_products(result.across[:, x], self._owner, self._each, wave, wave, 1)
            if ahead is not None:
                add_products(result.along[:, x], self._owner, self._each, wave, ahead, 0)
            return
        rows = self._pairs(wave)
        result.site[:, x] += self._outer(rows, rows)
        result.across[:, x] += self._outer(rows, self._xp.roll(rows, -1, axis=1))
        if ahead is not None:
            result.along[:, x] += self._outer(rows, self._pairs(ahead))

    def column(self, x: int, full: Array) -> None:
        """``w_p (G + G+)`` of ``full`` G_xx on the sites and bonds of column x."""
        if self._xp is np:
            add_elements(self.result.site[:, x], self._owner, self._each, full, 0)
            add_elements(self.result.across[:, x], self._owner, self._each, full, 1)
            return
        site, up = self._site, (self._site + 1) % len(self._site)
        spin = self._spin(full)
        self.result.site[:, x] += self._sum(_hermitian(spin[:, site, :, site], spin[:, site, :, site]))
        self.result.across[:, x] += self._sum(_hermitian(spin[:, site, :, up], spin[:, up, :, site]))

    def bonds(self, x: int, forward: Array, behind: Array, full: Array, factor: float) -> None:
        """``w_p [G_{x,x+1} + (G_{x+1,x})+]`` at equal y, of ``forward`` G_{x,x+1} and ``G_{x+1,x} = factor
        g_{x+1} G_xx``."""
        if self._xp is np:
            add_bonds(self.result.along[:, x], self._owner, self._each, forward, behind, full, factor)
            return
        xp, site = self._xp, self._site
        columns = self._spin(full).reshape(len(full), -1, len(site), 2).transpose(0, 2, 1, 3)
        back = factor * xp.matmul(self._pairs(behind), columns).swapaxes(0, 1)
        self.result.along[:, x] += self._sum(_hermitian(self._spin(forward)[:, site, :, site], back))

    def flux(self, lead: int, matrix: Array) -> None:
        """``w_p 2 Im Tr[s M]`` of ``(P, 2 Ly, 2 Ly)`` for electrons, s = 1, and their spin, s = sigma/2."""
        xp = self._xp
        spin = self._spin(matrix).diagonal(axis1=1, axis2=3).sum(-1)
        kinds = xp.asarray(np.stack([np.eye(2, dtype=np.complex128), *(0.5 * PAULI)]))
        values = 2 * xp.einsum("ksr,prs->pk", kinds, spin).imag
        self.result.flux[:, lead] += xp.matmul(self._weights.real, values)

    def _outer(self, rows: Array, others: Array) -> Array:
        return self._sum(self._xp.matmul(rows, others.conj().swapaxes(-1, -2)).swapaxes(0, 1))

    def _sum(self, values: Array) -> Array:
        """Over energies of ``(Ly, P, 2, 2)``: ``(B, Ly, 2, 2)``."""
        return self._xp.einsum("bp,yprs->byrs", self._weights, values)

    def _pairs(self, matrix: Array) -> Array:
        """``(P, Ly, 2, a)``."""
        return matrix.reshape(len(matrix), len(self._site), 2, -1)

    def _spin(self, matrix: Array) -> Array:
        """``(P, Ly, 2, Ly, 2)``."""
        width = len(self._site)
        return matrix.reshape(len(matrix), width, 2, width, 2)


def _hermitian(here: Array, there: Array) -> Array:
    """``G_ij + (G_ji)+`` of spin blocks."""
    return here + there.conj().swapaxes(-1, -2)
