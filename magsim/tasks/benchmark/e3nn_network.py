"""The published equivariant network of the Kondo lattice, rebuilt on the ``e3nn`` package as a yardstick.

Y. Miyazaki, arXiv:2305.03804: every site carries channels of l = 0, 1, 2; a convolution couples those of the
site and of its neighbours along the axes to the harmonics of its own spin. Only its cost is of interest here:
it stays untrained. e3nn: M. Geiger and T. Smidt, arXiv:2207.09453.
"""

from __future__ import annotations

from importlib import metadata, util
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.models import Model

CHANNELS = 8  # of each l
LMAX = 2
CONVOLUTIONS = 4  # between features; one more leads to scalars
REACH = 2  # neighbours along the axes
READOUT = (8, 4, 2, 1)  # widths of the network of site energies


def version() -> str:
    """Of e3nn, or that it is not there."""
    return f"e3nn {metadata.version('e3nn')}" if installed() else "e3nn is not installed"


def installed() -> bool:
    """Whether e3nn can be imported."""
    return util.find_spec("e3nn") is not None


class PublishedNetwork(Model):
    """``E = sum_i e_i`` on the square lattice, 17 401 weights, and its gradient.

    Args:
        lattice: square.
        merged: the channels of one l of all neighbours in one product; else, as published, a product for each
            neighbour. The sums are the same, and so are the weights.

    Raises:
        ConfigError: another lattice.
        ImportError: e3nn is not installed.
    """

    table: Tensor

    def __init__(self, lattice: Lattice, merged: bool = False) -> None:
        super().__init__()
        from e3nn import o3
        from e3nn.nn import NormActivation

        if lattice.name != "square":
            raise ConfigError("lattice.name", lattice.name, "the published network is one of the square.")
        self._harmonics = o3.spherical_harmonics
        places = 4 * REACH + 1
        first = o3.Irreps([(1, (degree, 1)) for degree in range(LMAX + 1)])
        hidden = o3.Irreps([(CHANNELS, (degree, 1)) for degree in range(LMAX + 1)])
        scalars = o3.Irreps([(READOUT[0], (0, 1))])

        def convolution(incoming: o3.Irreps, outgoing: o3.Irreps) -> nn.Module:
            together = o3.Irreps([(places * n, irrep) for n, irrep in incoming])
            columns = together if merged else incoming * places
            return o3.FullyConnectedTensorProduct(columns, "0e + 1e", outgoing)

        self.merged = merged
        layers = [first] + [hidden] * CONVOLUTIONS
        self.convolutions = nn.ModuleList([convolution(a, hidden) for a in layers[:-1]])
        self.last = convolution(hidden, scalars)
        self.activation = NormActivation(hidden, nn.functional.silu, bias=False)
        steps = [step for a, b in pairwise(READOUT) for step in (nn.Linear(a, b), nn.SiLU())]
        self.readout = nn.Sequential(*steps[:-1])
        self.n_features = hidden.dim
        self.bind(lattice)

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def bind(self, lattice: Lattice) -> PublishedNetwork:
        sites = np.arange(lattice.n_sites).reshape(lattice.shape)
        steps = [0] + [sign * k for k in range(1, REACH + 1) for sign in (1, -1)]
        moved = [np.roll(sites, step, axis) for axis in range(2) for step in steps[axis > 0 :]]
        table = torch.tensor(np.stack(moved).reshape(len(moved), -1).T.copy())
        self.register_buffer("table", table.to(self.energy_scale.device), persistent=False)
        self._lattice = lattice
        return self

    def fit_statistics(self, spins: Tensor, field: Tensor) -> None:
        """It has none."""

    def site_energies(self, spins: Tensor) -> Tensor:
        """``(N,)`` of spins ``(N, 3)``."""
        own = self._harmonics([0, 1], spins, normalize=False)
        features = self._harmonics(list(range(LMAX + 1)), spins, normalize=False)
        for k, convolution in enumerate(self.convolutions):
            new = convolution(self._columns(features), own)
            features = self.activation(new + features if k else new)
        scalars: Tensor = self.last(self._columns(features), own)
        return self.readout(scalars)[:, 0]

    def _columns(self, features: Tensor) -> Tensor:
        """``(N, places * components)``: neighbour by neighbour, or of all neighbours degree by degree."""
        columns = features[self.table]
        if self.merged:
            channels = features.shape[1] // (LMAX + 1) ** 2
            parts = columns.split([channels * (2 * degree + 1) for degree in range(LMAX + 1)], dim=2)
            return torch.cat([part.flatten(1) for part in parts], dim=1)
        return columns.flatten(1)

    def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        leaf = spins.detach().requires_grad_(True)
        energy = torch.stack([self.site_energies(one).sum() for one in leaf])
        (gradient,) = torch.autograd.grad(energy.sum(), leaf, create_graph=self.training)
        return energy, -gradient
