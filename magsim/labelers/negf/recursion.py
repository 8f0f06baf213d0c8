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
from magsim.labelers.greens.block_inverse import block_inverse
from magsim.labelers.negf.blocks import Elements
from magsim.labelers.negf.collect import Collector
from magsim.labelers.negf.kernels import subtracted
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

    def behind(self, owner: np.ndarray, z: np.ndarray) -> tuple[Array, Array, Array]:
        """``g_x`` ``(Lx, P, 2 Ly, 2 Ly)`` and the self-energies of the near and the far lead.

        Args:
            owner: ``(P,)`` which configuration.
            z: ``(P,)`` energies, Im z >= 0.
        """
        xp, t2 = self.xp, self.strip.hopping[0] ** 2
        near, far = self.near.sigma(z, xp), self.far.sigma(z, xp)
        last, size = self.shape[0] - 1, self.blocks.shape[-1]
        green = xp.empty((last + 1, len(z), size, size), dtype=np.complex128)
        index, shift, state = xp.asarray(owner), xp.asarray(z), xp.arange(size)
        for x in range(last, -1, -1):
            matrix = green[x]
            if x < last and xp is np:
                subtracted(matrix, self.blocks[:, x], owner, shift, t2, green[x + 1])
            else:
                matrix[...] = -self.blocks[index, x]
                matrix[:, state, state] += shift[:, None]
                matrix -= t2 * green[x + 1] if x < last else far
            if x == 0:
                matrix -= near
            if self.strip.gamma_bath > 0:
                block_inverse(matrix[:, None], xp)
            else:  # without a bath the imaginary part is not definite: pivots are needed
                matrix[...] = xp.linalg.inv(matrix)
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
    xp, t, n = columns.xp, columns.strip.hopping[0], columns.shape[0]
    green, near, far = columns.behind(owner, z)
    collect = Collector(len(columns.blocks), columns.shape, owner, weights, xp)
    full = green[0]
    if columns.near.magnetised:
        collect.flux(0, near @ full - full @ near)
    for x in range(n - 1):
        collect.column(x, full)
        forward = xp.matmul(full, green[x + 1])
        forward *= -t
        collect.bonds(x, forward, green[x + 1], full, -t)
        full = xp.matmul(green[x + 1], forward)
        full *= -t
        full += green[x + 1]
    collect.column(n - 1, full)
    if columns.far.magnetised:
        collect.flux(1, far @ full - full @ far)
    return collect.result


def injected(columns: Columns, owner: np.ndarray, energies: np.ndarray, weights: np.ndarray) -> Elements:
    """``sum_p w_p G Gamma G+`` with Gamma of the near lead, at real energies, on sites and bonds.

    With ``Gamma = A A+``: ``G_{x+1,0} A = - t g_{x+1} G_{x,0} A``.

    Args:
        owner: ``(P,)`` which configuration.
        energies: ``(P,)``.
        weights: ``(P,)`` real.
    """
    xp, t, n = columns.xp, columns.strip.hopping[0], columns.shape[0]
    green, near, far = columns.behind(owner, energies + 0j)
    collect = Collector(len(columns.blocks), columns.shape, owner, weights, xp)
    amplitude = columns.near.amplitudes(energies, xp)
    wave = xp.matmul(green[0], amplitude)
    gamma = xp.matmul(amplitude, amplitude.conj().swapaxes(-1, -2))
    collect.flux(0, xp.matmul(near, _square(wave, xp)) - xp.matmul(green[0], gamma))
    for x in range(n - 1):
        ahead = xp.matmul(green[x + 1], wave)
        ahead *= -t
        collect.waves(x, wave, ahead)
        wave = ahead
    collect.waves(n - 1, wave, None)
    collect.flux(1, xp.matmul(far, _square(wave, xp)))
    return collect.result


def _square(wave: Array, xp: ModuleType) -> Array:
    """``W W+``."""
    return xp.matmul(wave, wave.conj().swapaxes(-1, -2))
