"""Trainable fields: spins -> (energy, field), most of them a sum of site energies of invariants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from magsim.descriptors import DESCRIPTORS
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.models.base import Model
from magsim.models.bp import BehlerParrinello
from magsim.models.energy import EnergyModel
from magsim.models.equivariant import EquivariantModel
from magsim.models.linear import LinearModel
from magsim.models.potential import FORMS, PotentialModel

# Name of the option -> model; called with the descriptor and the keys of the option.
MODELS: dict[str, Callable[..., Model]] = {
    "bp": BehlerParrinello,
    "equivariant": EquivariantModel,
    "linear": LinearModel,
    "potential": PotentialModel,
}


def build_model(
    lattice: Lattice,
    descriptor: Mapping[str, Any],
    model: Mapping[str, Any],
    spins: Tensor | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Model:
    """An untrained model.

    Args:
        lattice: its crystal and size.
        descriptor: ``name``, one of ``DESCRIPTORS``, and the keys of that option.
        model: ``name``, one of ``MODELS``, and the keys of that option.
        spins: ``(B, N, 3)`` of the training, where its shape depends on them (``descriptor.prune``).
        weights: that will be loaded into the model; its shape is theirs.

    Raises:
        ConfigError: an unknown name, or a cutoff that the lattice is too small for.
    """
    options, keys = dict(descriptor), dict(model)
    kind, name = options.pop("name"), keys.pop("name")
    if kind not in DESCRIPTORS:
        raise ConfigError("descriptor.name", kind, f"known descriptors are {', '.join(DESCRIPTORS)}.")
    if name not in MODELS:
        raise ConfigError("model.name", name, f"known models are {', '.join(MODELS)}.")
    described = DESCRIPTORS[kind](lattice, **options)
    if weights is None:
        described.prepare(spins)
    else:
        start = "descriptor."
        own = {key.removeprefix(start): value for key, value in weights.items() if key.startswith(start)}
        described.restore(own)
    return MODELS[name](described, **keys)


__all__ = [
    "FORMS",
    "MODELS",
    "BehlerParrinello",
    "EnergyModel",
    "EquivariantModel",
    "LinearModel",
    "Model",
    "PotentialModel",
    "build_model",
]
