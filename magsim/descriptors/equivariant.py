"""Spin irreps of a site's surroundings, sorted by the irreps of the site point group.

The neighbours of each shell are permuted by the point group; the combinations

    A^{G,r,m}_l = sum_p Y^{G,r}_m(p) S_p^{(l)},    l = 1, 2,

carry the lattice irrep G (copy r: one or more per shell, component m) and the spin irrep l, where
``S^{(1)}`` is the spin and ``S^{(2)}`` its quadrupole. ``model=equivariant`` mixes the copies with weights
and goes on from there. As a descriptor of its own it gives all invariants of two of them,
``sum_m A^{G,r,m}_l . A^{G,s,m}_l``: the whole power spectrum of lattice and spin rotations.

Sources: Bartok, Kondor, Csanyi, Phys. Rev. B 87, 184115, doi:10.1103/PhysRevB.87.184115; lattice irreps:
Zhang, Saha, Chern, arXiv:2201.00798; equivariant networks for spins: Miyazaki, arXiv:2305.03804.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from magsim.descriptors.base import Descriptor
from magsim.descriptors.environment import Environment, check_cutoff, make_environment, neighbour_table
from magsim.descriptors.irreps import irreps, symmetry_adapted
from magsim.descriptors.spin_irreps import LMAX, spin_components
from magsim.errors import ConfigError
from magsim.lattice import Lattice


@dataclass(frozen=True)
class IrrepBlock:
    """Rows ``start : start + copies*dim`` of the basis: the copies of one lattice irrep, copy by copy."""

    name: str
    dim: int
    start: int
    copies: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.copies * self.dim)


class EquivariantDescriptor(Descriptor):
    """Invariants ``(B, N, K)`` of spins ``(B, N, 3)``, and the basis that equivariant models build on.

    Args:
        lattice: the crystal and, for now, its size; :meth:`bind` moves to another size.
        cutoff: radius of the neighbourhood, the site itself included.
        lmax: largest spin irrep, 1 or 2.

    Attributes:
        basis: ``(K, M)`` orthonormal rows Y; ``blocks`` says which carry which irrep, the trivial one first.

    Raises:
        ConfigError: lmax that is not 1 or 2, a cutoff beyond half of a periodic side or below the nearest
            neighbours, or a crystal with inequivalent sites.
    """

    basis: Tensor

    def __init__(self, lattice: Lattice, cutoff: float = 2.0, lmax: int = 2) -> None:
        super().__init__()
        if lmax not in range(1, LMAX + 1):
            raise ConfigError("descriptor.lmax", lmax, f"must be from 1 to {LMAX}.")
        check_cutoff(lattice, cutoff)
        self.cutoff, self.lmax = cutoff, lmax
        self.environment: Environment = make_environment(lattice, cutoff, 0.0)
        self.blocks, basis = _shell_irreps(self.environment)
        # inside an irrep of several dimensions the basis is LAPACK's choice: saved with models
        self.register_buffer("basis", torch.tensor(basis))
        for k, block in enumerate(self.blocks):
            r, s = torch.triu_indices(block.copies, block.copies)
            self.register_buffer(f"pairs_{k}", r * block.copies + s, persistent=False)
        self.bind(lattice)

    @property
    def radius(self) -> float:
        return self.environment.radius

    def bind(self, lattice: Lattice) -> None:
        table = torch.tensor(neighbour_table(lattice, self.environment)).to(self.basis.device)
        self._bind_table(lattice, table)

    @property
    def n_features(self) -> int:
        return self.lmax * sum(b.copies * (b.copies + 1) // 2 for b in self.blocks)

    def places(self, smaller: EquivariantDescriptor) -> Tensor:
        """``(copies,)`` places, among the copies of all irreps here, of those of a descriptor that sees fewer
        shells.

        Raises:
            ValueError: they are not among them.
        """
        here, there = self.environment.points, smaller.environment.points
        points = np.linalg.norm(here[:, None] - there[None], axis=-1).argmin(axis=0)
        embedded = torch.zeros(len(smaller.basis), len(here), dtype=torch.float64)
        embedded[:, points] = smaller.basis.detach().cpu().double()
        overlap = self.basis.detach().cpu().double() @ embedded.T
        rows = overlap.argmax(0)
        same = overlap[rows, torch.arange(len(rows))]
        if not torch.allclose(same, torch.ones_like(same), atol=1e-5):
            raise ValueError("its lattice irreps are not among those of this descriptor")
        first, theirs = (
            torch.cat([b.start + b.dim * torch.arange(b.copies) for b in blocks])
            for blocks in (self.blocks, smaller.blocks)
        )
        return torch.searchsorted(first, rows[theirs])

    def local(self, environments: Tensor) -> Tensor:
        parts = []
        for degree in range(1, self.lmax + 1):
            f = self.basis @ spin_components(environments, degree)
            for k, block in enumerate(self.blocks):
                copies = f[..., block.rows, :].unflatten(-2, (block.copies, block.dim)).flatten(-2)
                products = (copies @ copies.transpose(-1, -2)).flatten(-2)
                parts.append(products.index_select(-1, getattr(self, f"pairs_{k}")))
        return torch.cat(parts, dim=-1)


def _shell_irreps(environment: Environment) -> tuple[list[IrrepBlock], np.ndarray]:
    """Copies of every lattice irrep on the points of each shell, as blocks of rows on all points."""
    points = np.arange(len(environment.points))[:, None]
    whole = environment.representation(points, odd=False)
    orbits = environment.orbits(points)
    blocks, rows, start = [], [], 0
    for irrep in irreps(environment.group):
        copies = 0
        for orbit in orbits:
            adapted = symmetry_adapted(whole[:, orbit][:, :, orbit], irrep)
            full = np.zeros((len(adapted) * irrep.dim, len(points)))
            full[:, orbit] = adapted.reshape(-1, len(orbit))
            rows.append(full)
            copies += len(adapted)
        if copies:
            blocks.append(IrrepBlock(irrep.name, irrep.dim, start, copies))
            start += copies * irrep.dim
    return blocks, np.concatenate(rows)
