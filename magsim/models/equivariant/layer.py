"""One layer of message passing between the sites of a lattice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from magsim.descriptors import EquivariantDescriptor
from magsim.descriptors.spin_irreps import clebsch_gordan
from magsim.models.bp import ACTIVATIONS
from magsim.models.energy import CONSTANT
from magsim.models.equivariant.kinds import SCALAR, Features, Kind, Path, paths
from magsim.models.equivariant.lattice_product import LatticeProduct, Matrix

FAINT = 0.1  # of the usual size: weights of irreps that a layer learns to see later


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
        self.dims = [block.dim for block in self.blocks]
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
            {path.name: _normal(len(self.blocks), channels, fan=1) for path in self.paths if path.wide}
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

    def gather(self, features: Features, matrices: tuple[Matrix, Matrix]) -> tuple[Features, Features]:
        """Step 1: ``(2l+1, rows, N, B, channels)`` of each kind; rows are irreps and their components. And
        the first row, the trivial irrep, once more."""
        around, trivial = {}, {}
        for kind, values in features.items():
            weight = self.mix[str(kind)]
            if self.raw:
                parts, copy = [], 0
                for rows, block in zip(self._shells(values, matrices), self.blocks, strict=True):
                    f = rows.reshape(kind.size, block.copies, -1).mT @ weight[copy : copy + block.copies, 0]
                    parts.append(f.view(kind.size, block.dim, *values.shape[1:3], self.channels))
                    copy += block.copies
                around[kind], trivial[kind] = torch.cat(parts, dim=1), parts[0][:, 0]
            else:
                # one product for all copies: (2l+1, N, B, copies*channels)
                mixed = values @ weight.transpose(0, 1).flatten(1)
                mixed = mixed.unflatten(-1, (-1, self.channels)).transpose(2, 3)
                around[kind] = torch.stack([self.product(one, matrices) for one in mixed])
                trivial[kind] = around[kind][:, 0]
        return around, trivial

    def _shells(self, values: Tensor, matrices: tuple[Matrix, Matrix]) -> tuple[Tensor, ...]:
        """Lattice irreps before any mixing, ``(2l+1, copies*dim, N, B)`` of each irrep."""
        around = self.product(values.permute(3, 1, 2, 0), matrices).permute(3, 0, 1, 2).contiguous()
        return around.split([block.copies * block.dim for block in self.blocks], dim=1)

    def forward(
        self, features: Features, scalars: Tensor, matrices: tuple[Matrix, Matrix], fit: bool = False
    ) -> tuple[Features, Tensor]:
        """New features and scalars ``(N, B, hidden)``; ``fit`` sets the normalisation from what comes in."""
        around, trivial = self.gather(features, matrices)
        own = {kind: values @ self.own[str(kind)] for kind, values in features.items() if kind != SCALAR}
        bonds = {kind: (own[kind].unsqueeze(1) * around[kind]).sum(0) for kind in self.bonds}
        invariants = self.invariants(around, bonds, trivial)
        if fit:
            self.fit(invariants)
        inputs = (invariants - self.mean) / self.scale
        s = self.network(torch.cat([inputs, scalars], dim=-1))
        new = {}
        for kind in self.sources:
            gates = self._gates(kind, s)
            if kind == SCALAR:
                new[kind] = gates
                continue
            made = self._made(kind, own, around, bonds, trivial)
            new[kind] = gates[0] * made[0]
            for gate, source in zip(gates[1:], made[1:], strict=True):
                new[kind] = torch.addcmul(new[kind], gate, source)
        return new, s

    def _gates(self, kind: Kind, s: Tensor) -> Tensor:
        """``(sources, N, B, channels)`` linear functions of the scalars."""
        linear = cast(nn.Linear, self.gate[str(kind)])
        shape = (self.sources[kind], self.channels)
        gates = (
            s.flatten(0, 1) @ linear.weight.unflatten(0, shape).mT + linear.bias.unflatten(0, shape)[:, None]
        )
        return gates.unflatten(1, s.shape[:2])

    def invariants(self, around: Features, bonds: Features, trivial: Features) -> Tensor:
        """Step 3: ``(N, B, K)``."""
        parts = []
        for values in around.values():
            parts += [rows.sum(0) for rows in values.square().sum(0).split(self.dims)]
        for values in bonds.values():
            first, *others = values.split(self.dims)
            parts += [first[0], *(rows.square().sum(0) for rows in others)]
        if SCALAR in around:
            parts.append(trivial[SCALAR][0])
        return torch.cat(parts, dim=-1)

    @torch.no_grad()
    def adopt(self, other: Layer, places: Tensor) -> None:
        """The weights of a layer that sees fewer shells; what it does not see has next to no effect at first.

        New copies of its irreps begin with weights zero, new irreps with faint ones: they enter squared, so
        that zero would remain zero.

        Args:
            places: of its copies of lattice irreps among those here.

        Raises:
            RuntimeError: it has other channels or widths.
        """
        names = [block.name for block in self.blocks]
        blocks = torch.tensor([names.index(block.name) for block in other.blocks])
        copies = torch.cat([torch.full((b.copies,), k) for k, b in enumerate(self.blocks)])
        seen = torch.isin(copies, blocks)
        groups, channels = len(self.incoming) + len(self.bonds), torch.arange(self.channels)
        inputs = (
            torch.arange(groups)[:, None, None] * len(names) + blocks[:, None]
        ) * self.channels + channels
        end = cast(nn.Linear, self.network[0]).in_features
        inputs = torch.cat([inputs.flatten(), torch.arange(groups * len(names) * self.channels, end)])
        weights = dict(other.state_dict())
        for name, own in self.state_dict().items():
            wide, old = own.clone(), weights.get(name)
            if old is None or old.shape == own.shape:
                continue
            if name.startswith("mix."):
                wide *= FAINT
                wide[seen] = 0.0
                wide[places] = old
            elif name.startswith("weigh."):
                wide.zero_()
                wide[blocks] = old
            elif name in ("mean", "scale"):
                wide[inputs[: len(old)]] = old
            elif name == "network.0.weight":
                wide.zero_()
                wide[:, inputs[: old.shape[1]]] = old
            weights[name] = wide
        self.load_state_dict(weights)

    def fit(self, invariants: Tensor) -> None:
        """Set the normalisation."""
        with torch.no_grad():
            q = invariants.flatten(0, 1)
            mean, deviation = q.mean(0), q.std(0)
            constant = deviation < CONSTANT * mean.abs().clamp(min=CONSTANT)
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(constant, 1.0, deviation))

    def _made(
        self, kind: Kind, own: Features, around: Features, bonds: Features, trivial: Features
    ) -> list[Tensor]:
        """Step 4, without the gates: ``(2l+1, N, B, channels)`` each."""
        made = [own[kind], trivial[kind]] if kind in self.incoming else []
        if kind in bonds:
            made.append((bonds[kind] * around[kind]).sum(1))
        for path in self.paths:
            if path.out != kind:
                continue
            if path.wide:
                outer = self._outer(path, around[path.left], around[path.right])
            else:
                outer = own[path.left].unsqueeze(1) * trivial[path.right]
            coupled = getattr(self, path.name) @ outer.flatten(0, 1).flatten(1)
            made.append(coupled.view(-1, *outer.shape[2:]))
        return made

    def _outer(self, path: Path, left: Tensor, right: Tensor) -> Tensor:
        """Products of all components ``(2l1+1, 2l2+1, N, B, channels)``, summed over the lattice irreps."""
        weight = self.weigh[path.name]
        weight = torch.cat([w.expand(dim, -1) for w, dim in zip(weight.split(1), self.dims, strict=True)])
        right = (right.roll(1, -1) if path.shifted else right) * weight[:, None, None]
        rows = zip(left.unsqueeze(1).unbind(2), right.unbind(1), strict=True)
        first, second = next(rows)
        outer = first * second
        for first, second in rows:
            outer = torch.addcmul(outer, first, second)
        return outer


def _normal(*shape: int, fan: int) -> nn.Parameter:
    """Normal weights of variance 1/fan."""
    return nn.Parameter(torch.randn(*shape) / fan**0.5)
