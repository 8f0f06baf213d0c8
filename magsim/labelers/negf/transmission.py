"""Transmission between the leads."""

from __future__ import annotations

import numpy as np

from magsim.hamiltonian.driven import DrivenStrip
from magsim.labelers.negf.recursion import Columns


def transmission(strip: DrivenStrip, spins: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """``T(E) = Tr[Gamma_R G Gamma_L G+]``, how many of the open channels get through (Fisher and Lee,
    doi:10.1103/PhysRevB.23.6851). Without a bath the current is that of Landauer,
    ``I = int dE/(2 pi) T(E) (f_L - f_R)``.

    Args:
        strip: what electrons pass through.
        spins: ``(N, 3)``.
        energies: ``(M,)``.

    Returns:
        ``(M,)``.
    """
    columns = Columns.of(strip, np.asarray(spins)[None])
    energies = np.asarray(energies, dtype=np.float64)
    green, _, _ = columns.behind(np.zeros(len(energies), dtype=np.int64), energies + 0j)
    wave = green[0] @ columns.near.amplitudes(energies)
    for behind in green[1:]:
        wave = -strip.hopping[0] * (behind @ wave)
    out = columns.far.amplitudes(energies).conj().swapaxes(-1, -2) @ wave
    return (abs(out) ** 2).sum((-1, -2))
