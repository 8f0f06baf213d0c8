"""The Landau-Lifshitz-Gilbert equation in the form that every integrator uses."""

from __future__ import annotations

import torch
from torch import Tensor

LONG = 1024  # sites from which a CPU is faster on one long vector for each spin component


def component_major(vectors: Tensor) -> Tensor:
    """The same ``(..., N, 3)``, for large N in the memory order x of all sites, then y, then z of all.

    Elementwise operations keep the order of their inputs, so a run that starts in this order stays in it.
    """
    if vectors.shape[-2] < LONG:
        return vectors.contiguous()
    return vectors.transpose(-1, -2).contiguous().transpose(-1, -2)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """``a x b`` of ``(..., N, 3)``; comes out component-major for large N."""
    if a.device.type != "cpu" or a.shape[-2] < LONG:
        return torch.linalg.cross(a, b)
    a0, a1, a2 = a.unbind(-1)
    b0, b1, b2 = b.unbind(-1)
    return torch.stack((a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0), -2).transpose(-1, -2)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """``a . b`` of ``(..., N, 3)``, shape ``(..., N, 1)``."""
    return (a * b).sum(-1, keepdim=True)


def rate(spins: Tensor, field: Tensor, alpha: float, sense: int) -> Tensor:
    """The time derivative

        dS/dt = s S x F - alpha S x (S x F) = S x (s F - alpha S x F)

    for unit ``spins`` and ``field`` ``(..., N, 3)``; time in units of 1/hopping (hbar = 1, spin length
    absorbed). Computed as ``s S x F + alpha F_perp``; the longitudinal part of F drops out, so that only the
    torque sets the time step.

    Args:
        alpha: damping.
        sense: s, +1 (conserves the total spin of spins and electrons) or -1 (the sign of the published
            codes).
    """
    return sense * cross(spins, field) + alpha * perpendicular(spins, field)


def rotation_vector(spins: Tensor, field: Tensor, alpha: float, sense: int) -> Tensor:
    """``A = s F_perp - alpha S x F`` with ``dS/dt = S x A``; A is transverse to the unit ``spins``.

    For integrators that rotate about A. The longitudinal part of F drops out of ``S x A`` but not out of a
    rotation by a finite angle, and it is an order of magnitude larger than the torque: it is projected out
    here.
    """
    return sense * perpendicular(spins, field) - alpha * cross(spins, field)


def perpendicular(spins: Tensor, field: Tensor) -> Tensor:
    """``F_perp = -S x (S x F) = F - (F.S) S`` for unit ``spins``."""
    return field - dot(field, spins) * spins


def largest_torque(spins: Tensor, field: Tensor) -> Tensor:
    """``max_i |S_i x F_i|`` ``(...)`` of ``spins`` and ``field`` ``(..., N, 3)``."""
    return cross(spins, field).norm(dim=-1).amax(dim=-1)
