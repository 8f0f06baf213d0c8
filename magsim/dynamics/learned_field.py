"""Trained fields from disk."""

from __future__ import annotations

from pathlib import Path

import torch

from magsim.dynamics.effective_field import LearnedField
from magsim.lattice import Lattice
from magsim.learning.checkpoint import load_model


def load_field(
    source: str | Path,
    lattice: Lattice | None = None,
    shape: tuple[int, ...] | None = None,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
) -> LearnedField:
    """A trained effective field; needs neither Hydra nor Lightning.

    Args:
        source: run folder of a training, or a ``model.ckpt``.
        lattice: where to use it; must be of the kind it was trained on. Default: the lattice of the training.
        shape: only another size of the training's lattice.
        device: ``cpu`` or ``cuda``.
        dtype: precision of the network; default: that of the training.

    Returns:
        ``energy, field = f(spins)`` for ``spins`` ``(..., N, 3)``, arrays or tensors.

    Raises:
        ConfigError: no checkpoint there, another kind of lattice, or one smaller than twice the cutoff.
        DataError: a corrupt checkpoint.
    """
    model = load_model(source, lattice, dtype)
    if shape is not None:
        model.bind(model.lattice.with_shape(shape))
    return LearnedField(model.requires_grad_(False).to(device), conservative=model.conservative)
