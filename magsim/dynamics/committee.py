"""Several models of the same field: their mean, and how far they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from magsim.dynamics.effective_field import EffectiveField, LearnedField
from magsim.lattice import Lattice


class CommitteeField(EffectiveField):
    """Mean energy and mean transverse field of ``M`` models trained from different seeds.

    The mean errs less than its members wherever their errors are not all the same, and their spread tells
    where: a model that has learned a state gives the same torques from any seed. The spread sees only the
    part of the error that training leaves to chance. What all members miss alike (spins beyond their radius)
    it does not see, so it is a scale of the error only after a calibration.

    Args:
        members: at least two fields of the same number of sites.

    Raises:
        ValueError: fewer than two members, or of different lattices.
    """

    name = "committee"

    def __init__(self, members: Sequence[LearnedField]) -> None:
        if len(members) < 2:
            raise ValueError(f"a committee needs at least two members, not {len(members)}.")
        sizes = sorted({member.n_sites for member in members})
        if len(sizes) > 1:
            raise ValueError(f"members on different lattices make no committee ({sizes} sites).")
        self.members = tuple(members)
        self.n_sites = members[0].n_sites
        self.conservative = all(member.conservative for member in members)
        self.torque_scale = max(member.torque_scale for member in members)
        self.takes_voltage = all(member.takes_voltage for member in members)
        self.steady = all(member.steady for member in members)

    @property
    def lattice(self) -> Lattice:
        """That the members are bound to."""
        return self.members[0].lattice

    @property
    def device(self) -> torch.device:
        """Where the members are."""
        return self.members[0].device

    def bind(self, lattice: Lattice) -> None:
        """Use the members on another size (or boundary) of the same crystal from now on."""
        for member in self.members:
            member.bind(lattice)
        self.n_sites = lattice.n_sites

    def set_voltage(self, voltage: float | np.ndarray) -> None:
        super().set_voltage(voltage)
        for member in self.members:
            member.set_voltage(voltage)

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        energy, field = self.members[0].evaluate(spins)
        for member in self.members[1:]:
            more_energy, more_field = member.evaluate(spins)
            energy, field = energy + more_energy, field + more_field
        return energy / len(self.members), field / len(self.members)

    def spread(self, spins: Any) -> Any:
        """Standard deviation over members of the transverse field at each site, ``(..., N)``, in units of
        the hopping; see :func:`spread_of`."""
        _, fields = self.members_evaluate(spins)
        return spread_of(fields)

    def members_evaluate(self, spins: Any) -> tuple[Any, Any]:
        """Energies ``(M, ...)`` and transverse fields ``(M, ..., N, 3)`` of the members."""
        answers = [member(spins) for member in self.members]
        stack: Any = torch.stack if isinstance(spins, torch.Tensor) else np.stack
        energies, fields = zip(*answers, strict=True)
        return stack(energies), stack(fields)


def spread_of(fields: Any) -> Any:
    """``s_i = sqrt[ sum_m |F_mi - <F_i>|^2 / (2 (M - 1)) ]`` of transverse fields ``(M, ..., N, 3)``.

    ``s^2`` is the unbiased estimate of the variance over seeds, averaged over the two components of the
    plane perpendicular to the spin. It has the scale of one such component, as has the error
    ``|dF_i| / sqrt(2)`` that it is compared with; an error per Cartesian component is ``sqrt(2/3)`` of it.

    Returns:
        ``(..., N)``.
    """
    deviation = fields - fields.mean(0)
    return ((deviation * deviation).sum(-1).sum(0) / (2 * (len(fields) - 1))) ** 0.5
