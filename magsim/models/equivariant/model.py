"""Message passing on the lattice, equivariant under spin rotations, the space group and time reversal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from magsim.descriptors import Descriptor, EquivariantDescriptor
from magsim.descriptors.spin_irreps import spin_components
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.models.base import SNAPSHOTS, Model
from magsim.models.bp import ACTIVATIONS
from magsim.models.equivariant.kinds import VECTOR, Features, Kind
from magsim.models.equivariant.lattice_product import Matrix
from magsim.models.equivariant.layer import Layer
from magsim.spins import transverse

OUTPUTS = ("energy", "torque")
SITES = 2**15  # of several replicas that are evaluated together


class EquivariantModel(Model):
    """Spins -> channels of spin irreps l = 0, 1, 2 -> ``E = sum_i e_i`` and ``F_i = -dE/dS_i``.

    Every layer lets a site see the neighbours within the cutoff of the descriptor, sorted by the irreps of
    the site point group (:class:`~magsim.models.equivariant.layer.Layer`); after n layers site energies have
    seen spins within n cutoffs. E is even under time reversal by the parities of the channels. With
    ``output="torque"`` the last layer gives the field itself as an odd vector: cheaper, but the gradient of
    no energy (which is nan), so that the dynamics need not conserve anything.

    Sources: Miyazaki, arXiv:2305.03804 (equivariant networks for itinerant magnets); Batzner et al.,
    doi:10.1038/s41467-022-29939-5 (gates); lattice irreps: Zhang, Saha, Chern, arXiv:2201.00798.

    Args:
        descriptor: :class:`~magsim.descriptors.EquivariantDescriptor`: cutoff and largest l.
        layers: how often sites exchange messages.
        channels: of each kind.
        hidden: widths of the network that turns the invariants of a layer into scalars.
        activation: one of ``ACTIVATIONS``.
        pseudo: also channels whose time parity is not that of l spins (l = 1 even: ``S_i x S_j``).
        output: ``energy`` or ``torque``.

    Raises:
        ConfigError: another descriptor, or values out of range.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        layers: int = 2,
        channels: int = 8,
        hidden: Sequence[int] = (32, 32),
        activation: str = "silu",
        pseudo: bool = False,
        output: str = "energy",
    ) -> None:
        super().__init__()
        if not isinstance(descriptor, EquivariantDescriptor):
            raise ConfigError("model.name", "equivariant", "needs descriptor=equivariant.")
        if output not in OUTPUTS:
            raise ConfigError("model.output", output, f"must be one of {', '.join(OUTPUTS)}.")
        if activation not in ACTIVATIONS:
            raise ConfigError("model.activation", activation, f"must be one of {', '.join(ACTIVATIONS)}.")
        for key, value in {"layers": layers, "channels": channels}.items():
            if value < 1:
                raise ConfigError(f"model.{key}", value, "must be a positive whole number.")
        if not hidden or min(hidden) < 1:
            raise ConfigError("model.hidden", list(hidden), "must be a list of positive layer widths.")
        self.descriptor, self.conservative = descriptor, output == "energy"
        kinds = [Kind(degree, bool(degree % 2)) for degree in range(descriptor.lmax + 1)]
        if pseudo:
            kinds += [Kind(kind.degree, not kind.odd) for kind in kinds]
        incoming = {kind: 1 for kind in kinds if kind.degree > 0 and kind.odd == bool(kind.degree % 2)}
        stack: list[Layer] = []
        before = 0
        for k in range(layers):
            last = [] if self.conservative else [VECTOR]
            layer = Layer(
                descriptor,
                incoming,
                kinds if k < layers - 1 else last,
                channels,
                hidden,
                activation,
                before,
            )
            stack.append(layer)
            incoming, before = dict.fromkeys(layer.sources, channels), layer.n_scalars
        self.layers = nn.ModuleList(stack)
        self.readout = nn.Linear(before, 1) if self.conservative else nn.Linear(channels, 1, bias=False)
        nn.init.normal_(self.readout.weight, std=0.1 / self.readout.in_features**0.5)
        if self.conservative:
            nn.init.zeros_(self.readout.bias)
        self.n_features = stack[-1].n_invariants

    @property
    def lattice(self) -> Lattice:
        return self.descriptor.lattice

    def bind(self, lattice: Lattice) -> EquivariantModel:
        self.descriptor.bind(lattice)
        for layer in self._stack():
            layer.product.bind(self.descriptor)
        return self

    @contextmanager
    def recorded(self) -> Iterator[None]:
        with super().recorded():
            for layer in self._stack():
                layer.product.pad(True)
            try:
                yield
            finally:
                for layer in self._stack():
                    layer.product.pad(False)

    def adopt(self, other: Model) -> None:
        """As :meth:`Model.adopt`, also from a model of a smaller cutoff: shells that it does not see have
        next to no weight, so that the first field is nearly its own.

        Raises:
            ValueError: it differs in more than the cutoff.
        """
        if not isinstance(other, EquivariantModel):
            raise ValueError("it is a model of another kind")
        places = self.descriptor.places(other.descriptor)
        try:
            for mine, theirs in zip(self._stack(), other._stack(), strict=True):
                mine.adopt(theirs, places)
            self.readout.load_state_dict(other.readout.state_dict())
        except (RuntimeError, ValueError) as error:
            raise ValueError("it differs in more than the cutoff") from error
        self.energy_scale.copy_(other.energy_scale)
        self.energy_shift.copy_(other.energy_shift)

    def _stack(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def fit_statistics(self, spins: Tensor, field: Tensor) -> None:
        """Normalise the invariants of every layer as they are with the weights at the start; the statistics
        are those of as many snapshots as pass together."""
        chosen = spins[torch.linspace(0, len(spins) - 1, min(len(spins), SNAPSHOTS)).long()]
        with torch.no_grad():
            self.energy_scale.copy_(transverse(field, spins).pow(2).mean().sqrt())
            self.passed(chosen, fit=True)

    def passed(self, spins: Tensor, fit: bool = False) -> tuple[Features, Tensor]:
        """Features and scalars of the last layer, ``(N, B, ...)``."""
        x = spins.transpose(0, 1)  # sites first: neighbours are whole rows
        layers = self._stack()
        features = {
            kind: spin_components(x, kind.degree).permute(2, 0, 1).unsqueeze(-1)
            for kind in layers[0].incoming
        }
        scalars = x.new_empty(*x.shape[:-1], 0)
        matrices: dict[bool, tuple[Matrix, Matrix]] = {}
        for layer in layers:
            mixed = layer.product.mixed
            if mixed not in matrices:
                matrices[mixed] = layer.product.matrices(self.descriptor.basis)
            features, scalars = layer(features, scalars, matrices[mixed], fit)
        return features, scalars

    @property
    def radius(self) -> float:
        return len(self.layers) * self.descriptor.radius

    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        parts = [self._of_sites(part, own) for part in spins.split(max(1, SITES // spins.shape[1]))]
        energy, field = zip(*parts, strict=True)
        return torch.cat(energy).detach(), torch.cat(field).detach()

    def _of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        if not self.conservative:
            energy, field = self._answer(spins)
            return energy, field[:, own]
        with torch.enable_grad():
            leaf = spins.detach().requires_grad_(True)
            site = self.readout(self.passed(leaf)[1]).squeeze(-1)
            (gradient,) = torch.autograd.grad(site.sum(), leaf)
        shift = (own.stop - own.start) * self.energy_shift
        return self.energy_scale * site[own].sum(0) + shift, -self.energy_scale * gradient[:, own]

    def energy(self, spins: Tensor) -> Tensor:
        if not self.conservative:
            return torch.full_like(spins[:, 0, 0], float("nan"))
        site = self.readout(self.passed(spins)[1]).squeeze(-1)
        return self.energy_scale * site.sum(0) + spins.shape[1] * self.energy_shift

    def forward(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            return self._answer(spins)
        parts = [self._answer(part) for part in spins.split(max(1, SITES // spins.shape[1]))]
        energy, field = zip(*parts, strict=True)
        return torch.cat(energy).detach(), torch.cat(field).detach()

    def _answer(self, spins: Tensor) -> tuple[Tensor, Tensor]:
        if not self.conservative:
            vectors = self.passed(spins)[0][VECTOR]
            field = self.energy_scale * self.readout(vectors).squeeze(-1).permute(2, 1, 0)
            return torch.full_like(spins[:, 0, 0], float("nan")), field
        with torch.enable_grad():
            leaf = spins.detach().requires_grad_(True)
            energy = self.energy(leaf)
            (gradient,) = torch.autograd.grad(energy.sum(), leaf, create_graph=self.training)
        return energy, -gradient
