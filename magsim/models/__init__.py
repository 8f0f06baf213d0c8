"""Trainable fields: spins -> (energy, field), most of them a sum of site energies of invariants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from magsim.descriptors import DESCRIPTORS
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.models.base import Model
from magsim.models.bp import BehlerParrinello
from magsim.models.energy import EnergyModel
from magsim.models.equivariant import EquivariantModel
from magsim.models.linear import LinearModel

# Name of the option -> model; called with the descriptor and the keys of the option.
MODELS: dict[str, Callable[..., Model]] = {
    "bp": BehlerParrinello,
    "equivariant": EquivariantModel,
    "linear": LinearModel,
}


def build_model(lattice: Lattice, descriptor: Mapping[str, Any], model: Mapping[str, Any]) -> Model:
    """An untrained model.

    Args:
        lattice: its crystal and size.
        descriptor: ``name``, one of ``DESCRIPTORS``, and the keys of that option.
        model: ``name``, one of ``MODELS``, and the keys of that option.

    Raises:
        ConfigError: an unknown name, or a cutoff that the lattice is too small for.
    """
    options, keys = dict(descriptor), dict(model)
    kind, name = options.pop("name"), keys.pop("name")
    if kind not in DESCRIPTORS:
        raise ConfigError("descriptor.name", kind, f"known descriptors are {', '.join(DESCRIPTORS)}.")
    if name not in MODELS:
        raise ConfigError("model.name", name, f"known models are {', '.join(MODELS)}.")
    return MODELS[name](DESCRIPTORS[kind](lattice, **options), **keys)


__all__ = [
    "MODELS",
    "BehlerParrinello",
    "EnergyModel",
    "EquivariantModel",
    "LinearModel",
    "Model",
    "build_model",
]
