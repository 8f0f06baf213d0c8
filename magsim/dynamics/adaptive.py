"""Steps cut into as many as an error allows, at T = 0."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.llg import largest_torque
from magsim.dynamics.share import Share
from magsim.errors import ConfigError, RunError

SAFETY, GROWTH, SHRINKAGE = 0.9, 2.0, 0.2
SHORTEST = 1e-6  # of dt


def adaptive_step(
    field: FieldFunction, integrator: Integrator, spins: Tensor, force: Tensor, share: Share
) -> Tensor:
    """Advance every replica by ``integrator.step_size`` in parts whose lengths h follow from their errors.

    Each part is done once in one step and once in two of h/2. For a method of order p the second result S''
    is off by

        e = max |S'' - S'| / (2^p - 1) ,

    over all spin components; it is taken if ``e <= integrator.tolerance h``, so that errors add up to about
    ``tolerance`` for each unit of time, and the next h is ``0.9 h (tolerance h/e)^(1/p)``, at most doubled
    (Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, doi:10.1007/978-3-540-78862-1,
    sec. II.4). The first h comes from the torque. All of it depends on the spins alone: a run continues bit
    by bit, each replica moves as it would alone, and states lie at multiples of dt. A GPU has to wait for
    every part.

    Raises:
        RunError: a part shorter than 1e-6 dt is not good enough.
    """
    return torch.cat(
        [_advance(field, integrator, spins[r : r + 1], force[r : r + 1], share) for r in range(len(spins))]
    )


def _advance(
    field: FieldFunction, integrator: Integrator, spins: Tensor, force: Tensor, share: Share
) -> Tensor:
    """The same for one replica."""
    tolerance, left = float(integrator.tolerance or 0.0), integrator.step_size
    h = min(left, _first(integrator, spins, force, share))
    while True:
        parts = math.ceil(left / h)
        h = left / parts
        whole, half = replace(integrator, dt=h), replace(integrator, dt=h / 2)
        coarse = whole.step(field, spins, force)
        fine = half.step(field, spins, force)
        fine = half.step(field, fine, field(fine)[1])
        error = share.largest(float((fine - coarse).abs().max())) / (2**integrator.order - 1)
        if error <= tolerance * h:
            if parts == 1:
                return fine
            spins, left = fine, left - h
            force = field(spins)[1]
        elif h < SHORTEST * integrator.step_size:
            raise RunError(
                f"integrator.tolerance={tolerance:g} is not reached with a step of {h:.1e} "
                f"(error {error:.1e}): the field is too rough, or the tolerance below its rounding."
            )
        gain = (tolerance * h / error) ** (1 / integrator.order) if error > 0 else math.inf
        h *= min(GROWTH, max(SHRINKAGE, SAFETY * gain)) if math.isfinite(error) else SHRINKAGE


def _first(integrator: Integrator, spins: Tensor, force: Tensor, share: Share) -> float:
    """As :func:`magsim.dynamics.suggest_timestep`, for the error that is allowed in dt."""
    torque = share.largest(float(largest_torque(spins, force).max()))
    error = float(integrator.tolerance or 0.0) * integrator.step_size
    angle = (integrator.error_constant * error) ** (1 / (integrator.order + 1))
    return angle / (math.hypot(1.0, integrator.alpha) * max(torque, 1e-12))


def check_bath(integrator: Integrator, warmest: float) -> None:
    """Raise ConfigError for adaptive steps in a bath, whose noise belongs to steps of one length."""
    if integrator.tolerance is not None and warmest > 0:
        raise ConfigError(
            "integrator.tolerance", integrator.tolerance, "adaptive steps are for T = 0; null in a bath."
        )
