"""Suzuki-Trotter decomposition into sublattices of spins that do not see each other."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from magsim.dynamics.effective_field import ClassicalField
from magsim.dynamics.integrators.base import FieldFunction, Integrator, add
from magsim.dynamics.llg import cross, dot
from magsim.errors import ConfigError
from magsim.spins import normalise


class SuzukiTrotter(Integrator):
    """Sublattices 1..n in turn, the spins of each in the field of all others, which holds still meanwhile,

        S' = e^{A_1 dt/2} ... e^{A_{n-1} dt/2} e^{A_n dt} e^{A_{n-1} dt/2} ... e^{A_1 dt/2} S .

    A spin in a constant field has a closed solution with damping, too (:func:`in_constant_field`). Order 2,
    symmetric in time; without damping every factor conserves the energy, so that the drift is rounding.
    Krech, Bunker and Landau, Comput. Phys. Commun. 111, 1, doi:10.1016/S0010-4655(98)00009-5.

    Only for classical fields that couple pairs of spins (exchange, Dzyaloshinskii-Moriya, Zeeman): the field
    of a spin must not depend on that spin, which rules out electrons, networks and single-ion anisotropy.
    """

    name: ClassVar[str] = "suzuki_trotter"
    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 3  # with two sublattices
    error_constant: ClassVar[float] = 12.0

    def check_field(self, field: FieldFunction) -> None:
        pairwise(field)

    def step(
        self, field: FieldFunction, spins: Tensor, force: Tensor, thermal: Tensor | None = None
    ) -> Tensor:
        hamiltonian = pairwise(field).hamiltonian
        n, colours = hamiltonian.n_colours, hamiltonian.colours_on(spins.device)
        order = [*range(n - 1), *range(n - 1, -1, -1)]
        for k, colour in enumerate(order):
            if k:
                force = field(spins)[1]
            dt = self.step_size if colour == n - 1 else 0.5 * self.step_size
            moved = in_constant_field(spins, add(force, thermal), dt, self.alpha, self.sense)
            spins = torch.where((colours == colour)[:, None], moved, spins)
        return normalise(spins)  # removes rounding only


def pairwise(field: FieldFunction) -> ClassicalField:
    """The field, if it couples pairs of classical spins and nothing else.

    Raises:
        ConfigError: it does not.
    """
    field = getattr(field, "undriven", field)  # a field of the protocol is a Zeeman term
    if isinstance(field, ClassicalField) and not field.hamiltonian.easy_axis:
        return field
    what = "an easy axis" if isinstance(field, ClassicalField) else f"field {getattr(field, 'name', field)}"
    raise ConfigError(
        "integrator.name",
        SuzukiTrotter.name,
        f"is for classical exchange, DM and Zeeman terms alone, not for {what}; sib or midpoint take any.",
    )


def in_constant_field(spins: Tensor, field: Tensor, t: float, alpha: float, sense: int) -> Tensor:
    """The solution of ``dS/dt = s S x B - alpha S x (S x B)`` at time t for constant B.

    S turns about ``b = B/|B|`` by ``-s |B| t``, and ``c = S.b`` goes to ``(c + tanh a)/(1 + c tanh a)`` with
    ``a = alpha |B| t``, while the part perpendicular to b shrinks by ``1/(cosh a + c sinh a)``.
    """
    length = dot(field, field).sqrt()
    b = field / length.clamp_min(torch.finfo(field.dtype).tiny)
    c = dot(spins, b)
    across = spins - c * b
    angle, a = sense * length * t, (alpha * length * t).clamp_max(15.0)  # beyond, tanh a rounds to 1
    turned = angle.cos() * across + angle.sin() * cross(spins, b)
    return ((c + a.tanh()) * b + turned / a.cosh()) / (1 + c * a.tanh())
