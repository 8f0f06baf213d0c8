"""The density matrix of a strip between wide-band leads in closed form: what the recursion is checked with.

Dense matrices, O(N^3): for some hundred sites.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.special import digamma

from magsim.errors import ConfigError
from magsim.hamiltonian.driven import DrivenStrip
from magsim.labelers.negf.fermi_nodes import half_fermi
from magsim.labelers.negf.leads import Lead

WORST = 1e7  # condition of the eigenvectors (1-norm) up to which they are used


def density_matrix(strip: DrivenStrip, spins: np.ndarray, *, schur: bool | None = None) -> np.ndarray:
    """``rho_ab = <c+_b c_a>`` of ``rho = sum_l int dE/(2 pi) f_l(E) G Gamma_l G+``, l = L, R and the bath.

    With ``H_eff = X z X^-1`` and ``Y = X^-1``,

        rho_l = X [(Y Gamma_l Y+) o I_l] X+ ,
        I_mn = int dE/(2 pi) f_l/((E - z_m)(E - z_n*)) = [h(z_m) - h(z_n)*]/(z_m - z_n*) ,

    ``h(z) = [digamma(1/2 + i (z - mu)/(2 pi T)) - i pi/2]/(2 pi)``, at T = 0 with ``ln(i (z - mu))``.
    Eigenvectors become parallel at exceptional points, where two levels and their states meet. There
    ``H_eff = Q U Q+`` (Schur) serves instead: rho_l solves

        H_eff rho_l - rho_l H_eff+ = h(H_eff) Gamma_l - Gamma_l h(H_eff)+

    (Sylvester), and h of a matrix comes without eigenvectors from the recurrence and the asymptotic series of
    the digamma function (NIST, dlmf.nist.gov/5.5.2 and 5.11.2).

    Args:
        strip: with wide-band leads and some width at every level, ``gamma_bath > 0``.
        spins: ``(N, 3)``.
        schur: True, False: which of the two; None: eigenvectors where they are well conditioned.

    Raises:
        ConfigError: other leads, no bath or a cut.
    """
    _check(strip)
    h_eff, gammas = effective_hamiltonian(strip, spins)
    mus = strip.chemical_potentials
    if not schur:
        z, X = scipy.linalg.eig(h_eff)
        Y = np.linalg.inv(X)
        if schur is False or np.linalg.norm(X, 1) * np.linalg.norm(Y, 1) < WORST:
            return _by_eigenvectors(z, X, Y, gammas, mus, strip.T)
    return _by_schur(h_eff, gammas, mus, strip.T)


def equilibrium_matrix(strip: DrivenStrip, spins: np.ndarray, mu: float) -> np.ndarray:
    """``int dE/(2 pi) f(E) i (G - G+)``, everything at one chemical potential: ``1/2 + g(H_eff) + g(H_eff)+``
    with g of :func:`magsim.labelers.negf.fermi_nodes.half_fermi`."""
    _check(strip)
    z, X = scipy.linalg.eig(effective_hamiltonian(strip, spins)[0])
    half = (X * half_fermi(z, mu, strip.T)) @ np.linalg.inv(X)
    return 0.5 * np.eye(len(z)) + half + half.conj().T


def effective_hamiltonian(strip: DrivenStrip, spins: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """``H_eff = H - i/2 sum_l Gamma_l`` and ``Gamma_l`` of left lead, right lead and bath, ``(2N, 2N)``."""
    H = strip.dense(np.asarray(spins)[None])[0]
    n, size = len(H), 2 * strip.lattice.shape[1]
    gammas = [np.zeros((n, n), dtype=np.complex128) for _ in range(2)]
    for gamma, lead, edge in zip(gammas, (Lead(strip, "L"), Lead(strip, "R")), (0, n - size), strict=True):
        root = lead.amplitudes(np.zeros(1))[0]
        gamma[edge : edge + size, edge : edge + size] = root @ root.conj().T
    gammas.append(strip.gamma_bath * np.eye(n, dtype=np.complex128))
    return H - 0.5j * sum(gammas), gammas


def _check(strip: DrivenStrip) -> None:
    if strip.leads != "wide_band":
        raise ConfigError("hamiltonian.leads", strip.leads, "the closed form is for wide_band leads.")
    if strip.gamma_bath == 0:
        raise ConfigError(
            "hamiltonian.gamma_bath", 0, "the closed form needs a bath: some level may be sharp."
        )
    if strip.cut is not None:
        raise ConfigError("hamiltonian.cut", strip.cut, "the closed form has no cut: null.")


def _by_eigenvectors(
    z: np.ndarray, X: np.ndarray, Y: np.ndarray, gammas: list[np.ndarray], mus: tuple[float, ...], T: float
) -> np.ndarray:
    inner = np.zeros_like(X)
    for gamma, mu in zip(gammas, mus, strict=True):
        x = 1j * (z - mu)
        h = ((digamma(0.5 + x / (2 * np.pi * T)) if T > 0 else np.log(x)) - 0.5j * np.pi) / (2 * np.pi)
        between = (h[:, None] - h.conj()[None]) / (z[:, None] - z.conj()[None])
        inner += (Y @ gamma @ Y.conj().T) * between
    return X @ inner @ X.conj().T


def _by_schur(h_eff: np.ndarray, gammas: list[np.ndarray], mus: tuple[float, ...], T: float) -> np.ndarray:
    U, Q = scipy.linalg.schur(h_eff, output="complex")
    one = np.eye(len(U))
    right = np.zeros_like(U)
    for gamma, mu in zip(gammas, mus, strict=True):
        x = 1j * (U - mu * one)
        h = matrix_digamma(0.5 * one + x / (2 * np.pi * T)) if T > 0 else scipy.linalg.logm(x)
        product = (h - 0.5j * np.pi * one) / (2 * np.pi) @ (Q.conj().T @ gamma @ Q)
        right += product - product.conj().T
    # U X - X U+ = right, both triangular already
    X, scale, _ = scipy.linalg.lapack.ztrsyl(U, U, right, trana="N", tranb="C", isgn=-1)
    return Q @ (X / scale) @ Q.conj().T


def matrix_digamma(A: np.ndarray) -> np.ndarray:
    """Digamma function of an upper triangular matrix with eigenvalues in the right half plane,

    psi(A) = psi(A + n) - sum_{k<n} (A + k)^-1 ,
    psi(A) = ln A - A^-1/2 - sum_j B_2j/(2j) A^-2j .
    """
    one, shift = np.eye(len(A)), 14
    far = A + shift * one
    first = scipy.linalg.solve_triangular(far, one)
    square = first @ first
    power, result = square, scipy.linalg.logm(far) - 0.5 * first
    # B_2j/(2j)
    for coefficient in (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12):
        result = result - coefficient * power
        power = power @ square
    for k in range(shift):
        result = result - scipy.linalg.solve_triangular(A + k * one, one)
    return result
