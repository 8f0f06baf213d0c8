"""Losses on the field."""

from __future__ import annotations

import torch
from torch import Tensor

from magsim.spins import transverse


def snapshot_weights(
    field: Tensor, spins: Tensor, floor: float | None, training: Tensor | None = None
) -> Tensor:
    """Weights ``(B,)`` that make late, nearly ordered snapshots count,

        w = 1 / (rms^2 + floor^2 rms_all^2) ,

    with the rms transverse field of the snapshot and of all training snapshots. Errors count relative to the
    torques of their own snapshot until these fall below the fraction ``floor`` of the typical one.
    ``floor=None``: equal weights ``1/rms_all^2``.

    Args:
        field, spins: ``(B, N, 3)``.
        floor: see above.
        training: indices of the training snapshots; None: all.
    """
    square = transverse(field, spins).pow(2).mean(dim=(1, 2))
    overall = (square if training is None else square[training]).mean()
    if floor is None:
        return torch.full_like(square, 1.0) / overall
    return 1.0 / (square + floor**2 * overall)


def energy_loss(predicted: Tensor, exact: Tensor, spread: float) -> Tensor:
    """``sum_b (d_b - <d>)^2 / (B - 1)`` with ``d = (E' - E) / spread``, of total energies ``(B,)``.

    Energies are compared within a batch, which is of one lattice: the constant that no field tells drops out.
    One is what a model without energy differences has, if ``spread`` is the standard deviation of the exact
    ones. A batch of one snapshot says nothing.
    """
    d = (predicted - exact) / spread
    return (d - d.mean()).pow(2).sum() / max(len(d) - 1, 1)


def field_loss(predicted: Tensor, exact: Tensor, spins: Tensor, weights: Tensor, gamma: float) -> Tensor:
    """``sum_b w_b [gamma MSE(S x F) + (1 - gamma) MSE(F)] / B`` of fields ``(B, N, 3)``.

    With ``gamma = 1`` only the torque counts, which is all that a model on the sphere defines (published:
    about 0.99, arXiv:2201.00798). The transverse part has the length of ``S x F``.
    """
    error = predicted - exact
    torque = transverse(error, spins).pow(2).mean(dim=(1, 2))
    loss = torque if gamma == 1.0 else gamma * torque + (1 - gamma) * error.pow(2).mean(dim=(1, 2))
    return (weights * loss).mean()
