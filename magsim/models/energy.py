"""Models that are a sum of site energies: normalised invariants in, energy and field out."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from magsim.descriptors import BispectrumDescriptor, Descriptor
from magsim.lattice import Lattice, reach
from magsim.models.base import SNAPSHOTS, Model
from magsim.spins import transverse

# An invariant that varies less than this (relative to its mean) over the training set is a constant with
# rounding noise: it is not blown up to unit variance.
CONSTANT = 1e-5

# Memory of one part of the sites. On a CPU parts that stay in its cache are the fastest; a GPU is kept busy.
PART_BYTES = {"cpu": 2**24, "cuda": 2**31}


def moments(descriptor: Descriptor, spins: Tensor) -> tuple[Tensor, Tensor]:
    """Means ``(K,)`` of the invariants and of their squares over all sites of spins ``(B, N, 3)``; summed in
    float64, so that many samples lose no digits."""
    total, square = spins.new_zeros(2, descriptor.n_features, dtype=torch.float64)
    count = 0
    for part in spins.split(SNAPSHOTS):
        q = descriptor(part).flatten(0, 1).double()
        total, square, count = total + q.sum(0), square + (q * q).sum(0), count + len(q)
    return total / count, square / count


def scale_of(mean: Tensor, square: Tensor) -> Tensor:
    """Standard deviations ``(K,)``, 1 where an invariant is a constant."""
    deviation = (square - mean * mean).clamp(min=0.0).sqrt()
    return torch.where(deviation < CONSTANT * mean.abs().clamp(min=1.0), 1.0, deviation)


class EnergyModel(Model):
    """``E = sum_i e(invariants of site i)`` with one function e for all sites, and ``F_i = -dE/dS_i``.

    The statistics of the training set belong to the model (buffers): e takes ``(q - mean)/scale`` of the
    invariants q, its output is in units of ``energy_scale`` (the rms transverse field) and is shifted by
    ``energy_shift`` per site.

    Only the transverse part of the field has a meaning: E is known on the sphere, and a component along S_i
    says how the polynomial continues off it, unless it was trained too (``trainer.gamma`` below 1).

    Args:
        descriptor: bound to the lattice of the spins.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, descriptor: Descriptor) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.n_features = descriptor.n_features
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("scale", torch.ones(self.n_features))

    @property
    def lattice(self) -> Lattice:
        return self.descriptor.lattice

    def bind(self, lattice: Lattice) -> EnergyModel:
        self.descriptor.bind(lattice)
        return self

    def fit_statistics(self, spins: Tensor, field: Tensor) -> None:
        with torch.no_grad():
            mean, square = moments(self.descriptor, spins)
            self.mean.copy_(mean)
            self.scale.copy_(scale_of(mean, square))
            self.energy_scale.copy_(transverse(field, spins).pow(2).mean().sqrt())

    def adopt(self, other: Model) -> None:
        """As :meth:`Model.adopt`, also from a model of smaller cutoffs whose channels are learned: the first
        field is its own.

        Raises:
            ValueError: it differs in more than the cutoffs.
        """
        own, theirs = self.descriptor, getattr(other, "descriptor", None)
        if not isinstance(own, BispectrumDescriptor) or not isinstance(theirs, BispectrumDescriptor):
            return super().adopt(other)
        if own.options == theirs.options:
            return super().adopt(other)
        own.adopt(theirs)
        others = {k: v for k, v in other.state_dict().items() if not k.startswith("descriptor.")}
        try:
            left = self.load_state_dict(others, strict=False)
        except RuntimeError as error:
            raise ValueError("its weights are not those of this model") from error
        if left.unexpected_keys or any(not k.startswith("descriptor.") for k in left.missing_keys):
            raise ValueError("its weights are not those of this model")

    @abstractmethod
    def site_energies(self, invariants: Tensor) -> Tensor:
        """``(B, N)`` energies, in units of ``energy_scale``, of normalised invariants ``(B, N, K)``."""

    def with_gradient(self, invariants: Tensor) -> tuple[Tensor, Tensor]:
        """Site energies, and their derivatives ``(B, N, K)`` by the normalised invariants ``(B, N, K)``."""
        with torch.enable_grad():
            leaf = invariants.detach().requires_grad_(True)
            energies = self.site_energies(leaf)
            (gradient,) = torch.autograd.grad(energies.sum(), leaf)
        return energies.detach(), gradient

    def energy(self, spins: Tensor) -> Tensor:
        """Total energy ``(B,)`` of spins ``(B, N, 3)``."""
        invariants = (self.descriptor(spins) - self.mean) / self.scale
        return self.energy_scale * self.site_energies(invariants).sum(-1) + spins.shape[1] * self.energy_shift

    def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self._in_parts(spins)
        leaf = spins.detach().requires_grad_(True)
        energy = self.energy(leaf)
        (gradient,) = torch.autograd.grad(energy.sum(), leaf, create_graph=True)
        return energy, -gradient

    @property
    def radius(self) -> float:
        return self.descriptor.radius

    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        energy, field = self._in_parts(spins, own)
        return energy, field[:, own]

    @torch.no_grad()
    def _in_parts(self, spins: Tensor, own: slice | None = None) -> tuple[Tensor, Tensor]:
        """As in training, but without a graph where the derivatives are written by hand, and one part of the
        sites after the other, so that memory does not grow with N.

        Args:
            own: sites whose energies and fields are wanted, a range of rows; None: all.
        """
        batch, n, _ = spins.shape
        own = slice(0, n) if own is None else own
        seen = self._around(own)
        size = self.part(batch)
        total = spins.new_zeros(batch, dtype=torch.float64)
        sweep = self.descriptor.sweep(spins)
        for start in range(seen.start, seen.stop, size):
            part = slice(start, min(start + size, seen.stop))
            invariants = sweep.invariants(part).sub_(self.mean).div_(self.scale)
            energies, gradient = self.with_gradient(invariants)
            first, last = max(own.start - start, 0), max(own.stop - start, 0)
            total += energies[:, first:last].sum(-1)
            sweep.add(gradient * (self.energy_scale / self.scale))
        energy = self.energy_scale * total + (own.stop - own.start) * self.energy_shift
        return energy.to(spins.dtype), -sweep.gradient()

    def _around(self, own: slice) -> slice:
        """Sites whose energies depend on these, in whole rows."""
        n, rows = self.lattice.n_sites, self.lattice.shape[0]
        if own == slice(0, n):
            return own
        margin = reach(self.lattice, self.radius) * (n // rows)
        return slice(max(own.start - margin, 0), min(own.stop + margin, n))

    def part(self, batch: int) -> int:
        """Sites that are evaluated together.

        What a site needs is estimated, not asked of the machine: the same run has the same rounding anywhere.
        """
        site = self.descriptor.numbers * self.mean.element_size()
        return max(1, PART_BYTES.get(self.mean.device.type, PART_BYTES["cpu"]) // (site * batch))
