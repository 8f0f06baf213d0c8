"""Elements of (z - H)^-1 on the pattern of a sparse Hermitian H, without the rest of the inverse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

from magsim.labelers.greens.block_inverse import block_inverse
from magsim.labelers.greens.dissection import Level
from magsim.labelers.greens.fronts import Front, make_fronts
from magsim.labelers.greens.scatter import add_at, take

Array = Any


class SelectedInverse:
    """Selected inversion by nested dissection, batched over shifts and over the pieces of each level.

    Going up, each piece I with what it is connected to, O, is eliminated:

        S = (z - H)_II - (what the pieces inside left) ,
        X = -S^-1 M_IO ,   Y = -M_OI S^-1 ,   M_OO + M_OI X -> up ,

    and going down, with G_OO known from the level above,

        G_IO = X G_OO ,   G_OI = G_OO Y ,   G_II = S^-1 + G_IO Y

    (the sparse-inverse subset of Takahashi, Fagan and Chen, and of Erisman and Tinney, Commun. ACM 18, 177,
    doi:10.1145/360680.360704; for electrons: Lin, Yang, Meza, Lu, Ying and E, ACM TOMS 37, 40,
    doi:10.1145/1916461.1916464). Only matrix products and inverses of dense blocks occur. No pivoting is
    needed: every S has an imaginary part of at least Im z.
    """

    def __init__(
        self,
        pattern: sparse.csr_matrix,
        levels: Sequence[Level],
        rows: np.ndarray,
        columns: np.ndarray,
        xp: ModuleType = np,
    ) -> None:
        """Prepare the bookkeeping.

        Args:
            pattern: CSR matrix with the sparsity of every H to come, diagonal included.
            levels: of :func:`magsim.labelers.greens.dissection.dissect`.
            rows, columns: ``(E,)`` the elements that are wanted; each must lie on the pattern.
            xp: NumPy or CuPy, what the calculation uses.
        """
        self.n_elements = len(rows)
        self.n_pattern = pattern.nnz
        self.fronts = make_fronts(pattern, levels, rows, columns, xp)
        self._xp = xp

    @cached_property
    def numbers_per_shift(self) -> int:
        """Complex numbers that one shift holds at a time, at most."""
        kept = sum(f.n * f.a * (f.a + 2 * f.b) for f in self.fronts)
        return kept + 3 * max(f.size for f in self.fronts)

    @cached_property
    def multiplications(self) -> float:
        """Complex multiplications of one shift."""
        return float(sum(f.n * (f.a**3 + 3 * f.a**2 * f.b + 3 * f.a * f.b**2) for f in self.fronts))

    def __call__(self, shifts: Array, values: Array) -> tuple[Array, Array]:
        """Solve for several shifts.

        Args:
            shifts: ``(P,)`` complex, imaginary part > 0.
            values: ``(P, nnz)`` or ``(1, nnz)`` the ``data`` of H, in the order of ``pattern``; its dtype
                (complex64 or complex128) is that of the calculation.

        Returns:
            elements ``(P, E)`` of ``G = (z - H)^-1`` and ``(P,)`` complex128 ``ln det(z - H)``, the sum of
            the logarithms of its eigenvalues with arguments in (0, pi).
        """
        kept: list[tuple[Array, Array, Array]] = []
        log_det = self._ascend(shifts.astype(values.dtype), values, kept)
        return self._descend(kept, len(shifts), values.dtype), log_det

    def log_det(self, shifts: Array, values: Array) -> Array:
        """``(P,)`` ln det(z - H) alone, see :meth:`__call__`: the way up, a third of the work."""
        return self._ascend(shifts.astype(values.dtype), values, None)

    def _ascend(self, shifts: Array, values: Array, kept: list[tuple[Array, Array, Array]] | None) -> Array:
        """Eliminate all pieces; returns ln det and adds to ``kept`` what the way down needs."""
        xp = self._xp
        log_det = xp.zeros(len(shifts), dtype=np.complex128)
        carried: Array | None = None
        for k, front in enumerate(self.fronts):
            buffer = xp.zeros((len(shifts), front.size + 1), dtype=values.dtype)
            _assemble(front, buffer, shifts, values)
            if carried is not None:
                add_at(buffer, self.fronts[k - 1].to_parent, carried, xp)
            inner, right, below, rest = front.blocks(buffer)
            log_det += block_inverse(inner, xp)
            negative = -inner
            x = xp.matmul(negative, right)
            rest += xp.matmul(below, x)
            carried = rest.reshape(len(shifts), -1)
            if kept is not None:
                kept.append((negative, x, xp.matmul(below, negative)))
        return log_det

    def _descend(self, kept: list[tuple[Array, Array, Array]], count: int, dtype: Any) -> Array:
        xp = self._xp
        elements = xp.empty((count, self.n_elements), dtype=dtype)
        above: Array | None = None
        for front in reversed(self.fronts):
            negative, x, y = kept.pop()
            buffer = xp.empty((count, front.size + 1), dtype=dtype)
            buffer[:, -1] = 0
            inner, right, below, rest = front.blocks(buffer)
            if above is not None:
                take(above, front.to_parent, rest.reshape(count, -1), xp)
            xp.matmul(x, rest, out=right)
            if front.passed_on:
                xp.matmul(rest, y, out=below)
            xp.matmul(right, y, out=inner)
            inner -= negative
            elements[:, front.position] = buffer[:, front.wanted]
            above = buffer
        return elements


def _assemble(front: Front, buffer: Array, shifts: Array, values: Array) -> None:
    """z - H on the states of one level."""
    buffer[:, front.target] = -values[:, front.source]
    buffer[:, front.diagonal] += shifts[:, None]
    buffer[:, front.padding] = 1
