"""The group-theoretical bispectrum descriptor of a site's magnetic environment.

Bonds ``b = S_p . S_q`` and chiralities ``c = S_p . (S_q x S_r)`` inside a cutoff are invariant under spin
rotations; the site's point group permutes them. Their symmetry-adapted combinations ``f^{G,r}`` (irrep G,
copy r) give invariants of the lattice as well (number of spins that they couple, bonds only, in brackets):

- linear [2]: ``f`` itself for the trivial irrep,
- power spectrum [4]: ``p = f^{G,r} . f^{G,r}``,
- reference products [4]: ``q = f^{G,r} . f_ref^{G,k}``, the relative phases of the copies of one irrep,
- bispectrum [6]: ``C f_ref^{G1} f_ref^{G2} f_ref^{G3}`` with the group's Clebsch-Gordan tensors C, the
  phases between irreps.

With all copies in place of references the invariants up to a body order span all that there are. With
``channels`` the mixtures of the copies are learned weights instead, ``V_c = sum_r w_cr f^{G,r}``, and the
invariants are ``V_c`` for the trivial irrep and ``V_c . V_c`` for the others: far fewer, and better ones.

Every invariant is a polynomial of the spins, hence smooth. Chiralities are odd under time reversal; with
``time_reversal`` only even products are kept. With ``point_group="mirror_y"`` the group is what a current
along x leaves of that of the site. Sources: Zhang, Saha, Chern, arXiv:2201.00798; Tyberg et al.,
arXiv:2501.06171; Bartok, Kondor, Csanyi, Phys. Rev. B 87, 184115, doi:10.1103/PhysRevB.87.184115.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from magsim.descriptors.bispectrum_terms import (
    BispectrumOptions,
    Block,
    make_blocks,
    make_terms,
    orbits_of_elements,
)
from magsim.descriptors.environment import check_cutoff, make_environment
from magsim.descriptors.irreps import irreps
from magsim.descriptors.of_elements import ElementDescriptor
from magsim.descriptors.orbits import OrbitTransform
from magsim.descriptors.prune import independent, samples
from magsim.descriptors.terms import Term
from magsim.errors import ConfigError
from magsim.lattice import Lattice

__all__ = ["BispectrumDescriptor", "BispectrumOptions", "Block"]


class BispectrumDescriptor(ElementDescriptor):
    """Invariants ``(B, N, K)`` of spins ``(B, N, 3)`` on a lattice.

    Args:
        lattice: the crystal and, for now, its size; :meth:`bind` moves to another size.
        options: see :class:`BispectrumOptions`.

    Raises:
        ConfigError: a cutoff beyond half of a periodic side, a crystal with inequivalent sites, or options
            that leave no invariant.
    """

    kept: Tensor

    def __init__(self, lattice: Lattice, options: BispectrumOptions) -> None:
        check_cutoff(lattice, options.cutoff)  # before the work, whose memory grows as the cutoff's 8th power
        bond_cutoff = options.cutoff if options.bond_cutoff is None else options.bond_cutoff
        environment = make_environment(
            lattice, options.cutoff, bond_cutoff, options.chirality_cutoff, options.point_group
        )
        found = irreps(environment.group)
        blocks, adapt = make_blocks(environment, found)
        transform = OrbitTransform(orbits_of_elements(environment), adapt)
        super().__init__(lattice, environment, transform.order.numpy())
        self.options, self.irreps, self.blocks, self.transform = options, found, blocks, transform
        # Inside an irrep of several dimensions, and among its copies, the basis is LAPACK's choice, which
        # differs from machine to machine: everything that depends on it is saved with a model.
        self._register_load_state_dict_pre_hook(self._split)
        self._make_mixtures()
        self.terms = nn.ModuleList(make_terms(self.blocks, self.irreps, options))
        if not self.terms:
            raise ConfigError("descriptor.body_order", options.body_order, "leaves no invariant.")
        self._pruned = False

    @classmethod
    def of(cls, lattice: Lattice, **options: Any) -> BispectrumDescriptor:
        """The descriptor with the fields of :class:`BispectrumOptions` as arguments."""
        return cls(lattice, BispectrumOptions(**options))

    def _split(self, weights: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Models used to be saved with the whole matrix of the transform."""
        whole = weights.pop(f"{prefix}adapt", None)
        if whole is not None:
            blocks = self.transform.blocks_of(whole)
            weights.update({f"{prefix}transform.{name}": block for name, block in blocks.items()})

    def _make_mixtures(self) -> None:
        """Of the copies of each block: learned, or orthonormal and the same for every model (own seed)."""
        generator = np.random.default_rng(20220103)
        self.mixtures = nn.ParameterList()
        for k, block in enumerate(self.blocks):
            if self.options.channels is not None:
                start = torch.randn(block.copies, self.options.channels) / block.copies**0.5
                self.mixtures.append(nn.Parameter(start.double()))
            else:
                count = self.options.mixtures(block.copies)
                mixture = np.linalg.qr(generator.normal(size=(block.copies, block.copies)))[0][:, :count]
                self.register_buffer(f"reference_{k}", torch.tensor(mixture))

    def _mixture(self, k: int) -> Tensor:
        """``(copies, V)`` of a block: learned channels, or the copies and then fixed mixtures of them."""
        if self.options.channels is not None:
            return self.mixtures[k]
        fixed = getattr(self, f"reference_{k}")
        return torch.cat([torch.eye(len(fixed), dtype=fixed.dtype, device=fixed.device), fixed], dim=1)

    @torch.no_grad()
    def adopt(self, other: BispectrumDescriptor) -> None:
        """Take the learned channels of a descriptor of smaller cutoffs. What it does not see has no weight:
        the invariants are its own.

        Raises:
            ValueError: it differs in more than the cutoffs, or sees what this one does not.
        """
        cutoffs = {
            name: getattr(self.options, name) for name in ("cutoff", "bond_cutoff", "chirality_cutoff")
        }
        if self.options.channels is None or replace(other.options, **cutoffs) != self.options:
            raise ValueError("it differs in more than the cutoffs")
        place, sign = (torch.tensor(found) for found in self.environment.places(other.environment))
        own, theirs = self.transform.dense().double(), other.transform.dense().double()
        for k, (block, before) in enumerate(zip(self.blocks, other.blocks, strict=True)):
            d = block.irrep.dim
            channels = torch.einsum(
                "rc,rdm->cdm", other._mixture(k).double(), theirs[before.columns].unflatten(0, (-1, d))
            )
            wanted = channels.new_zeros(*channels.shape[:2], self.n_elements)
            wanted[..., place] = channels * sign
            basis = own[block.columns].unflatten(0, (-1, d))
            mixture = torch.einsum("rdm,cdm->rc", basis, wanted) / d  # the rows are orthonormal
            if not torch.allclose(torch.einsum("rc,rdm->cdm", mixture, basis), wanted, atol=1e-5):
                raise ValueError("its irreps are in another basis")
            self.mixtures[k].data.copy_(mixture)

    @property
    def n_vectors(self) -> int:
        return sum(block.irrep.dim * self.options.vectors(block.copies) for block in self.blocks)

    def vectors(self, elements: Tensor) -> list[Tensor]:
        adapted = self.transform(elements)
        return [self._mix(k, adapted[:, block.columns]) for k, block in enumerate(self.blocks)]

    def _mix(self, k: int, rows: Tensor) -> Tensor:
        """``(B, n, d, V)`` of the rows ``(B, copies*d, n)`` of a block."""
        d = self.blocks[k].irrep.dim
        mixed = self._mixture(k).T @ rows.unflatten(1, (-1, d)).flatten(2)
        made = mixed.unflatten(2, (d, -1)).permute(0, 3, 2, 1)
        # channels are squared where they lie; products of vectors are one small matrix product for each site
        return made if self.options.channels is not None else made.contiguous()

    def pull_vectors(self, gradient: list[Tensor]) -> Tensor:
        rows = []
        for k, share in enumerate(gradient):
            by_copies = self._mixture(k) @ share.permute(0, 3, 2, 1).flatten(2)
            rows.append(by_copies.unflatten(2, share.shape[2:0:-1]).flatten(1, 2))
        return self.transform.pull(torch.cat(rows, dim=1))

    def _terms(self) -> list[Term]:
        return [term for term in self.terms if isinstance(term, Term)]

    @property
    def n_features(self) -> int:
        return len(self.kept) if self._pruned else sum(term.n for term in self._terms())

    def invariants(self, vectors: list[Tensor]) -> Tensor:
        found = [term(vectors) for term in self._terms()]
        if self.options.channels is None:
            q = torch.cat(found, dim=-1)
        else:  # sites stay the last axis of the memory
            q = torch.cat([x.transpose(-1, -2) for x in found], dim=-2).transpose(-1, -2)
        return q.index_select(-1, self.kept) if self._pruned else q

    def pull(self, vectors: list[Tensor], gradient: Tensor) -> list[Tensor]:
        if self._pruned:
            full = gradient.new_zeros(*gradient.shape[:-1], sum(term.n for term in self._terms()))
            gradient = full.index_copy_(-1, self.kept, gradient)
        lead = gradient.shape[:-1]
        # as the vectors lie, sites last
        result = [gradient.new_zeros(lead[0], *x.shape[:-3:-1], *lead[1:]) for x in vectors]
        result = [x.movedim((1, 2), (-1, -2)) for x in result]
        parts = gradient.split([term.n for term in self._terms()], dim=-1)
        for term, part in zip(self._terms(), parts, strict=True):
            term.pull(vectors, part, result)
        return result

    def pull_sets(self, vectors: list[Tensor], gradient: Tensor) -> Tensor:
        """All sets at once, as if they belonged to more sites."""
        sets = gradient.shape[1]
        repeated = [x.unsqueeze(1).expand(-1, sets, -1, -1, -1) for x in vectors]
        pulled = [x.flatten(1, 2) for x in self.pull(repeated, gradient)]
        return self.pull_vectors(pulled).unflatten(2, (sets, -1))

    def coefficients(self, environments: Tensor) -> Tensor:
        """Symmetry-adapted ``f`` of environments ``(B, n, M, 3)``: ``(B, n, sum of copies*dim)``."""
        return self.local_elements(environments) @ self.transform.dense().T

    def prepare(self, spins: Tensor | None) -> None:
        """Keep a set of independent invariants, if ``options.prune`` says how independent."""
        if self.options.prune is None:
            return
        self._keep(None)
        own = self.transform.matrices()[0].dtype
        with torch.no_grad():
            kept = independent(samples(self.double(), spins), self.options.prune)
        self.to(own)
        self._keep(kept)

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        if "kept" in weights:
            self._keep(weights["kept"])

    def _keep(self, kept: Tensor | None) -> None:
        self._pruned = kept is not None
        if kept is not None:
            self.register_buffer("kept", kept.to(self.device))
