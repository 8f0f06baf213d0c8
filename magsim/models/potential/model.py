"""Fields of driven magnets from scalar functions of the environment: gradients, and what is no gradient."""

from __future__ import annotations

from collections.abc import Sequence

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
        invariants, conditions, _ = self._inputs(self.descriptor(spins), spins, voltage)
        site = self.of_energy(invariants, conditions, self.conditions.column).squeeze(-1)
        return self.energy_scale * site.sum(-1) + spins.shape[1] * self.energy_shift

    def _inputs(
        self, invariants: Tensor, spins: Tensor, voltage: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised invariants, conditions of the columns, and the factors ``(B or 1, 1, K)`` by which the
        former contain the normalised ones; the odd ones vanish with the bias."""
        q = (invariants - self.mean) / self.scale
        if not self.takes_voltage:
            return q, self.conditions(None), torch.ones_like(self.scale)[None, None]
        bias = self._given(voltage, spins)
        factor = torch.where(self.odd, self.conditions.relative(bias)[:, None, None], 1.0)
        return q * factor, self.conditions(bias), factor

    def forward(self, spins: Tensor, voltage: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Energy ``(B,)`` and field ``(B, N, 3)`` of spins ``(B, N, 3)`` at the bias ``(B,)``."""
        if self.training:
            return self._answer(spins.detach(), voltage, slice(None), graph=True)
        n, size = spins.shape[1], self._part(len(spins))
        with torch.no_grad():
            parts = [
                self._answer(spins, voltage, slice(start, min(start + size, n)), graph=False)
                for start in range(0, n, size)
            ]
        energies, fields = zip(*parts, strict=True)
        return sum(energies[1:], energies[0]), sum(fields[1:], fields[0])

    def _answer(
        self, spins: Tensor, voltage: Tensor | None, sites: slice, graph: bool
    ) -> tuple[Tensor, Tensor]:
        """What the functions of some sites contribute."""
        around = self.descriptor.around(spins, sites, graph)
        q, conditions, factor = self._inputs(around.invariants, spins, voltage)
        factor, column = self.energy_scale * factor / self.scale, self.conditions.column[sites]
        field, energy = torch.zeros_like(spins), torch.full_like(spins[:, 0, 0], float("nan"))
        if self.of_energy is not None:
            site, (slope,) = self.of_energy.gradients(q, conditions, column, graph)
            field = field - around.by_all(factor * slope)
            if self.conservative:
                energy = self.energy_scale * site.sum((1, 2)) + q.shape[1] * self.energy_shift
        if self.of_drive is None:
            return energy, field
        of_bias = factor
        if self.takes_voltage:
            of_bias = factor * self.conditions.relative(self._given(voltage, spins))[:, None, None]
        if self.form == "summed":
            _, (slope,) = self.of_drive.gradients(q, conditions, column, graph)
            return energy, field - torch.linalg.cross(spins, around.by_all(of_bias * slope))
        if self.form == "sitewise":
            _, (along, around_it) = self.of_drive.gradients(q, conditions, column, graph)
        else:
            along, around_it = self.of_drive(q, conditions, column).chunk(2, dim=-1)
        own = spins[:, sites]
        # without E the first part has to give the field of equilibrium
        drive = around.by_centre((of_bias if self.has_energy else factor) * along)
        drive = drive + torch.linalg.cross(own, around.by_centre(of_bias * around_it))
        if own.shape[1] == spins.shape[1]:
            return energy, field - drive
        field[:, sites] -= drive
        return energy, field

    def _part(self, batch: int) -> int:
        """Sites that are evaluated together; see :meth:`EnergyModel.part`."""
        site = 2 * self.descriptor.numbers * self.mean.element_size()
        return max(1, PART_BYTES.get(self.mean.device.type, PART_BYTES["cpu"]) // (site * batch))
