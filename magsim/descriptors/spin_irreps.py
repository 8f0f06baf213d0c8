"""Irreps l = 0, 1, 2 of spin rotations: real components and their Clebsch-Gordan products.

l = 1 is the vector ``(x, y, z)`` itself; l = 2 are the components of symmetric traceless matrices along five
orthonormal ones (``tr T_e T_f = delta_ef``). The couplings are found from their definition, invariance under
the three generators of rotations, not typed in.

Source: any book on angular momentum; for networks Thomas et al., arXiv:1802.08219.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

LMAX = 2


@cache
def traceless_basis() -> np.ndarray:
    """``(5, 3, 3)`` orthonormal symmetric traceless matrices: xy, yz, zx, x2 - y2, 3z2 - r2."""
    basis = np.zeros((5, 3, 3))
    for k, (a, b) in enumerate(((0, 1), (1, 2), (2, 0))):
        basis[k, a, b] = basis[k, b, a] = 0.5**0.5
    basis[3] = np.diag([1.0, -1.0, 0.0]) / 2**0.5
    basis[4] = np.diag([-1.0, -1.0, 2.0]) / 6**0.5
    return basis


def rotation(degree: int, R: np.ndarray) -> np.ndarray:
    """``(2l+1, 2l+1)`` matrix of the rotation R on the components of degree l."""
    if degree == 0:
        return np.ones((1, 1))
    if degree == 1:
        return R
    T = traceless_basis()
    return np.einsum("eab,ac,bd,fcd->ef", T, R, R, T)


def generators(degree: int) -> np.ndarray:
    """``(3, 2l+1, 2l+1)`` real antisymmetric generators of the rotations about x, y and z."""
    J = np.zeros((3, 3, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        J[a, c, b], J[a, b, c] = 1.0, -1.0
    if degree == 0:
        return np.zeros((3, 1, 1))
    if degree == 1:
        return J
    T = traceless_basis()
    return np.einsum("eab,gac,fcb->gef", T, J, T) + np.einsum("eab,gbd,fad->gef", T, J, T)


@cache
def clebsch_gordan(left: int, right: int, degree: int) -> np.ndarray:
    """``(2l+1, 2l1+1, 2l2+1)`` real coupling of l1 x l2 -> l, of norm ``sqrt(2l+1)``.

    Raises:
        ValueError: the degrees do not satisfy the triangle inequality.
    """
    if not abs(left - right) <= degree <= left + right:
        raise ValueError(f"l = {left} and l = {right} do not couple to l = {degree}.")
    sizes = [2 * x + 1 for x in (degree, left, right)]
    ones = [np.eye(size) for size in sizes]
    rows = []
    for g in zip(generators(degree), generators(left), generators(right), strict=True):
        total = np.zeros((int(np.prod(sizes)),) * 2)
        for place in range(3):
            factors = [g[k] if k == place else ones[k] for k in range(3)]
            total += np.kron(np.kron(factors[0], factors[1]), factors[2])
        rows.append(total)
    vector = np.linalg.svd(np.concatenate(rows))[2][-1]  # the one invariant of the three together
    vector = np.where(np.abs(vector) < 1e-12, 0.0, vector)
    vector *= np.sign(vector[np.flatnonzero(np.abs(vector) > 1e-6)[0]]) * (2 * degree + 1) ** 0.5
    return vector.reshape(sizes)


def spin_components(spins: Tensor, degree: int) -> Tensor:
    """Components ``(..., 2l+1)`` of degree l = 1 or 2 of spins ``(..., 3)``; of unit length for unit spins.

    For l = 2 these are ``sqrt(3/2) S.T_e.S``, a polynomial: zero spins (beyond an open edge) give zero.
    """
    if degree == 1:
        return spins
    x, y, z = spins.unbind(-1)
    off = 3**0.5
    return torch.stack(
        [
            off * x * y,
            off * y * z,
            off * z * x,
            off / 2 * (x * x - y * y),
            z * z - (x * x + y * y) / 2,
        ],
        dim=-1,
    )
