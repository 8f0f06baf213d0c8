"""The rates of this machine that ``labeler=auto`` chooses by: measured by task=benchmark, kept in outputs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from magsim.errors import DataError
from magsim.labelers import Costs
from magsim.runs import outputs_root, read_json, write_json

REMEDY = "delete the file, or measure anew with task=benchmark."


def costs_file() -> Path:
    """Where the rates are kept, by device."""
    return outputs_root() / "costs.json"


def load_costs(device: str) -> Costs:
    """The measured rates of a device, else the defaults.

    Raises:
        DataError: the file cannot be read.
    """
    path = costs_file()
    if not path.exists():
        return Costs()
    try:
        return Costs.from_dict(read_json(path).get(device, {}))
    except DataError as error:
        raise DataError(path, f"{error.problem}; {REMEDY}") from error
    except ValueError as error:
        raise DataError(path, f"{error} {REMEDY.capitalize()}") from error


def store_costs(device: str, costs: Costs) -> None:
    """Keep the rates of a device; a file that cannot be read is replaced."""
    path = costs_file()
    known: dict[str, Any] = {}
    if path.exists():
        with suppress(DataError):
            known = read_json(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**known, device: costs.as_dict()})
