"""Kinds of channels and their products.

A channel carries a spin irrep l and a time parity: what it becomes under S -> -S. Products multiply parities
and couple degrees, so that nothing else than what symmetry allows can be formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, order=True)
class Kind:
    """What a channel is.

    Attributes:
        degree: spin irrep l, with 2l+1 components.
        odd: whether it changes sign under time reversal.
    """

    degree: int
    odd: bool

    @property
    def size(self) -> int:
        return 2 * self.degree + 1

    def __str__(self) -> str:
        return f"{self.degree}{'o' if self.odd else 'e'}"


Features = dict[
    Kind, Tensor
]  # (2l+1, N, B, channels): components outside, so that loops over channels and sites are long
SCALAR, VECTOR = Kind(0, False), Kind(1, True)


@dataclass(frozen=True)
class Path:
    """A Clebsch-Gordan product of two kinds of channels, channel by channel.

    A product of two vectors, or with a scalar, is ``wide``: of all lattice irreps, summed over their
    components. The others, which cost most, couple a site itself to the trivial irrep around it. A wide one
    that is antisymmetric in two factors of one kind vanishes for equal channels: ``shifted`` takes the next
    channel for the second one.
    """

    left: Kind
    right: Kind
    out: Kind

    @property
    def wide(self) -> bool:
        return self.left.degree + self.right.degree <= 2

    @property
    def shifted(self) -> bool:
        total = self.left.degree + self.right.degree + self.out.degree
        return self.left == self.right and total % 2 == 1

    @property
    def name(self) -> str:
        return f"coupling_{self.left}_{self.right}_{self.out}"


def paths(kinds: Sequence[Kind], out: Sequence[Kind]) -> list[Path]:
    """Every allowed product of two kinds that is one of ``out``."""
    ordered = sorted(kinds)
    return [
        Path(a, b, c)
        for i, a in enumerate(ordered)
        for b in ordered[i:]
        for c in out
        if abs(a.degree - b.degree) <= c.degree <= a.degree + b.degree and c.odd == (a.odd != b.odd)
    ]
