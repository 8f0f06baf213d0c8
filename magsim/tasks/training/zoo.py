"""Put an exported field into the zoo: its file, and its entry in the manifest from what the file says."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magsim.errors import ConfigError, DataError
from magsim.learning import zoo
from magsim.runs import write_json

KEPT = ("lattice", "hamiltonian", "descriptor", "model", "recipe", "earlier", "program", "data", "errors")


def add_to_zoo(name: str, file: Path, facts: Mapping[str, Any]) -> Path:
    """Copy a model file into ``magsim/zoo`` and write its entry; one of the same name is replaced.

    Raises:
        ConfigError: a name that cannot be one, errors that nothing measured, data of unknown licence.
        DataError: the file is too large.
    """
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
        raise ConfigError("task.zoo", name, "must be small letters, digits and _.")
    if not facts.get("errors"):
        words = (
            "nothing has measured its errors: name runs that did with task.measured, or data with data.path."
        )
        raise ConfigError("task.zoo", name, words)
    if "source" not in facts["data"]:
        words = "the program does not know the data of this model; give [source,licence]."
        raise ConfigError("task.source", "null", words)
    size = file.stat().st_size
    if size > zoo.LARGEST:
        raise DataError(file, f"has {size} bytes; a zoo model has at most {zoo.LARGEST}.")
    target = zoo.FOLDER / f"{name}.safetensors"
    zoo.FOLDER.mkdir(exist_ok=True)
    if target != file:
        shutil.copyfile(file, target)
    entry = {
        "file": target.name,
        "bytes": size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "weights": facts["hash"],
        **{key: facts[key] for key in KEPT if key in facts},
    }
    entries = zoo.zoo_models() | {name: entry}
    write_json(zoo.FOLDER / zoo.MANIFEST, dict(sorted(entries.items())))
    return target
