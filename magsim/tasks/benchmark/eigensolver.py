"""Diagonalisation alone, to set other labelers beside: LAPACK's fastest driver, or that of a GPU."""

from __future__ import annotations

import time

import numpy as np
from scipy import linalg

from magsim.arrays import array_module, to_numpy
from magsim.hamiltonian.electronic import Electrons
from magsim.labelers import EDLabeler
from magsim.labelers.ensemble import fermi

DRIVERS = ("evr", "evd")  # of LAPACK; the fastest is chosen at TRIAL states
TRIAL = 800


def diagonalised(h: Electrons, spins: np.ndarray, driver: str, device: str) -> tuple[float, np.ndarray]:
    """Seconds of ``eigh`` alone, and the field from its levels and vectors."""
    xp = array_module(device)
    matrix = h.dense(spins, xp)[0]
    start = time.perf_counter()
    if xp is np:
        levels, vectors = linalg.eigh(matrix, driver=driver, check_finite=False, overwrite_a=True)
    else:
        levels, vectors = xp.linalg.eigh(matrix)
        xp.cuda.Device().synchronize()
    seconds = time.perf_counter() - start
    if h.mu is None:
        return seconds, EDLabeler(h, device).label(spins).field
    occupation = fermi(levels[None], xp.full(1, h.mu), h.T, xp)[0]
    rows, columns = (xp.asarray(index) for index in h.pattern)
    occupied = int((occupation > 1e-17).sum())
    v = vectors[:, :occupied]
    elements = xp.einsum("en,en->e", (v * occupation[:occupied])[rows], v[columns].conj())
    return seconds, to_numpy(h.observe(xp.asarray(spins), elements[None], xp)[0])


def fastest_driver() -> str:
    """The LAPACK driver that takes least time for all eigenvalues and vectors of a middling matrix."""
    random = np.random.default_rng(0)
    m = random.normal(size=(TRIAL, TRIAL)) + 1j * random.normal(size=(TRIAL, TRIAL))
    matrix = m + m.conj().T

    def seconds(driver: str) -> float:
        start = time.perf_counter()
        linalg.eigh(matrix, driver=driver, check_finite=False)
        return time.perf_counter() - start

    return min(DRIVERS, key=lambda driver: min(seconds(driver) for _ in range(2)))
