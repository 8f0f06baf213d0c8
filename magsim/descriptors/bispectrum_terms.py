"""Which invariants the bispectrum descriptor has: options, blocks of irreps, the terms made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np
import torch

from magsim.descriptors.environment import Environment
from magsim.descriptors.irreps import Irrep, invariant_tensors, symmetry_adapted
from magsim.descriptors.terms import Dots, Linear, Pairs, Power, Products, Term, Triples


@dataclass(frozen=True)
class BispectrumOptions:
    """What the descriptor sees.

    Attributes:
        cutoff: radius of the environment.
        bond_cutoff: longest bond inside it; None: the cutoff.
        chirality_cutoff: longest side of the triangles inside it; 0: no chiralities.
        body_order: most spins that an invariant couples, each counted as often as it enters: 2 for a bond, 3
            for a chirality, and the sum for a product; None: no limit.
        references: reference combinations per irrep (0: power spectrum only); None: all copies.
        channels: learned mixtures of the copies per irrep, in place of references; None: none.
        bispectrum: also triple products of reference irreps.
        bispectrum_references: references (or channels) per irrep in them; None: all copies, the trivial irrep
            too, so that nothing is missing.
        prune: leave out invariants that the others give up to this fraction of their standard deviation;
            None: keep all.
        time_reversal: keep only invariants that are even under S -> -S.
        point_group: symmetry of a site that is imposed, see :func:`.environment.site_group`.
    """

    cutoff: float = 2.0
    bond_cutoff: float | None = None
    chirality_cutoff: float = 0.0
    body_order: int | None = None
    references: int | None = 4
    channels: int | None = None
    bispectrum: bool = False
    bispectrum_references: int | None = 1
    prune: float | None = None
    time_reversal: bool = True
    point_group: str = "lattice"

    def mixtures(self, copies: int) -> int:
        """Fixed mixtures of the copies of a block."""
        return copies if self.references is None else min(self.references, copies)

    def vectors(self, copies: int) -> int:
        """Vectors of a block: channels, or copies and then their mixtures."""
        return self.channels if self.channels is not None else copies + self.mixtures(copies)

    def allows(self, spins: int) -> bool:
        """Whether an invariant may couple so many spins."""
        return (self.body_order is None or spins <= self.body_order) and not (
            self.time_reversal and spins % 2
        )


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

    @property
    def spins(self) -> int:
        """That one coefficient couples."""
        return 3 if self.odd else 2


def make_blocks(environment: Environment, irreps: Sequence[Irrep]) -> tuple[list[Block], np.ndarray]:
    """All copies of all irreps, as blocks of rows of one matrix on (bonds, chiralities)."""
    n_bonds, n_triangles = len(environment.bonds), len(environment.triangles)
    blocks, rows, start = [], [], 0
    for tuples, odd, offset in ((environment.bonds, False, 0), (environment.triangles, True, n_bonds)):
        whole = environment.representation(tuples, odd)
        orbits = [(orbit, whole[:, orbit][:, :, orbit]) for orbit in environment.orbits(tuples)]
        for irrep in irreps:
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


def orbits_of_elements(environment: Environment) -> list[np.ndarray]:
    """Columns of that matrix that the group carries into each other, one array for each orbit."""
    offset = len(environment.bonds)
    return environment.orbits(environment.bonds) + [
        orbit + offset for orbit in environment.orbits(environment.triangles)
    ]


def make_terms(blocks: Sequence[Block], irreps: Sequence[Irrep], options: BispectrumOptions) -> list[Term]:
    """All invariants that the options ask for."""
    terms: list[Term] = []
    for k, block in enumerate(blocks):
        terms += _of_a_block(k, block, block.irrep is irreps[0], options)
    if options.allows(5):
        terms += _of_both_parities(blocks, irreps[0], options)
    if options.bispectrum:
        for a, b, c in combinations_with_replacement(range(len(blocks)), 3):
            terms += _of_three(blocks, (a, b, c), irreps[0], options)
    return terms


def _of_a_block(k: int, block: Block, trivial: bool, options: BispectrumOptions) -> Iterator[Term]:
    """Linear invariants and products of two coefficients of one block."""
    copies = block.copies
    linear = trivial and options.allows(block.spins)
    if options.channels is not None:
        if linear:
            yield Linear(k, options.channels)
        elif options.allows(2 * block.spins):
            yield Power(k, options.channels)
        return
    if linear:
        yield Linear(k, copies)
    if not options.allows(2 * block.spins):
        return
    count = options.mixtures(copies)
    if count < copies:
        yield Power(k, copies)
        if count:
            yield Products(k, copies, k, copies, count)
    else:  # as many references as copies span all products of two copies: take each of these once
        yield Pairs(k, copies)


def _of_both_parities(blocks: Sequence[Block], trivial: Irrep, options: BispectrumOptions) -> Iterator[Term]:
    """Products of a bond and a chirality of one irrep, odd under time reversal.

    Of learned channels each with its own partner: ``sum_c (w_c . f)(u_c . g)`` are all products of f and g.
    Those of the trivial irrep are linear invariants themselves, which a network multiplies.
    """
    for (a, even), (b, odd) in product(enumerate(blocks), repeat=2):
        if even.odd or not odd.odd or even.irrep is not odd.irrep:
            continue
        if options.channels is not None:
            if even.irrep is not trivial:
                yield Dots(a, b, options.channels)
        elif count := options.mixtures(odd.copies):
            yield Products(a, even.copies, b, odd.copies, count)


def _of_three(
    blocks: Sequence[Block], triple: tuple[int, int, int], trivial: Irrep, options: BispectrumOptions
) -> Iterator[Term]:
    chosen = [blocks[k] for k in triple]
    if not options.allows(sum(block.spins for block in chosen)):
        return
    complete = options.bispectrum_references is None and options.channels is None
    if not complete and any(block.irrep is trivial and not block.odd for block in chosen):
        return  # the trivial irrep only multiplies invariants that are there already
    couplings = invariant_tensors(*(block.irrep for block in chosen))
    if not len(couplings):
        return
    ranges = [_in_triples(block.copies, options) for block in chosen]
    a, b, c = triple
    vectors = [(u, v, w) for u, v, w in product(*ranges) if not (a == b and v < u) and not (b == c and w < v)]
    if vectors:
        yield Triples(triple, torch.tensor(vectors).T.contiguous(), torch.tensor(couplings))


def _in_triples(copies: int, options: BispectrumOptions) -> range:
    """Which vectors of a block enter triple products."""
    wanted = options.bispectrum_references
    if options.channels is not None:
        return range(options.channels if wanted is None else min(wanted, options.channels))
    if wanted is None:
        return range(copies)
    return range(copies, copies + min(wanted, options.mixtures(copies)))
