"""An interval that holds the spectrum whatever the spins are."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import eigvalsh_tridiagonal

from magsim.hamiltonian.electronic import Electrons

STEPS = 128
MARGIN = 0.01  # of the width of the band, beyond what Lanczos found
SLACK = 0.002  # of the half width: room for spins whose length is 1 to 1e-3


def spectral_interval(hamiltonian: Electrons) -> tuple[float, float]:
    """Centre ``a`` and half width ``b`` with all levels of H(S) in ``[a - b, a + b]`` for every S.

    The edges of the hopping alone come from Lanczos and the coupling adds its norm |J| to both (Weyl's
    inequality; the projected model is a compression of the hopping and stays inside). They do not depend on
    the spins, so the expanded energy is the same smooth function everywhere and its gradient needs no
    derivative of the interval; a Lanczos run on H(S) itself would gain some of the width and lose that.

    128 Lanczos steps from a random vector are expected to miss the edge by less than 1 % of the width for any
    N (Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1094, doi:10.1137/0613066): that is the
    margin. Gershgorin's circles, which are rigorous, cut it off where they are tighter.
    """
    hopping = hamiltonian.hopping_matrix
    radius = float(abs(hopping).sum(axis=1).max())
    coupling = abs(getattr(hamiltonian, "J", 0.0))
    low, high = lanczos_edges(hopping)
    margin = MARGIN * (high - low)
    low, high = max(low - margin, -radius) - coupling, min(high + margin, radius) + coupling
    half = 0.5 * (high - low) * (1.0 + SLACK)
    return 0.5 * (high + low), max(half, 1e-12)


def lanczos_edges(matrix: sparse.csr_matrix) -> tuple[float, float]:
    """Lowest and highest Ritz value of a real symmetric matrix after :data:`STEPS` steps.

    Without reorthogonalisation: lost orthogonality repeats Ritz values at the edges, and moves none.
    """
    n = matrix.shape[0]
    vector = np.random.default_rng(0).normal(size=n)
    vector /= np.linalg.norm(vector)
    before, beta = np.zeros(n), 0.0
    diagonal, off = [], []
    for _ in range(min(STEPS, n)):
        image = matrix @ vector - beta * before
        diagonal.append(float(vector @ image))
        image -= diagonal[-1] * vector
        beta = float(np.linalg.norm(image))
        if beta < 1e-10:
            break
        off.append(beta)
        before, vector = vector, image / beta
    ritz = eigvalsh_tridiagonal(np.array(diagonal), np.array(off[: len(diagonal) - 1]))
    return float(ritz[0]), float(ritz[-1])
