"""What a site of a driven strip is told beside its spins: where it is between the leads, and the bias."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from magsim.errors import ConfigError
from magsim.lattice import Lattice

RANGES = (0.5, 1.5, 5.0)  # of the distance to a lead, in lattice constants: edge, its neighbours, far


class Conditions(nn.Module):
    """Features ``(B, X, C)`` of the X columns of a strip at the bias of each of B configurations.

    Of a column in the distances l, r to the left and the right edge they are ``(l - r)/(l + r)`` and
    ``exp(-l/d)``, ``exp(-r/d)`` for some ranges d: smooth, the same for all y, and different from those of
    the mirror image in x. Of the bias they are ``v = V/V_0`` and ``v^2`` with the largest bias V_0 of the
    training.

    Args:
        position, voltage: which of the two.

    Attributes:
        voltage_scale: ``()`` V_0.
    """

    columns: Tensor
    voltage_scale: Tensor

    def __init__(self, position: bool, voltage: bool) -> None:
        super().__init__()
        self.position, self.voltage = position, voltage
        self.register_buffer("voltage_scale", torch.ones(()))
        self.size = (1 + 2 * len(RANGES) if position else 0) + (2 if voltage else 0)

    def bind(self, lattice: Lattice) -> None:
        """Find the columns of a lattice.

        Raises:
            ConfigError: positions between leads are asked for, and x is periodic or not perpendicular to y.
        """
        device = self.voltage_scale.device
        if self.position and (lattice.periodic[0] or abs(lattice.vectors[1:, 0]).max(initial=0.0) > 1e-9):
            raise ConfigError(
                "model.position_input",
                True,
                "needs leads at both ends of x: lattice.boundary=[open,...] and columns perpendicular to x; "
                f"the lattice is {lattice.name} with {list(lattice.boundary)}.",
            )
        length = lattice.shape[0] - 1
        left = torch.arange(length + 1, dtype=torch.float64)
        right = length - left
        features = [(left - right) / max(length, 1)]
        for reach in RANGES:
            features += [torch.exp(-left / reach), torch.exp(-right / reach)]
        table = torch.stack(features, dim=-1) if self.position else left.new_empty(length + 1, 0)
        self.register_buffer("columns", table.to(device), persistent=False)

    def relative(self, voltage: Tensor) -> Tensor:
        """``V/V_0`` of ``(B,)``."""
        return voltage / self.voltage_scale

    def forward(self, voltage: Tensor | None) -> Tensor:
        """``(B, X, C)``; B is 1 where the bias is not among them."""
        columns = self.columns.to(self.voltage_scale)[None]
        if not self.voltage or voltage is None:
            return columns
        v = self.relative(voltage)[:, None, None].expand(-1, columns.shape[1], 1)
        return torch.cat([columns.expand(v.shape[0], -1, -1), v, v * v], dim=-1)
