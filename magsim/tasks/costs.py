"""The rates of this machine that ``labeler=auto`` chooses by: measured by task=benchmark, kept in outputs."""

from __future__ import annotations

from pathlib import Path

from magsim.errors import DataError
from magsim.labelers import Costs
from magsim.runs import outputs_root, read_json, write_json


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
    except (ValueError, TypeError) as error:
        raise DataError(path, f"{error} Delete the file, or measure anew with task=benchmark.") from error


def store_costs(device: str, costs: Costs) -> None:
    """Keep the rates of a device."""
    path = costs_file()
    known = read_json(path) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**known, device: costs.as_dict()})
