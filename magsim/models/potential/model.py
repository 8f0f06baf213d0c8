"""Fields of driven magnets from scalar functions of the environment: gradients, and what is no gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from magsim.descriptors import Descriptor
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.models.base import Model
from magsim.models.bp import ACTIVATIONS
from magsim.models.energy import PART_BYTES, moments, scale_of
from magsim.models.potential.conditions import Conditions
from magsim.models.potential.network import ConditionedNetwork
from magsim.spins import transverse

FORMS = ("energy", "summed", "sitewise", "direct")


class PotentialModel(Model):
    """The transverse field of a driven strip, in one of four forms.

    With invariants ``q(i)`` of the spins around site i, and networks eps, g, e, A, B of them, of the position
    between the leads and of the bias:

    ``energy``    ``F_i = -dE/dS_i``, ``E = sum_j eps(j)``: what every energy model gives, a gradient.
    ``summed``    ``F_i = -dE/dS_i - S_i x dG/dS_i``, ``G = sum_j g(j)``: the generalised potential of
                  Zhang and Chern, arXiv:2112.12124. Not universal: of the curl ``C_ij = dF_i/dS_j -
                  (dF_j/dS_i)^T`` in the tangent planes it reaches what fulfils ``J_i C = C J_j``, J the
                  rotation ``S x``.
    ``sitewise``  ``F_i = [-dE/dS_i] - d_i e(i) - S_i x d_i g(i)``, where d_i is the derivative of the
                  function of site i by its own spin alone. On the sphere of S_i, at given other spins, every
                  tangent field is such a sum (Hodge), so that nothing is out of reach.
    ``direct``    ``F_i = [-dE/dS_i] + sum_k (A_k(i) + B_k(i) S_i x) d_i q_k(i)``: no potentials at all.

    The square brackets are there with ``summed_energy``; without it a field sees the radius of the descriptor
    and not twice that. Every form turns with the spins, and has the symmetry under mirrors and time reversal
    that the invariants have: ``descriptor=driven`` has the mirror y alone.

    With ``voltage_input`` the bias conditions all networks, and what has no place without it has a factor
    ``V/V_0``: everything but E, and the invariants that are odd under time reversal. At V = 0 the field is
    then, exactly, minus the gradient of an energy that is even under time reversal. Without ``summed_energy``
    the factor stands before g and B alone: a site-wise field is ``-d_i e(i)`` at V = 0, a gradient on the
    sphere of each spin, but with a curl between spins that nothing forbids.

    ``energy`` gives E; other forms have no energy, and their forward gives nan for it.

    Args:
        descriptor: of invariants; its environments begin with their centre.
        form: see above.
        summed_energy: see above; ``summed`` and ``energy`` always have it.
        hidden: widths of the hidden layers of each network.
        activation: one of ``ACTIVATIONS``; smooth ones give smooth fields.
        position_input: whether the distances to both leads are an input; needs an open x axis.
        voltage_input: whether the bias is one.

    Raises:
        ConfigError: an unknown form, or a lattice without leads.
    """

    mean: Tensor
    scale: Tensor
    odd: Tensor

    def __init__(
        self,
        descriptor: Descriptor,
        form: str = "sitewise",
        summed_energy: bool = True,
        hidden: Sequence[int] = (64, 64),
        activation: str = "silu",
        position_input: bool = True,
        voltage_input: bool = False,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise ConfigError("model.form", form, f"must be one of {', '.join(FORMS)}.")
        if activation not in ACTIVATIONS:
            raise ConfigError("model.activation", activation, f"must be one of {', '.join(ACTIVATIONS)}.")
        self.descriptor, self.form = descriptor, form
        self.conservative, self.takes_voltage = form == "energy", voltage_input
        self.has_energy = summed_energy or form in ("energy", "summed")
        self.n_features = descriptor.n_features
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("scale", torch.ones(self.n_features))
        self.register_buffer("odd", descriptor.odd(), persistent=False)
        self.conditions = Conditions(position_input, voltage_input)
        self.conditions.bind(descriptor.lattice)

        def network(outputs: int, start: float = 0.1) -> ConditionedNetwork:
            size = self.conditions.size
            return ConditionedNetwork(self.n_features, size, hidden, outputs, activation, start)

        self.of_energy = network(1) if self.has_energy else None
        others = {"summed": 1, "sitewise": 2, "direct": 2 * self.n_features}.get(form, 0)
        # that many coefficients add up
        start = 0.1 / self.n_features**0.5 if form == "direct" else 0.1
        self.of_drive = network(others, start) if others else None

    @property
    def lattice(self) -> Lattice:
        return self.descriptor.lattice

    def bind(self, lattice: Lattice) -> PotentialModel:
        self.conditions.bind(lattice)
        self.descriptor.bind(lattice)
        return self

    def fit_statistics(self, spins: Tensor, field: Tensor, voltage: Tensor | None = None) -> None:
        """As :meth:`Model.fit_statistics`; with ``voltage_input`` also from the bias ``(B,)``."""
        with torch.no_grad():
            mean, square = moments(self.descriptor, spins)
            mean = torch.where(self.odd, 0.0, mean)  # an odd invariant must stay odd
            self.mean.copy_(mean)
            self.scale.copy_(scale_of(mean, square))
            self.energy_scale.copy_(transverse(field, spins).pow(2).mean().sqrt())
            if self.takes_voltage:
                largest = self._given(voltage, spins).abs().max()
                self.conditions.voltage_scale.copy_(torch.where(largest > 0, largest, 1.0))

    def _given(self, voltage: Tensor | None, spins: Tensor) -> Tensor:
        """The bias ``(B,)`` of a model that needs one.

        Raises:
            ConfigError: there is none.
        """
        if voltage is None:
            words = "the model needs a bias: field.set_voltage(V), or data that know their voltage."
            raise ConfigError("model.voltage_input", True, words)
        return voltage.to(spins).expand(spins.shape[0])

    def energy(self, spins: Tensor, voltage: Tensor | None = None) -> Tensor:
        """The potential E ``(B,)`` of spins ``(B, N, 3)``; it is an energy where the field is its gradient.

        Raises:
            ValueError: the model has no E.
        """
        if self.of_energy is None:
            raise ValueError("this model has no summed energy.")
        setting = self._setting(spins, voltage)
        q = (self.descriptor(spins) - self.mean) * setting.factor
        site = self.of_energy(q, setting.conditions).squeeze(-1)
        return self.energy_scale * site.sum(-1) + spins.shape[1] * self.energy_shift

    def _setting(self, spins: Tensor, voltage: Tensor | None) -> Setting:
        unit, factor = self.energy_scale.reshape(1, 1, 1), 1 / self.scale.reshape(1, 1, -1)
        if not self.takes_voltage:
            return Setting(self.conditions(None), factor, unit, unit, unit)
        bias = self._given(voltage, spins)
        relative = self.conditions.relative(bias)[:, None, None]
        factor, of_bias = factor * torch.where(self.odd, relative, 1.0), unit * relative
        # without E the first part has to give the field of equilibrium
        along = of_bias if self.has_energy else unit
        return Setting(self.conditions(bias), factor, unit, along, of_bias)

    def forward(self, spins: Tensor, voltage: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Energy ``(B,)`` and field ``(B, N, 3)`` of spins ``(B, N, 3)`` at the bias ``(B,)``."""
        setting = self._setting(spins, voltage)
        return self._in_one(spins.detach(), setting) if self.training else self._in_parts(spins, setting)

    def _in_one(self, spins: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """All sites at once, with a graph."""
        around = self.descriptor.around(spins)
        energy, slopes, drive = self._of_sites(spins, around.invariants, around.by_centre, setting, True)
        return energy, _field(spins, [around.by_all(slope) for slope in slopes], drive)

    @torch.no_grad()
    def _in_parts(self, spins: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
        """Some columns after the others, so that memory does not grow with N, and derivatives by hand."""
        sweep, columns = self.descriptor.sweep(spins), self.lattice.shape[0]
        part, size = self._part(len(spins)), spins.shape[1] // columns
        energies, drives = [], []
        for first in range(0, columns, part):
            last = min(first + part, columns)
            sites, own = slice(first * size, last * size), setting.of(slice(first, last))
            raw = sweep.invariants(sites)
            energy, slopes, drive = self._of_sites(spins[:, sites], raw, sweep.by_centre, own, False)
            for number, slope in enumerate(slopes):
                sweep.add(slope, number)
            energies.append(energy)
            drives.append(drive)
        gradients = [sweep.gradient(number) for number in range(len(slopes))]
        return torch.stack(energies).sum(0), _field(spins, gradients, torch.cat(drives, dim=1))

    def _of_sites(
        self,
        spins: Tensor,
        raw: Tensor,
        by_centre: Callable[[Tensor], Tensor],
        setting: Setting,
        graph: bool,
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """What the functions of some sites give: energy ``(B,)``; the derivatives ``(B, n, K)`` of E and G
        by the invariants of these sites; and ``(B, n, 3)`` what they add to minus their field alone."""

        def slopes(network: ConditionedNetwork | None, *units: Tensor) -> tuple[Tensor, Tensor]:
            assert network is not None
            way = network.gradients if graph else network.slopes
            return way(raw, self.mean, setting.factor, setting.conditions, units)

        energy, summed = torch.full_like(spins[:, 0, 0], float("nan")), []
        if self.has_energy:
            site, slope = slopes(self.of_energy, setting.unit)
            summed.append(slope[:, 0])
            if self.conservative:
                energy = self.energy_scale * site.sum((1, 2)) + site.shape[1] * self.energy_shift
        if self.form == "energy":
            return energy, summed, torch.zeros_like(spins)
        if self.form == "summed":
            summed.append(slopes(self.of_drive, setting.around)[1][:, 0])
            return energy, summed, torch.zeros_like(spins)
        if self.form == "sitewise":
            _, both = slopes(self.of_drive, setting.along, setting.around)
        else:
            assert self.of_drive is not None
            answers = self.of_drive((raw - self.mean) * setting.factor, setting.conditions).chunk(2, -1)
            units = (setting.along, setting.around)
            both = torch.stack([u * setting.factor * x for u, x in zip(units, answers, strict=True)], dim=1)
        along, around = by_centre(both).unbind(1)
        return energy, summed, along + torch.linalg.cross(spins, around)

    def _part(self, batch: int) -> int:
        """Columns that are evaluated together; see :meth:`EnergyModel.part`."""
        site = 2 * self.descriptor.numbers * self.mean.element_size()
        column = site * self.lattice.n_sites // self.lattice.shape[0]
        return max(1, PART_BYTES.get(self.mean.device.type, PART_BYTES["cpu"]) // (column * batch))


@dataclass(frozen=True, eq=False)
class Setting:
    """What the networks are told beside the invariants, and in which units they answer.

    Attributes:
        conditions: ``(B or 1, X, C)`` of the columns.
        factor: ``(B or 1, 1, K)`` by which invariants are normalised; of odd ones it vanishes with the bias.
        unit: ``(1, 1, 1)`` of E; of the others, ``along`` and ``around`` the spins, ``(B or 1, 1, 1)``.
    """

    conditions: Tensor
    factor: Tensor
    unit: Tensor
    along: Tensor
    around: Tensor

    def of(self, columns: slice) -> Setting:
        """The same for some columns."""
        return replace(self, conditions=self.conditions[:, columns])


def _field(spins: Tensor, gradients: Sequence[Tensor], drive: Tensor) -> Tensor:
    """From the gradients ``(B, N, 3)`` of E and G, as far as there are any, and what is none."""
    field = -drive
    if gradients:
        field = field - gradients[0]
    return field - torch.linalg.cross(spins, gradients[1]) if len(gradients) > 1 else field
