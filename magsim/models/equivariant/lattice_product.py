"""Sums over neighbours as products with a constant sparse matrix, differentiable as often as one likes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from magsim.descriptors import EquivariantDescriptor

ZERO = 1e-9  # elements of the basis below it are rounding


@dataclass(frozen=True, eq=False)
class Padded:
    """A sparse matrix with as many elements in every row, zeros among them.

    Its products are gathers and sums: compilers and exports know them, but no sparse tensors.

    Attributes:
        index, values: ``(rows, L)`` columns and elements.
    """

    index: Tensor
    values: Tensor

    def __matmul__(self, x: Tensor) -> Tensor:
        return (x[self.index] * self.values.unsqueeze(-1)).sum(1)


Matrix = Tensor | Padded  # of torch.sparse_csr, or padded


class _Product(torch.autograd.Function):
    """``matrix @ x``; the gradient is a product with the transpose, which is stored, and so on."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Matrix, transpose: Matrix) -> Tensor:
        ctx.matrices = (transpose, matrix)
        if isinstance(matrix, Tensor) and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):  # sparse products know no 16 bits
                return matrix @ x.to(matrix.dtype)
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Product.apply(gradients[0].contiguous(), *ctx.matrices), None, None


class LatticeProduct(nn.Module):
    """Which neighbour of which site enters which lattice-irrep component of it, and with what coefficient.

    With the basis ``Y^{G,r}_m(p)`` of the descriptor and the site ``t(i, p)`` at place p around site i:

    - before mixing (``mixed=False``): ``out[(G,r,m), i] = sum_p Y^{G,r}_m(p) x[t(i, p)]``, K rows a site;
    - after mixing (``mixed=True``): ``out[(G,m), i] = sum_{r,p} Y^{G,r}_m(p) x[t(i, p), (G,r)]``: every copy
      brings channels of its own, and their sum is taken on the way.

    Missing neighbours beyond an open edge contribute nothing.

    Args:
        descriptor: bound to the lattice.
        mixed: which of the two.
    """

    def __init__(self, descriptor: EquivariantDescriptor, mixed: bool) -> None:
        super().__init__()
        self.mixed = mixed
        self.n_rows = sum(b.dim * (1 if mixed else b.copies) for b in descriptor.blocks)
        self.n_columns = sum(b.copies for b in descriptor.blocks) if mixed else 1
        self.end = descriptor.basis.numel()
        self.bind(descriptor)

    def bind(self, descriptor: EquivariantDescriptor) -> None:
        """Write down the matrix for the lattice that the descriptor is bound to."""
        basis, table = descriptor.basis.detach().cpu().numpy(), descriptor.table.cpu().numpy()
        n, device = len(table), descriptor.basis.device
        rows, columns, entries = [], [], []
        for k, (to, fro) in enumerate(self._places(descriptor)):
            for p in np.flatnonzero(np.abs(basis[k]) > ZERO):
                sites = np.flatnonzero(table[:, p] < n)
                rows.append(to * n + sites)
                columns.append(table[sites, p] * self.n_columns + fro)
                entries.append(np.full(len(sites), k * basis.shape[1] + p))
        row, column, entry = (np.concatenate(part) for part in (rows, columns, entries))
        self.shape = (self.n_rows * n, self.n_columns * n)
        self._tables: dict[str, tuple[Tensor, Tensor]] = {}
        for name, (i, j, height) in {
            "matrix": (row, column, self.shape[0]),
            "transpose": (column, row, self.shape[1]),
        }.items():
            order = np.lexsort((j, i))
            start = np.concatenate([[0], np.bincount(i, minlength=height).cumsum()])
            for part, values in {"start": start, "index": j[order], "entry": entry[order]}.items():
                tensor = torch.tensor(values, dtype=torch.int64 if part == "entry" else torch.int32)
                self.register_buffer(f"{name}_{part}", tensor.to(device), persistent=False)

    def _places(self, descriptor: EquivariantDescriptor) -> list[tuple[int, int]]:
        """Block of rows and of columns that each row of the basis belongs to."""
        if not self.mixed:
            return [(k, 0) for k in range(len(descriptor.basis))]
        places, row, column = [], 0, 0
        for block in descriptor.blocks:
            places += [(row + m, column + r) for r in range(block.copies) for m in range(block.dim)]
            row, column = row + block.dim, column + block.copies
        return places

    def matrices(self, basis: Tensor) -> tuple[Matrix, Matrix]:
        """The matrix and its transpose with the coefficients of the basis."""
        if self._tables:
            return self._padded("matrix", basis), self._padded("transpose", basis)
        return (
            self._sparse("matrix", basis, self.shape),
            self._sparse("transpose", basis, (self.shape[1], self.shape[0])),
        )

    def _sparse(self, name: str, basis: Tensor, shape: tuple[int, int]) -> Tensor:
        start, index, entry = (getattr(self, f"{name}_{part}") for part in ("start", "index", "entry"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse")  # "beta state", once a process
            return torch.sparse_csr_tensor(
                start, index, basis.flatten().index_select(0, entry), shape, check_invariants=False
            )

    def pad(self, padded: bool) -> None:
        """Give :class:`Padded` matrices from now on, or sparse ones again."""
        self._tables = {name: self._table(name) for name in ("matrix", "transpose")} if padded else {}

    def _table(self, name: str) -> tuple[Tensor, Tensor]:
        """``(rows, L)`` columns and places in the basis, behind whose end a row is at its end."""
        start, index, entry = (getattr(self, f"{name}_{part}") for part in ("start", "index", "entry"))
        counts = start.diff()
        row = torch.arange(len(counts), device=start.device).repeat_interleave(counts)
        place = torch.arange(len(index), device=start.device) - start[row]
        columns = entry.new_zeros(len(counts), int(counts.max()))
        entries = torch.full_like(columns, self.end)
        columns[row, place], entries[row, place] = index.long(), entry
        return columns, entries

    def _padded(self, name: str, basis: Tensor) -> Padded:
        columns, entries = self._tables[name]
        return Padded(columns, nn.functional.pad(basis.flatten(), (0, 1))[entries])

    def forward(self, x: Tensor, matrices: tuple[Matrix, Matrix]) -> Tensor:
        """``(rows, N, ...)`` of ``x (1, N, ...)`` before mixing, ``(N, copies, ...)`` after."""
        return _Product.apply(x.reshape(self.shape[1], -1), *matrices).view(self.n_rows, -1, *x.shape[2:])
