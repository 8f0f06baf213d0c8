"""The slice recursion: Green's functions of a strip column by column, many energies at once.

Both sweeps start with the columns that are behind, seen from one lead,

    g_x = (z - h_x - Sigma_x - t^2 g_{x+1})^-1 ,

so that ``g_0 = G_00``; energies of one batch may belong to different configurations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from magsim.hamiltonian.driven import DrivenStrip
from magsim.hamiltonian.electronic import PAULI
from magsim.labelers.greens.block_inverse import block_inverse
from magsim.labelers.negf.blocks import Elements
from magsim.labelers.negf.leads import Lead

Array = Any


@dataclass(frozen=True, eq=False)
class Columns:
    """A strip as seen from one of its leads, the near one: column 0 is connected to it.

    Attributes:
        strip: what is solved.
        near, far: the leads.
        blocks: ``(B, Lx, 2 Ly, 2 Ly)`` Hamiltonian of each column with the self-energy of the bath.
        xp: NumPy or CuPy.
    """

    strip: DrivenStrip
    near: Lead
    far: Lead
    blocks: Array
    xp: ModuleType = np

    @staticmethod
    def of(strip: DrivenStrip, spins: Array, xp: ModuleType = np) -> Columns:
        """The strip with spins ``(B, N, 3)`` as seen from the left lead."""
        columns, width = strip.lattice.shape
        spins = xp.asarray(spins).reshape(-1, columns, width, 3)
        hopping = np.kron(strip.transverse_hopping, np.eye(2)).astype(np.complex128)
        blocks = xp.tile(xp.asarray(hopping), (len(spins), columns, 1, 1))
        state = xp.arange(2 * width)
        onsite = xp.asarray(strip.potential - 0.5j * strip.gamma_bath)
        blocks[:, :, state, state] += onsite[None, :, None]
        x, y, z = (-strip.J * spins[..., k] for k in range(3))
        up, down = state[::2], state[1::2]
        blocks[:, :, up, up] += z
        blocks[:, :, down, down] -= z
        blocks[:, :, up, down] += x - 1j * y
        blocks[:, :, down, up] += x + 1j * y
        return Columns(strip, Lead(strip, "L"), Lead(strip, "R"), blocks, xp)

    def mirrored(self) -> Columns:
        """The same as seen from the other lead."""
        return Columns(self.strip, self.far, self.near, self.blocks[:, ::-1], self.xp)

    def take(self, chosen: np.ndarray) -> Columns:
        """Those of some configurations."""
        return replace(self, blocks=self.blocks[self.xp.asarray(chosen)])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.strip.lattice.shape

    def behind(self, owner: np.ndarray, z: np.ndarray) -> tuple[list[Array], Array, Array]:
        """``g_x`` ``(P, 2 Ly, 2 Ly)`` for every column x, and the self-energies of the near and far lead.

        Args:
            owner: ``(P,)`` which configuration.
            z: ``(P,)`` energies, Im z >= 0.
        """
        xp, t = self.xp, self.strip.hopping[0]
        size = self.blocks.shape[-1]
        state, shift = xp.arange(size), xp.asarray(z)[:, None]
        index = xp.asarray(owner)
        near, far = self.near.sigma(z, xp), self.far.sigma(z, xp)
        last = self.shape[0] - 1
        green: list[Array] = [None] * (last + 1)
        for x in range(last, -1, -1):
            matrix = -self.blocks[index, x]
            matrix[:, state, state] += shift
            if x == last:
                matrix -= far
            else:
                matrix -= t**2 * green[x + 1]
            if x == 0:
                matrix -= near
            block_inverse(matrix[:, None], xp)
            green[x] = matrix
        return green, near, far


def equilibrium(columns: Columns, owner: np.ndarray, z: np.ndarray, weights: np.ndarray) -> Elements:
    """``sum_p [w_p G(z_p) + h.c.]`` on sites and bonds, for the configurations of ``columns``.

    From the near end outwards,

        G_{x,x+1} = - t G_xx g_{x+1} ,   G_{x+1,x} = - t g_{x+1} G_xx ,
        G_{x+1,x+1} = g_{x+1} - t g_{x+1} G_{x,x+1} .

    Args:
        owner: ``(P,)`` which configuration.
        z: ``(P,)`` energies, Im z > 0.
        weights: ``(P,)`` real.
    """
    xp, t, (n, width) = columns.xp, columns.strip.hopping[0], columns.shape
    green, near, far = columns.behind(owner, z)
    collect = _Collector(columns, owner, weights)
    site = xp.arange(width)
    up = (site + 1) % width
    full = green[0]
    if columns.near.magnetised:
        collect.flux(0, near @ full - full @ near)
    for x in range(n):
        spin = full.reshape(len(z), width, 2, width, 2)
        collect.site(x, _hermitian(spin[:, site, :, site], spin[:, site, :, site]))
        collect.across(x, _hermitian(spin[:, site, :, up], spin[:, up, :, site]))
        if x == n - 1:
            if columns.far.magnetised:
                collect.flux(1, far @ full - full @ far)
            break
        forward = -t * xp.matmul(full, green[x + 1])  # G_{x,x+1}
        # of G_{x+1,x} only the elements at equal y
        rows = green[x + 1].reshape(len(z), width, 2, -1)
        there = full.reshape(len(z), -1, width, 2).transpose(0, 2, 1, 3)
        backward = -t * xp.matmul(rows, there).swapaxes(0, 1)
        here = forward.reshape(spin.shape)[:, site, :, site]
        collect.along(x, _hermitian(here, backward))
        full = green[x + 1] - t * xp.matmul(green[x + 1], forward)
    return collect.result


def injected(columns: Columns, owner: np.ndarray, energies: np.ndarray, weights: np.ndarray) -> Elements:
    """``sum_p w_p G Gamma G+`` with Gamma of the near lead, at real energies, on sites and bonds.

    With ``Gamma = A A+``: ``G_{x+1,0} A = - t g_{x+1} G_{x,0} A``.

    Args:
        owner: ``(P,)`` which configuration.
        energies: ``(P,)``.
        weights: ``(P,)`` real.
    """
    xp, t, (n, width) = columns.xp, columns.strip.hopping[0], columns.shape
    green, near, far = columns.behind(owner, energies + 0j)
    collect = _Collector(columns, owner, weights)
    amplitude = columns.near.amplitudes(energies, xp)
    wave = xp.matmul(green[0], amplitude)
    gamma = xp.matmul(amplitude, amplitude.conj().swapaxes(-1, -2))
    back = xp.matmul(near, xp.matmul(wave, wave.conj().swapaxes(-1, -2))) - xp.matmul(green[0], gamma)
    collect.flux(0, back)
    rows = wave.reshape(len(energies), width, 2, -1)
    for x in range(n):
        dagger = rows.conj().swapaxes(-1, -2)
        collect.site(x, xp.matmul(rows, dagger).swapaxes(0, 1))
        collect.across(x, xp.matmul(rows, xp.roll(dagger, -1, axis=1)).swapaxes(0, 1))
        if x == n - 1:
            break
        wave = -t * xp.matmul(green[x + 1], wave)
        ahead = wave.reshape(rows.shape)
        collect.along(x, xp.matmul(rows, ahead.conj().swapaxes(-1, -2)).swapaxes(0, 1))
        rows = ahead
    through = xp.matmul(far, xp.matmul(wave, wave.conj().swapaxes(-1, -2)))
    collect.flux(1, through)
    return collect.result


class _Collector:
    """Weighted sums over the energies of each configuration."""

    def __init__(self, columns: Columns, owner: np.ndarray, weights: np.ndarray) -> None:
        xp = columns.xp
        count = len(columns.blocks)
        self.result = Elements.zeros(count, columns.shape, xp)
        mine = (owner[None] == np.arange(count)[:, None]) * weights  # (B, P)
        self._weights = xp.asarray(mine.astype(np.complex128))
        self._xp = xp

    def _sum(self, values: Array) -> Array:
        """Over energies of ``(Ly, P, 2, 2)``: ``(B, Ly, 2, 2)``."""
        return self._xp.einsum("bp,yprs->byrs", self._weights, values)

    def site(self, x: int, values: Array) -> None:
        self.result.site[:, x] += self._sum(values)

    def across(self, x: int, values: Array) -> None:
        self.result.across[:, x] += self._sum(values)

    def along(self, x: int, values: Array) -> None:
        self.result.along[:, x] += self._sum(values)

    def flux(self, lead: int, matrix: Array) -> None:
        """Adds ``2 Im Tr[s M]`` of ``(P, 2 Ly, 2 Ly)`` for electrons, s = 1, and their spin, s = sigma/2."""
        xp, width = self._xp, matrix.shape[-1] // 2
        spin = matrix.reshape(len(matrix), width, 2, width, 2).diagonal(axis1=1, axis2=3).sum(-1)
        kinds = xp.asarray(np.stack([np.eye(2, dtype=np.complex128), *(0.5 * PAULI)]))
        values = 2 * xp.einsum("ksr,prs->pk", kinds, spin).imag
        self.result.flux[:, lead] += xp.matmul(self._weights.real, values)


def _hermitian(here: Array, there: Array) -> Array:
    """``G_ij + (G_ji)+`` of spin blocks."""
    return here + there.conj().swapaxes(-1, -2)
