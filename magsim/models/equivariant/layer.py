"""One layer of message passing between sites of a lattice, equivariant under everything.

A channel carries a spin irrep l and a time parity: what it becomes under S -> -S. Products multiply parities
and couple degrees, so that nothing else than what symmetry allows can be formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from magsim.descriptors import EquivariantDescriptor
from magsim.descriptors.spin_irreps import clebsch_gordan
from magsim.models.bp import ACTIVATIONS
from magsim.models.energy import CONSTANT
from magsim.models.equivariant.lattice_product import LatticeProduct


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


Features = dict[Kind, Tensor]  # (N, B, 2l+1, channels)
SCALAR, VECTOR = Kind(0, False), Kind(1, True)


@dataclass(frozen=True)
class Path:
    """A Clebsch-Gordan product of two kinds of channels, channel by channel.

    A product that is antisymmetric in two factors of one kind vanishes for equal channels: ``shifted`` takes
    the next channel for the second one.
    """

    left: Kind
    right: Kind
    out: Kind

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


class Layer(nn.Module):
    """Neighbours -> lattice irreps -> invariants -> gates of the next features.

    1. ``A^{G,m}_l = sum_{r,p} Y^{G,r}_m(p) W^{G,r}_l V_l(neighbour p)``: learned channels in each irrep G of
       the site point group and each kind of channel l (weights shared by components).
    2. Bonds with the site itself, ``b^{G,m}_l = (W'_l V_l) . A^{G,m}_l``.
    3. Invariants ``sum_m |A^{G,m}_l|^2``, ``sum_m (b^{G,m}_l)^2`` and, of the trivial G, b and scalars
       themselves; normalised, with the scalars of the layer before, through a network: scalars s.
    4. New features: ``sum g(s) X`` over X = the site itself, A of the trivial irrep, ``sum_{G,m} b A`` and
       the Clebsch-Gordan products ``sum_{G,m} (A A)_l``, g linear in s. Scalars: linear in s.

    Args:
        descriptor: whose basis is used.
        incoming: kinds of channels that come in and how many there are of each.
        outgoing: kinds of features to make; none in a last layer that gives energies.
        channels: of each kind.
        hidden: widths of the network.
        activation: one of ``magsim.models.bp.ACTIVATIONS``.
        before: number of scalars of the layer before.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        descriptor: EquivariantDescriptor,
        incoming: dict[Kind, int],
        outgoing: Sequence[Kind],
        channels: int,
        hidden: Sequence[int],
        activation: str,
        before: int,
    ) -> None:
        super().__init__()
        self.blocks, self.channels = descriptor.blocks, channels
        self.incoming, self.outgoing = incoming, tuple(outgoing)
        ends = [sum(block.dim for block in self.blocks[:k]) for k in range(len(self.blocks) + 1)]
        self.rows = [slice(a, b) for a, b in pairwise(ends)]
        self.raw = all(n == 1 for n in incoming.values())  # one channel: neighbours first, then mixing
        self.product = LatticeProduct(descriptor, mixed=not self.raw)
        copies = sum(block.copies for block in self.blocks)
        self.mix = nn.ParameterDict(
            {str(kind): _normal(copies, n, channels, fan=4 * n) for kind, n in incoming.items()}
        )
        self.own = nn.ParameterDict(
            {str(kind): _normal(n, channels, fan=n) for kind, n in incoming.items() if kind != SCALAR}
        )
        self.paths = paths(list(incoming), [kind for kind in self.outgoing if kind != SCALAR])
        for path in self.paths:
            table = clebsch_gordan(path.left.degree, path.right.degree, path.out.degree)
            self.register_buffer(path.name, torch.tensor(table).flatten(1), persistent=False)
        self.weigh = nn.ParameterDict(
            {path.name: _normal(len(self.blocks), channels, fan=1) for path in self.paths}
        )
        self.bonds = [kind for kind in incoming if kind.degree > 0]
        self.sources = self._sources()
        self.n_invariants = self._count()
        self.register_buffer("mean", torch.zeros(self.n_invariants))
        self.register_buffer("scale", torch.ones(self.n_invariants))
        widths = [self.n_invariants + before, *hidden]
        steps: list[nn.Module] = []
        for a, b in pairwise(widths):
            steps += [nn.Linear(a, b), ACTIVATIONS[activation]()]
        self.network = nn.Sequential(*steps)
        self.n_scalars = widths[-1]
        gates = {str(k): nn.Linear(self.n_scalars, n * channels) for k, n in self.sources.items()}
        for kind, count in self.sources.items():  # half open gates: features of order 1 at the start
            nn.init.normal_(gates[str(kind)].bias, std=count**-0.5)
        self.gate = nn.ModuleDict(gates)

    def _sources(self) -> dict[Kind, int]:
        """How many features are gated and summed for each outgoing kind."""
        counts = {}
        for kind in self.outgoing:
            straight = (2 + (kind in self.bonds)) if kind in self.incoming else 0
            count = 1 if kind == SCALAR else straight + sum(path.out == kind for path in self.paths)
            if count:
                counts[kind] = count
        return counts

    def _count(self) -> int:
        kinds = len(self.blocks) * (len(self.incoming) + len(self.bonds))
        return self.channels * (kinds + (SCALAR in self.incoming))

    def gather(self, features: Features, matrices: tuple[Tensor, Tensor]) -> Features:
        """Step 1: ``(rows, N, B, 2l+1, channels)`` of each kind; rows are irreps and their components."""
        result = {}
        for kind, values in features.items():
            weight = self.mix[str(kind)]
            if not self.raw:
                mixed = values.flatten(0, 2) @ weight  # (copies, N B (2l+1), channels)
                mixed = mixed.view(len(weight), *values.shape[:-1], self.channels).flatten(0, 1)
                result[kind] = self.product(mixed[None], matrices)
                continue
            around, parts, copy = self.product(values[None], matrices), [], 0
            for block in self.blocks:
                f = around[block.rows].view(block.copies, -1).T @ weight[copy : copy + block.copies, 0]
                parts.append(f.view(block.dim, *values.shape[:-1], self.channels))
                copy += block.copies
            result[kind] = torch.cat(parts)
        return result

    def forward(
        self, features: Features, scalars: Tensor, matrices: tuple[Tensor, Tensor], fit: bool = False
    ) -> tuple[Features, Tensor]:
        """New features and scalars ``(N, B, hidden)``; ``fit`` sets the normalisation from what comes in."""
        around = self.gather(features, matrices)
        own = {kind: values @ self.own[str(kind)] for kind, values in features.items() if kind != SCALAR}
        bonds = {kind: (own[kind] * around[kind]).sum(-2, keepdim=True) for kind in self.bonds}
        invariants = self.invariants(around, bonds)
        if fit:
            self.fit(invariants)
        inputs = (invariants - self.mean) / self.scale
        s = self.network(torch.cat([inputs, scalars], dim=-1))
        new = {}
        for kind, count in self.sources.items():
            gates = self.gate[str(kind)](s).unflatten(-1, (count, self.channels)).unbind(-2)
            if kind == SCALAR:
                new[kind] = gates[0].unsqueeze(-2)
                continue
            sources = self._made(kind, own, around, bonds)
            new[kind] = torch.stack([g.unsqueeze(-2) * x for g, x in zip(gates, sources, strict=True)]).sum(0)
        return new, s

    def invariants(self, around: Features, bonds: Features) -> Tensor:
        """Step 3: ``(N, B, K)``."""
        parts = []
        for values in around.values():
            squares = values.square().sum(-2)
            parts += [squares[row].sum(0) for row in self.rows]
        for values in bonds.values():
            b = values.squeeze(-2)
            parts += [b[0], *(b[row].square().sum(0) for row in self.rows[1:])]
        if SCALAR in around:
            parts.append(around[SCALAR][0].squeeze(-2))
        return torch.cat(parts, dim=-1)

    def fit(self, invariants: Tensor) -> None:
        """Set the normalisation."""
        with torch.no_grad():
            q = invariants.flatten(0, 1)
            mean, deviation = q.mean(0), q.std(0)
            constant = deviation < CONSTANT * mean.abs().clamp(min=CONSTANT)
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(constant, 1.0, deviation))

    def _made(self, kind: Kind, own: Features, around: Features, bonds: Features) -> list[Tensor]:
        """Step 4, without the gates: ``(N, B, 2l+1, channels)`` each."""
        made = [own[kind], around[kind][0]] if kind in self.incoming else []
        if kind in bonds:
            made.append((bonds[kind] * around[kind]).sum(0))
        for path in self.paths:
            if path.out == kind:
                made.append(self._coupled(path, around[path.left], around[path.right]))
        return made

    def _coupled(self, path: Path, left: Tensor, right: Tensor) -> Tensor:
        weight = self.weigh[path.name]
        weight = torch.cat([w.expand(b.dim, -1) for w, b in zip(weight.split(1), self.blocks, strict=True)])
        weight = weight[:, None, None, None]
        right = (right.roll(1, -1) if path.shifted else right) * weight
        outer = (left.unsqueeze(-2) * right.unsqueeze(-3)).sum(0).flatten(-3, -2)
        return getattr(self, path.name) @ outer


def _normal(*shape: int, fan: int) -> nn.Parameter:
    """Normal weights of variance 1/fan."""
    return nn.Parameter(torch.randn(*shape) / fan**0.5)
