"""Trained models on disk: weights, statistics, what builds the model again; no pickled classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from magsim.descriptors import DESCRIPTORS
from magsim.errors import ConfigError, DataError
from magsim.lattice import Lattice, make_lattice
from magsim.learning.model_file import read_model_file, weights_hash, write_model_file
from magsim.learning.zoo import MODEL_FILE, where_models_lie, zoo_file
from magsim.models import MODELS, Model, build_model

FORMAT_VERSION = 1


def model_facts(
    lattice: Lattice, descriptor: Mapping[str, Any], model: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """What a checkpoint stores beside the weights (plain types only)."""
    kind = {"name": lattice.name, "shape": list(lattice.shape), "boundary": list(lattice.boundary)}
    return {
        "format_version": FORMAT_VERSION,
        "lattice": kind,
        "descriptor": dict(descriptor),
        "model": dict(model),
        **more,
    }


def find_checkpoint(source: str | Path) -> Path:
    """The file that a name or path means: a model of the zoo, a file, or the model (else the best one so far)
    of a run folder. A path that is called like a model of the zoo is written ``./name``.

    Raises:
        ConfigError: nothing there.
    """
    named = zoo_file(source) if isinstance(source, str) else None
    if named is not None:
        return named
    path = Path(source).expanduser()
    if path.is_file():
        return path
    for name in (MODEL_FILE, "model.ckpt", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        if (path / name).is_file():
            return path / name
    what = f"has no {MODEL_FILE}" if path.is_dir() else "does not exist"
    raise ConfigError("checkpoint", str(source), f"{what}; {where_models_lie()}")


def load_checkpoint(source: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and facts of a model file, a checkpoint of Lightning or a run folder.

    Raises:
        ConfigError: no such file.
        DataError: not a checkpoint of this program, or corrupt.
    """
    path = find_checkpoint(source)
    weights, facts = read_model_file(path)
    version = facts.get("format_version")
    if version != FORMAT_VERSION:
        raise DataError(path, f"format_version is {version}, this program reads {FORMAT_VERSION}.")
    return weights, facts


def load_model(source: str | Path, lattice: Lattice | None = None, dtype: torch.dtype | None = None) -> Model:
    """A trained model, bound to a lattice (default: the one it was trained on), in evaluation mode.

    Raises:
        ConfigError: no checkpoint there, or trained on another kind of lattice.
        DataError: a corrupt checkpoint.
    """
    weights, facts = load_checkpoint(source)
    path = find_checkpoint(source)
    missing = [name for name in ("lattice", "descriptor", "model") if name not in facts]
    if missing or "energy_scale" not in weights:
        raise DataError(path, f"it lacks {', '.join(missing) or 'the statistics'}.")
    for part, known in (("descriptor", DESCRIPTORS), ("model", MODELS)):
        name = facts[part].get("name")
        if name not in known:
            raise DataError(path, f"its {part} is {name}; this program knows {', '.join(known)}.")
    trained = make_lattice(**facts["lattice"])
    if lattice is not None and lattice.name != trained.name:
        raise ConfigError(
            "checkpoint",
            str(source),
            f"trained on lattice {trained.name}; lattice.name={lattice.name} does not fit.",
        )
    try:
        model = build_model(lattice or trained, facts["descriptor"], facts["model"], weights=weights)
    except TypeError as error:  # keys of another version of the program
        raise DataError(path, "it describes a model that cannot be built.") from error
    precision = weights["energy_scale"].dtype
    model = model.to(precision)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(path, "its weights do not fit the model it describes.") from error
    return model.to(dtype or precision).eval()


def save_model(path: str | Path, model: Model, facts: Mapping[str, Any]) -> str:
    """Write weights, statistics and facts as one file, in one step; returns the hash of the weights."""
    weights = model.state_dict()
    digest = weights_hash(weights)
    write_model_file(path, weights, {**facts, "hash": digest})
    return digest


def stored_hash(source: str | Path) -> str:
    """Hash of weights and statistics that a model file records."""
    return str(load_checkpoint(source)[1].get("hash", ""))
