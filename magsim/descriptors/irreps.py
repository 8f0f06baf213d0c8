"""Irreducible representations of a point group, found numerically from its matrices.

Everything follows from the group's own multiplication: no character table is typed in. All irreps are taken
real and orthogonal, which is complete for groups with real irreps (every site group of the project's
lattices).

Source: standard representation theory; its use for spin descriptors: Zhang, Saha, Chern, arXiv:2201.00798.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Irrep:
    """One irreducible representation.

    Attributes:
        name: dimension letter (A, E, T) and a running number; ``A1`` is the trivial one.
        matrices: ``(|G|, d, d)`` orthogonal matrices, in the order of the group elements.
    """

    name: str
    matrices: np.ndarray

    @property
    def dim(self) -> int:
        return self.matrices.shape[1]

    @property
    def characters(self) -> np.ndarray:
        return np.trace(self.matrices, axis1=1, axis2=2)


def multiplication_table(elements: np.ndarray) -> np.ndarray:
    """``table[g, h]`` = index of ``elements[g] @ elements[h]`` for matrices ``(|G|, d, d)``."""
    products = np.einsum("gij,hjk->ghik", elements, elements)
    distance = np.abs(products[:, :, None] - elements[None, None]).max(axis=(-1, -2))
    table = distance.argmin(axis=-1)
    if distance.min(axis=-1).max() > 1e-5:
        raise ValueError("The matrices do not form a group: a product of two is not among them.")
    return table


def irreps(elements: np.ndarray) -> list[Irrep]:
    """All irreps of the group with matrices ``(|G|, d, d)``, the trivial one first, then by dimension.

    A generic symmetric matrix that commutes with the regular representation has the irreps as its
    eigenspaces; each irrep of dimension d shows up d times, and one copy of each (told apart by characters)
    is kept.
    """
    table = multiplication_table(elements)
    order = len(elements)
    regular = np.zeros((order, order, order))
    regular[np.arange(order)[:, None], table, np.arange(order)[None, :]] = 1.0
    generic = np.random.default_rng(0).normal(size=(order, order))
    commuting = np.einsum("gij,jk,glk->il", regular, generic + generic.T, regular, optimize=True)
    values, vectors = np.linalg.eigh(commuting)
    groups = np.split(np.arange(order), np.flatnonzero(np.diff(values) > 1e-6 * np.ptp(values)) + 1)
    found: list[np.ndarray] = []
    for columns in groups:
        basis = vectors[:, columns]
        matrices = np.einsum("ia,gij,jb->gab", basis, regular, basis, optimize=True)
        character = np.trace(matrices, axis1=1, axis2=2)
        if not any(np.allclose(character, np.trace(m, axis1=1, axis2=2), atol=1e-6) for m in found):
            found.append(matrices)
    if sum(m.shape[1] ** 2 for m in found) != order:
        raise ValueError("The point group has complex irreps, which this decomposition does not cover.")
    characters = [np.round(np.trace(m, axis1=1, axis2=2), 6) for m in found]
    # trivial first (largest character sum), then by dimension, then by the characters themselves
    ranking = sorted(
        range(len(found)), key=lambda k: (found[k].shape[1], -characters[k].sum(), tuple(-characters[k]))
    )
    counts: dict[int, int] = {}
    result = []
    for k in ranking:
        d = found[k].shape[1]
        counts[d] = counts.get(d, 0) + 1
        result.append(Irrep(f"{'AETGH'[d - 1]}{counts[d]}", found[k]))
    return result


def symmetry_adapted(representation: np.ndarray, irrep: Irrep) -> np.ndarray:
    """Rows that carry one irrep out of a (signed permutation) representation.

    With the projection operators ``P_ij = (d/|G|) sum_g D_ij(g) U(g)``, the range of ``P_00`` holds one
    vector per copy, and ``P_i0`` turns it into its partners, so that all copies transform with the same
    matrices.

    Args:
        representation: ``(|G|, m, m)`` orthogonal matrices U(g).

    Returns:
        ``(copies, d, m)``, orthonormal rows: ``f = result @ x`` has the components of each copy.
    """
    d, order = irrep.dim, len(representation)
    projectors = d / order * np.einsum("gi,gmn->imn", irrep.matrices[:, :, 0], representation)
    values, vectors = np.linalg.eigh((projectors[0] + projectors[0].T) / 2)
    range_ = vectors[:, values > 0.5]
    rows = np.einsum("imn,nr->rim", projectors, _canonical(range_))
    return rows


def _canonical(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of a column space that does not depend on how LAPACK ordered it."""
    if columns.shape[1] == 0:
        return columns
    from scipy.linalg import qr

    projector = columns @ columns.T
    q, _, _ = qr(np.round(projector, 12), pivoting=True)
    basis = q[:, : columns.shape[1]]
    sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    return basis * sign


def invariant_tensors(a: Irrep, b: Irrep, c: Irrep) -> np.ndarray:
    """Invariants of a x b x c: ``(n, d_a, d_b, d_c)`` tensors t with invariant ``t.(f_a f_b f_c)``.

    These are the Clebsch-Gordan couplings of the bispectrum, as the range of the group average.
    """
    shape = (a.dim, b.dim, c.dim)
    average = np.einsum("gij,gkl,gmn->ikmjln", a.matrices, b.matrices, c.matrices) / len(a.matrices)
    size = int(np.prod(shape))
    values, vectors = np.linalg.eigh(average.reshape(size, size))
    return _canonical(vectors[:, values > 0.5]).T.reshape(-1, *shape)
