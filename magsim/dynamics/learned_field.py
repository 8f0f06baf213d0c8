"""Trained fields from disk."""

from __future__ import annotations

from pathlib import Path

import torch

from magsim.dynamics.committee import CommitteeField
from magsim.dynamics.effective_field import LearnedField
from magsim.lattice import Lattice
from magsim.learning.checkpoint import load_model
from magsim.learning.committee import Source, committee_facts, find_members


def load_field(
    source: Source,
    lattice: Lattice | None = None,
    shape: tuple[int, ...] | None = None,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
) -> LearnedField | CommitteeField:
    """A trained effective field; needs neither Hydra nor Lightning.

    Args:
        source: run folder of a training, or a ``model.safetensors``; several of them in a list, or the folder
            of a sweep with one training in each job, are the members of a committee.
        lattice: where to use it; must be of the kind it was trained on. Default: the lattice of the training.
        shape: only another size of the training's lattice.
        device: ``cpu`` or ``cuda``.
        dtype: precision of the network; default: that of the training.

    Returns:
        ``energy, field = f(spins)`` for ``spins`` ``(..., N, 3)``, arrays or tensors.

    Raises:
        ConfigError: no checkpoint there, another kind of lattice, or one smaller than twice the cutoff;
            members that learned different things.
        DataError: a corrupt checkpoint.
    """
    files = find_members(source)
    if len(files) > 1:
        committee_facts(files)  # refuses members that do not belong together
        return CommitteeField([_load_one(file, lattice, shape, device, dtype) for file in files])
    return _load_one(files[0], lattice, shape, device, dtype)


def _load_one(
    source: Path,
    lattice: Lattice | None,
    shape: tuple[int, ...] | None,
    device: str,
    dtype: torch.dtype | None,
) -> LearnedField:
    model = load_model(source, lattice, dtype)
    if shape is not None:
        model.bind(model.lattice.with_shape(shape))
    return LearnedField(model.requires_grad_(False).to(device))
