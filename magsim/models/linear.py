"""Linear model: the energy is a weighted sum of invariants; closed-form ridge regression of the torque."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from magsim.descriptors import Descriptor
from magsim.models.energy import EnergyModel


class LinearModel(EnergyModel):
    """``E = sum_i w . q_i``; its field is linear in w: least squares on it has a closed form.

    Args:
        descriptor: invariants q of a site.
        ridge: regularisation of the closed form, relative to the mean eigenvalue of its normal matrix.
        max_snapshots: of the training part, that the closed form takes; None: all.
    """

    def __init__(self, descriptor: Descriptor, ridge: float = 1e-6, max_snapshots: int | None = None) -> None:
        super().__init__(descriptor)
        self.ridge, self.max_snapshots = ridge, max_snapshots
        self.weight = nn.Parameter(torch.zeros(self.n_features), requires_grad=False)

    def site_energies(self, invariants: Tensor) -> Tensor:
        return invariants @ self.weight

    def with_gradient(self, invariants: Tensor) -> tuple[Tensor, Tensor]:
        return invariants @ self.weight, self.weight.detach().expand_as(invariants)

    @torch.no_grad()
    def design(self, spins: Tensor) -> Tensor:
        """``(B, N, 2, K)``: field per unit of each weight along two directions transverse to each spin.

        Forward-mode derivatives of the local invariants along both transverse directions of every spin of the
        environment; site i then collects those of all sites that see it.
        """
        environments = self.descriptor.gather(spins)
        table = self.descriptor.table
        batch, n, m, _ = environments.shape
        # the last row takes what lies beyond open boundaries
        frame = nn.functional.pad(tangent_frame(spins), (0, 0, 0, 0, 0, 1))
        gradient = spins.new_zeros(2, batch, n + 1, self.n_features)

        def derivative(tangent: Tensor) -> Tensor:
            return torch.func.jvp(invariants, (environments,), (tangent,))[1]

        def invariants(values: Tensor) -> Tensor:
            return self.descriptor.local(values)

        for p in range(m):
            directions = frame[:, table[:, p]]
            tangents = environments.new_zeros(2, *environments.shape)
            tangents[..., p, :] = directions.movedim(-2, 0)
            gradient.index_add_(2, table[:, p], torch.func.vmap(derivative)(tangents))
        return -self.energy_scale * gradient[:, :, :n].permute(1, 2, 0, 3) / self.scale


def tangent_frame(spins: Tensor) -> Tensor:
    """Two orthonormal directions ``(..., 2, 3)`` perpendicular to unit spins ``(..., 3)``."""
    helper = torch.zeros_like(spins)
    # the axis that the spin is least aligned with
    helper.scatter_(-1, spins.abs().argmin(-1, keepdim=True), 1.0)
    first = torch.linalg.cross(spins, helper)
    first = first / first.norm(dim=-1, keepdim=True)
    return torch.stack([first, torch.linalg.cross(spins, first)], dim=-2)
