"""Behler-Parrinello network: one multilayer perceptron for the energy of every site."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from magsim.descriptors import Descriptor
from magsim.models.energy import EnergyModel

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "relu": nn.ReLU,
}


class BehlerParrinello(EnergyModel):
    """``E = sum_i MLP(invariants_i)``.

    Source: Behler and Parrinello, Phys. Rev. Lett. 98, 146401, doi:10.1103/PhysRevLett.98.146401; for
    itinerant magnets Zhang, Saha, Chern, arXiv:2201.00798.

    Args:
        descriptor: invariants of a site.
        hidden: widths of the hidden layers.
        activation: one of ``ACTIVATIONS``; smooth ones give smooth fields.
    """

    def __init__(
        self, descriptor: Descriptor, hidden: Sequence[int] = (128, 64), activation: str = "silu"
    ) -> None:
        super().__init__(descriptor)
        layers: list[nn.Module] = []
        width = self.n_features
        for next_width in hidden:
            layers += [nn.Linear(width, next_width), ACTIVATIONS[activation]()]
            width = next_width
        last = nn.Linear(width, 1)
        # training starts from a small field, not a wrong one
        nn.init.normal_(last.weight, std=0.1 / width**0.5)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(*layers, last)

    def site_energies(self, invariants: Tensor) -> Tensor:
        return self.network(invariants).squeeze(-1)
