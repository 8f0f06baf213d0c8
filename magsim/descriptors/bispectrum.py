"""The group-theoretical bispectrum descriptor of a site's magnetic environment.

Bonds ``b = S_p . S_q`` and chiralities ``c = S_p . (S_q x S_r)`` inside a cutoff are invariant under spin
rotations; the site's point group permutes them. Their symmetry-adapted combinations ``f^{G,r}`` (irrep G,
copy r) give invariants of the lattice as well:

- linear: ``f`` itself for the trivial irrep (bonds only),
- power spectrum: ``p = f^{G,r} . f^{G,r}``,
- reference products: ``q = f^{G,r} . f_ref^{G,k}``, the relative phases of the copies of one irrep,
- bispectrum (optional): ``C f_ref^{G1} f_ref^{G2} f_ref^{G3}`` with the group's Clebsch-Gordan tensors C, the
  phases between irreps.

Every one is a polynomial of the spins, hence smooth. Chiralities are odd under time reversal; with
``time_reversal`` only even products are kept. Sources: Zhang, Saha, Chern, arXiv:2201.00798; Tyberg et al.,
arXiv:2501.06171; Bartok, Kondor, Csanyi, Phys. Rev. B 87, 184115, doi:10.1103/PhysRevB.87.184115.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from magsim.descriptors.base import Descriptor
from magsim.descriptors.environment import Environment, check_cutoff, make_environment, neighbour_table
from magsim.descriptors.irreps import Irrep, invariant_tensors, irreps, symmetry_adapted
from magsim.lattice import Lattice


@dataclass(frozen=True)
class BispectrumOptions:
    """What the descriptor sees.

    Attributes:
        cutoff: radius of the environment.
        bond_cutoff: longest bond inside it; None: the cutoff.
        chirality_cutoff: longest side of the triangles inside it; 0: no chiralities.
        references: reference combinations per irrep (0: power spectrum only).
        bispectrum: also triple products of reference irreps.
        time_reversal: keep only invariants that are even under S -> -S.
    """

    cutoff: float = 2.0
    bond_cutoff: float | None = None
    chirality_cutoff: float = 0.0
    references: int = 4
    bispectrum: bool = False
    time_reversal: bool = True


@dataclass(frozen=True)
class Block:
    """Columns ``start : start + copies*dim`` of the coefficients: copies of one irrep of one time parity."""

    irrep: Irrep
    odd: bool
    start: int
    copies: int

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.copies * self.irrep.dim)


class BispectrumDescriptor(Descriptor):
    """Invariants ``(B, N, K)`` of spins ``(B, N, 3)`` on a lattice.

    Args:
        lattice: the crystal and, for now, its size; :meth:`bind` moves to another size.
        options: see :class:`BispectrumOptions`.

    Raises:
        ConfigError: a cutoff beyond half of a periodic side, or a crystal with inequivalent sites.
    """

    adapt: Tensor
    bond_index: Tensor
    triangle_index: Tensor

    def __init__(self, lattice: Lattice, options: BispectrumOptions) -> None:
        super().__init__()
        self.options = options
        check_cutoff(lattice, options.cutoff)  # before the work, whose memory grows as the cutoff's 8th power
        bond_cutoff = options.cutoff if options.bond_cutoff is None else options.bond_cutoff
        self.environment: Environment = make_environment(
            lattice, options.cutoff, bond_cutoff, options.chirality_cutoff
        )
        self.irreps = irreps(self.environment.group)
        self.blocks, adapt = self._symmetry_adapt()
        # Inside an irrep of several dimensions, and among its copies, the basis is LAPACK's choice, which
        # differs from machine to machine: everything that depends on it is saved with a model.
        self.register_buffer("adapt", torch.tensor(adapt))
        self.register_buffer("bond_index", torch.tensor(self.environment.bonds.T.copy()), persistent=False)
        self.register_buffer(
            "triangle_index", torch.tensor(self.environment.triangles.T.copy()), persistent=False
        )
        self._make_references()
        self.bind(lattice)

    @classmethod
    def of(cls, lattice: Lattice, **options: Any) -> BispectrumDescriptor:
        """The descriptor with the fields of :class:`BispectrumOptions` as arguments."""
        return cls(lattice, BispectrumOptions(**options))

    def _symmetry_adapt(self) -> tuple[list[Block], np.ndarray]:
        """All copies of all irreps, as blocks of rows of one matrix on (bonds, chiralities)."""
        env = self.environment
        n_bonds, n_triangles = len(env.bonds), len(env.triangles)
        blocks, rows, start = [], [], 0
        for tuples, odd, offset in ((env.bonds, False, 0), (env.triangles, True, n_bonds)):
            orbits = [
                (orbit, env.representation(tuples, odd)[:, orbit][:, :, orbit])
                for orbit in env.orbits(tuples)
            ]
            for irrep in self.irreps:
                copies = 0
                for orbit, representation in orbits:
                    adapted = symmetry_adapted(representation, irrep)
                    full = np.zeros((len(adapted) * irrep.dim, n_bonds + n_triangles))
                    full[:, offset + orbit] = adapted.reshape(-1, len(orbit))
                    rows.append(full)
                    copies += len(adapted)
                if copies:
                    blocks.append(Block(irrep, odd, start, copies))
                    start += copies * irrep.dim
        return blocks, np.concatenate(rows)

    def _make_references(self) -> None:
        """Fixed mixtures of all copies of a block; orthonormal, the same for every model (own seed)."""
        generator = np.random.default_rng(20220103)
        for k, block in enumerate(self.blocks):
            count = min(self.options.references, block.copies)
            mixture = np.linalg.qr(generator.normal(size=(block.copies, block.copies)))[0][:, :count]
            self.register_buffer(f"reference_{k}", torch.tensor(mixture))
            r, s = torch.triu_indices(block.copies, block.copies)
            self.register_buffer(f"pairs_{k}", r * block.copies + s, persistent=False)
        self._triples: list[tuple[int, int, int, str]] = []
        if self.options.bispectrum:
            for a in range(len(self.blocks)):
                for b in range(a, len(self.blocks)):
                    for c in range(b, len(self.blocks)):
                        self._add_triple(a, b, c)

    def _add_triple(self, a: int, b: int, c: int) -> None:
        blocks = [self.blocks[k] for k in (a, b, c)]
        if self.options.time_reversal and sum(block.odd for block in blocks) % 2:
            return
        if any(block.irrep is self.irreps[0] and not block.odd for block in blocks):
            return  # the trivial irrep only multiplies invariants that are there already
        tensors = invariant_tensors(*(block.irrep for block in blocks))
        if len(tensors):
            name = f"coupling_{a}_{b}_{c}"
            self.register_buffer(name, torch.tensor(tensors))
            self._triples.append((a, b, c, name))

    def bind(self, lattice: Lattice) -> None:
        table = torch.tensor(neighbour_table(lattice, self.environment)).to(self.adapt.device)
        self.register_buffer("table", table, persistent=False)
        self._open = bool((table == lattice.n_sites).any())
        self.lattice = lattice

    @property
    def n_features(self) -> int:
        with torch.no_grad():
            spins = torch.zeros(1, self.table.shape[1], 3, dtype=self.adapt.dtype, device=self.adapt.device)
            return self.local(spins[:, None])[0, 0].numel()

    def local(self, environments: Tensor) -> Tensor:
        return self.invariants(self.coefficients(environments))

    def gather(self, spins: Tensor, sites: slice = slice(None)) -> Tensor:
        if self._open:
            spins = nn.functional.pad(spins, (0, 0, 0, 1))
        table = self.table[sites]
        return spins.index_select(1, table.reshape(-1)).unflatten(1, tuple(table.shape))

    def coefficients(self, environments: Tensor) -> Tensor:
        """Symmetry-adapted ``f`` of environments ``(B, n, M, 3)``: ``(B, n, sum of copies*dim)``."""
        p, q = self.bond_index
        values = (environments.index_select(2, p) * environments.index_select(2, q)).sum(-1)
        if self.triangle_index.shape[1]:
            a, b, c = (environments.index_select(2, index) for index in self.triangle_index)
            values = torch.cat([values, (a * torch.linalg.cross(b, c)).sum(-1)], dim=-1)
        return values @ self.adapt.T

    def invariants(self, coefficients: Tensor) -> Tensor:
        """Invariants ``(B, n, K)`` of symmetry-adapted coefficients."""
        parts, references = [], []
        for k, block in enumerate(self.blocks):
            f = coefficients[..., block.columns].unflatten(-1, (block.copies, block.irrep.dim))
            reference = torch.einsum("...rd,rk->...kd", f, getattr(self, f"reference_{k}"))
            references.append(reference)
            even_trivial = block.irrep is self.irreps[0] and (not block.odd or not self.options.time_reversal)
            if even_trivial:
                parts.append(f.flatten(-2))
            if self.options.references < block.copies:
                parts += [(f * f).sum(-1), (f @ reference.transpose(-1, -2)).flatten(-2)]
            else:  # as many references as copies span all products of two copies: take each of these once
                products = (f @ f.transpose(-1, -2)).flatten(-2)
                parts.append(products.index_select(-1, getattr(self, f"pairs_{k}")))
        for a, b, c, name in self._triples:
            product = torch.einsum(
                "...i,...j,...k,nijk->...n",
                references[a][..., 0, :],
                references[b][..., 0, :],
                references[c][..., 0, :],
                getattr(self, name),
            )
            parts.append(product)
        return torch.cat(parts, dim=-1)
