"""Behler-Parrinello network: one multilayer perceptron for the energy of every site."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
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

aten = torch.ops.aten
# derivative by the input x times the derivative g by the output y of each activation
SLOPES: dict[type[nn.Module], Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    nn.SiLU: lambda g, x, y: aten.silu_backward(g, x),
    nn.GELU: lambda g, x, y: aten.gelu_backward(g, x),
    nn.Tanh: lambda g, x, y: aten.tanh_backward(g, y),
    nn.Softplus: lambda g, x, y: aten.softplus_backward(g, x, 1.0, 20.0),
    nn.ReLU: lambda g, x, y: aten.threshold_backward(g, x, 0.0),
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

    def with_gradient(self, invariants: Tensor) -> tuple[Tensor, Tensor]:
        """Back through the layers by hand: no graph is recorded."""
        passed = [invariants]
        for layer in self.network:
            passed.append(layer(passed[-1]))
        gradient = torch.ones_like(passed[-1])
        for k in range(len(self.network) - 1, -1, -1):
            layer = self.network[k]
            if isinstance(layer, nn.Linear):
                gradient = gradient @ layer.weight
            else:
                gradient = SLOPES[type(layer)](gradient, passed[k], passed[k + 1])
        return passed[-1].squeeze(-1), gradient
