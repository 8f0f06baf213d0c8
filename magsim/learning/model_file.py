"""The file of a trained model: tensors by name and one JSON text, in the safetensors format.

The format (a length, a JSON header, raw little-endian numbers) is simple enough to be read without any
library, and holds no code. Checkpoints of a training in progress are Lightning's and are read too.
Source: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from magsim.errors import DataError

ENTRY = "magsim"  # the metadata that hold the facts
ZIP = b"PK"  # how files of torch.save begin


def weights_hash(weights: Mapping[str, torch.Tensor]) -> str:
    """sha256 of weights and statistics, whatever their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_model_file(path: str | Path, weights: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write a model file in one step: a killed process leaves the old file or the new one."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    # clones, since the format refuses tensors that share memory
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    partial.write_bytes(save(tensors, {ENTRY: json.dumps(facts)}))  # save_file makes it unreadable for others
    os.replace(partial, path)


def read_facts(path: str | Path) -> dict[str, Any]:
    """The facts alone of a model file, without its weights.

    Raises:
        DataError: not a model file, or corrupt.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataError(path, f"not a readable model file ({type(error).__name__}: {error}).") from error
    if ENTRY not in metadata:
        raise DataError(path, f"not a magsim model: its metadata lack the entry '{ENTRY}'.")
    try:
        facts = json.loads(metadata[ENTRY])
    except json.JSONDecodeError as error:
        raise DataError(path, f"its metadata '{ENTRY}' are no JSON.") from error
    if not isinstance(facts, dict):
        raise DataError(path, f"its metadata '{ENTRY}' are no JSON object.")
    return facts


def read_model_file(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and facts of a model file, or of a checkpoint of Lightning.

    Raises:
        DataError: neither of the two, or corrupt.
    """
    with open(path, "rb") as file:
        if file.read(2) == ZIP:
            return _lightning(Path(path))
    facts = read_facts(path)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    if facts.get("hash") != weights_hash(weights):
        raise DataError(path, "its weights are not those that were saved: their hash is another.")
    return weights, facts


def _lightning(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch errors: each means the same to the user
        raise DataError(path, f"not a readable checkpoint ({type(error).__name__}).") from error
    facts = content.get(ENTRY) if isinstance(content, dict) else None
    if not isinstance(facts, dict) or not isinstance(content.get("state_dict"), dict):
        raise DataError(path, f"not a magsim checkpoint: it lacks the entry '{ENTRY}' or 'state_dict'.")
    weights = content["state_dict"].items()
    return {k.removeprefix("model."): v for k, v in weights if k.startswith("model.")}, facts
