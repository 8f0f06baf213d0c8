"""The invariants that are made of vectors of lattice irreps, with their derivatives written by hand.

Every term takes the vectors of all blocks, ``x[k]`` of shape ``(..., d_k, V_k)``: V_k vectors with the d_k
components of one irrep. ``forward`` gives its invariants ``(..., n)``, with a graph where one is recorded;
``pull`` adds ``sum_q g_q dq/dx`` to the derivatives ``out[k]`` by the vectors, without one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Vectors = Sequence[Tensor]


class Term(nn.Module, ABC):
    """Invariants of one kind.

    Attributes:
        n: how many.
    """

    n: int

    @abstractmethod
    def forward(self, x: Vectors) -> Tensor:
        """Invariants ``(..., n)``."""

    @abstractmethod
    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        """Add the derivatives ``(..., d, V)`` of ``sum gradient * invariants``."""


class Linear(Term):
    """The first ``count`` vectors of a block of the trivial irrep themselves."""

    def __init__(self, block: int, count: int) -> None:
        super().__init__()
        self.block, self.n = block, count

    def forward(self, x: Vectors) -> Tensor:
        return x[self.block][..., 0, : self.n]

    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        out[self.block][..., 0, : self.n] += gradient


class Power(Term):
    """``f_r . f_r`` of the first ``count`` vectors of a block."""

    def __init__(self, block: int, count: int) -> None:
        super().__init__()
        self.block, self.n = block, count

    def forward(self, x: Vectors) -> Tensor:
        return x[self.block][..., : self.n].square().sum(-2)

    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        out[self.block][..., : self.n].addcmul_(
            x[self.block][..., : self.n], gradient.unsqueeze(-2), value=2.0
        )


class Products(Term):
    """``f_r . g_k``: the first ``count`` vectors of a block with those from ``start`` on of another one."""

    def __init__(self, block: int, count: int, other: int, start: int, others: int) -> None:
        super().__init__()
        self.block, self.count, self.other = block, count, other
        self.columns = slice(start, start + others)
        self.shape = (count, others)
        self.n = count * others

    def forward(self, x: Vectors) -> Tensor:
        f, g = x[self.block][..., : self.count], x[self.other][..., self.columns]
        return (f.transpose(-1, -2) @ g).flatten(-2)

    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        matrix = gradient.unflatten(-1, self.shape)
        f, g = x[self.block][..., : self.count], x[self.other][..., self.columns]
        out[self.block][..., : self.count] += g @ matrix.transpose(-1, -2)
        out[self.other][..., self.columns] += f @ matrix


class Dots(Term):
    """``f_c . g_c``: every vector of a block with the one in its place of another block."""

    def __init__(self, block: int, other: int, count: int) -> None:
        super().__init__()
        self.block, self.other, self.n = block, other, count

    def forward(self, x: Vectors) -> Tensor:
        return (x[self.block] * x[self.other]).sum(-2)

    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        out[self.block].addcmul_(x[self.other], gradient.unsqueeze(-2))
        out[self.other].addcmul_(x[self.block], gradient.unsqueeze(-2))


class Pairs(Term):
    """``f_r . f_s`` with r <= s of the first ``count`` vectors of a block."""

    upper: Tensor

    def __init__(self, block: int, count: int) -> None:
        super().__init__()
        self.block, self.count = block, count
        r, s = torch.triu_indices(count, count)
        self.register_buffer("upper", r * count + s, persistent=False)
        self.n = count * (count + 1) // 2

    def forward(self, x: Vectors) -> Tensor:
        f = x[self.block][..., : self.count]
        return (f.transpose(-1, -2) @ f).flatten(-2).index_select(-1, self.upper)

    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        matrix = gradient.new_zeros(*gradient.shape[:-1], self.count**2)
        matrix.index_copy_(-1, self.upper, gradient)
        matrix = matrix.unflatten(-1, (self.count, self.count))
        out[self.block][..., : self.count] += x[self.block][..., : self.count] @ (
            matrix + matrix.transpose(-1, -2)
        )


class Triples(Term):
    """``sum_ijk C_ijk u_i v_j w_k`` for some triples of vectors of three blocks.

    Args:
        blocks: of u, v and w.
        vectors: ``(3, T)`` which vectors of them.
        couplings: ``(c, d_1, d_2, d_3)`` invariant tensors C.
    """

    vectors: Tensor
    couplings: Tensor

    def __init__(self, blocks: tuple[int, int, int], vectors: Tensor, couplings: Tensor) -> None:
        super().__init__()
        self.blocks = blocks
        self.register_buffer("vectors", vectors, persistent=False)
        self.register_buffer("couplings", couplings)  # the basis is LAPACK's choice: saved
        self.n = len(couplings) * vectors.shape[1]

    def _chosen(self, x: Vectors) -> list[Tensor]:
        return [x[k].index_select(-1, v) for k, v in zip(self.blocks, self.vectors, strict=True)]

    def forward(self, x: Vectors) -> Tensor:
        u, v, w = self._chosen(x)
        return torch.einsum("nijk,...it,...jt,...kt->...nt", self.couplings, u, v, w).flatten(-2)

    def pull(self, x: Vectors, gradient: Tensor, out: Vectors) -> None:
        u, v, w = self._chosen(x)
        g = gradient.unflatten(-1, (len(self.couplings), -1))
        shares = (
            torch.einsum("nijk,...nt,...jt,...kt->...it", self.couplings, g, v, w),
            torch.einsum("nijk,...nt,...it,...kt->...jt", self.couplings, g, u, w),
            torch.einsum("nijk,...nt,...it,...jt->...kt", self.couplings, g, u, v),
        )
        for k, index, share in zip(self.blocks, self.vectors, shares, strict=True):
            out[k].index_add_(-1, index, share)
