"""What every energy model shares: normalised invariants in, energy and field out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from magsim.descriptors.bispectrum import BispectrumDescriptor
from magsim.lattice import Lattice
from magsim.spins import transverse

# An invariant that varies less than this (relative to its mean) over the training set is a constant with
# rounding noise: it is not blown up to unit variance.
CONSTANT = 1e-5


class EnergyModel(nn.Module):
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
    energy_scale: Tensor
    energy_shift: Tensor
    conservative = True

    def __init__(self, descriptor: BispectrumDescriptor) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.n_features = descriptor.n_features
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("scale", torch.ones(self.n_features))
        self.register_buffer("energy_scale", torch.ones(()))
        self.register_buffer("energy_shift", torch.zeros(()))

    @property
    def lattice(self) -> Lattice:
        return self.descriptor.lattice

    def bind(self, lattice: Lattice) -> EnergyModel:
        """Use the same weights on another size of the same crystal; returns itself.

        Raises:
            ConfigError: the cutoff exceeds half of a periodic side of the new lattice.
        """
        self.descriptor.bind(lattice)
        return self

    def fit_statistics(self, spins: Tensor, field: Tensor) -> None:
        """Set the normalisation from training spins and exact fields ``(B, N, 3)``."""
        with torch.no_grad():
            # the middle of the pass is float64, so that many samples lose no digits
            total, square = self.mean.new_zeros(2, self.n_features, dtype=torch.float64)
            count = 0
            for part in spins.split(16):
                q = self.descriptor(part).flatten(0, 1).double()
                total, square, count = total + q.sum(0), square + (q * q).sum(0), count + len(q)
            mean = total / count
            variance = (square / count - mean * mean).clamp(min=0.0)
            self.mean.copy_(mean)
            deviation = variance.sqrt()
            constant = deviation < CONSTANT * mean.abs().clamp(min=1.0)
            self.scale.copy_(torch.where(constant, 1.0, deviation))
            self.energy_scale.copy_(transverse(field, spins).pow(2).mean().sqrt())

    def fit_shift(self, spins: Tensor, energy: Tensor) -> None:
        """Set the energy per site: no mean error over spins ``(B, N, 3)`` with energies ``(B,)``."""
        with torch.no_grad():
            predicted = torch.cat([self.energy(part) for part in spins.split(16)])
            self.energy_shift += (energy - predicted).mean() / spins.shape[1]

    def site_energies(self, invariants: Tensor) -> Tensor:
        """``(B, N)`` energies, in units of ``energy_scale``, of normalised invariants ``(B, N, K)``."""
        raise NotImplementedError

    def energy(self, spins: Tensor) -> Tensor:
        """Total energy ``(B,)`` of spins ``(B, N, 3)``."""
        invariants = (self.descriptor(spins) - self.mean) / self.scale
        return self.energy_scale * self.site_energies(invariants).sum(-1) + spins.shape[1] * self.energy_shift

    def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        """Energy ``(B,)`` and field ``-dE/dS`` ``(B, N, 3)``; in training with a graph."""
        with torch.enable_grad():
            leaf = spins.detach().requires_grad_(True)
            energy = self.energy(leaf)
            (gradient,) = torch.autograd.grad(energy.sum(), leaf, create_graph=self.training)
        return energy, -gradient
