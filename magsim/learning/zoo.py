"""The zoo: small trained fields that come with the package, and what is known of them.

``magsim/zoo`` holds a model file for each and ``manifest.json``, both written by ``task=export
task.zoo=NAME`` from a run's own files. Reading the manifest imports nothing heavy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from magsim.errors import DataError

FOLDER = Path(__file__).resolve().parents[1] / "zoo"
MANIFEST = "manifest.json"
LARGEST = 1_000_000  # bytes of one model file
MODEL_FILE = "model.safetensors"  # in the folder of a run
LONGEST_HEAD = 10_000_000  # bytes


def zoo_models() -> dict[str, dict[str, Any]]:
    """The models of the zoo by name: lattice, Hamiltonian, recipe, data with source and licence, and errors.

    ``errors`` is a list of measurements: on which data, by which command, and the metrics, of which
    ``all/torque_error`` is the transverse rmse over the transverse rms.

    Raises:
        DataError: the manifest cannot be read.
    """
    path = FOLDER / MANIFEST
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise DataError(path, f"not a readable manifest ({type(error).__name__}).") from error


def zoo_file(name: str) -> Path | None:
    """The file of a model of the zoo; None where there is no model of this name."""
    entry = zoo_models().get(name)
    return None if entry is None else FOLDER / entry["file"]


def trained_lattice(source: str) -> str | None:
    """The kind of lattice that a model of the zoo, a model file or the run folder of a training is for, read
    from the head of the file without torch; None where that is not told: whoever loads it says why."""
    path = zoo_file(source) or Path(source).expanduser()
    path = path / MODEL_FILE if path.is_dir() else path
    try:
        with path.open("rb") as file:
            # safetensors: the length of a JSON header, the header, numbers
            length = int.from_bytes(file.read(8), "little")
            metadata = json.loads(file.read(min(length, LONGEST_HEAD)))["__metadata__"]
        return str(json.loads(metadata["magsim"])["lattice"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def where_models_lie() -> str:
    """What may be given as the source of a trained field, as the end of a sentence."""
    names = ", ".join(zoo_models())
    zoo = f"the zoo has {names}" if names else "the zoo is empty"
    return f"give the folder of a training, a model file or the name of a zoo model ({zoo})."
