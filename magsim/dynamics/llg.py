"""The Landau-Lifshitz-Gilbert equation in the form that every integrator uses."""

from __future__ import annotations

import torch
from torch import Tensor

cross = torch.linalg.cross


def rate(spins: Tensor, field: Tensor, alpha: float, sense: int) -> Tensor:
    """The time derivative

        dS/dt = s S x F - alpha S x (S x F) = S x (s F - alpha S x F)

    for unit ``spins`` and ``field`` ``(..., N, 3)``; time in units of 1/hopping (hbar = 1, spin length
    absorbed).

    The first cross product removes the longitudinal part of F, so that only the torque sets the time step.

    Args:
        alpha: damping.
        sense: s, +1 (conserves the total spin of spins and electrons) or -1 (the sign of the published
            codes).
    """
    torque = cross(spins, field)
    return sense * torque - alpha * cross(spins, torque)


def rotation_vector(spins: Tensor, field: Tensor, alpha: float, sense: int) -> Tensor:
    """``A = s F_perp - alpha S x F`` with ``dS/dt = S x A``, ``F_perp = -S x (S x F)``; A is transverse to
    ``spins``.

    For integrators that rotate about A. The longitudinal part of F drops out of ``S x A`` but not out of a
    rotation by a finite angle, and it is an order of magnitude larger than the torque: it is projected out
    here.
    """
    torque = cross(spins, field)
    return -sense * cross(spins, torque) - alpha * torque


def largest_torque(spins: Tensor, field: Tensor) -> Tensor:
    """``max_i |S_i x F_i|`` ``(...)`` of ``spins`` and ``field`` ``(..., N, 3)``."""
    return cross(spins, field).norm(dim=-1).amax(dim=-1)
