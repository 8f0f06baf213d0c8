"""Floors that ``task=locality`` measured, kept for the pages of trained models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.lattice import Lattice
from magsim.report.page import Section, Table
from magsim.runs import outputs_root, read_json, write_json
from magsim.tasks.build import plain

TOLERANCE = 1e-6


def lattice_facts(lattice: Lattice) -> dict[str, Any]:
    """What identifies a lattice, in JSON types."""
    return {"name": lattice.name, "shape": list(lattice.shape), "boundary": list(lattice.boundary)}


def floor_file(lattice: Mapping[str, Any], hamiltonian: Mapping[str, Any]) -> Path:
    """``outputs/locality/<key>.json``; the key is that of lattice and Hamiltonian, whoever solved it."""
    numbers = {key: _number(value) for key, value in hamiltonian.items()}
    text = json.dumps({"lattice": dict(lattice), "hamiltonian": numbers}, sort_keys=True)
    return outputs_root() / "locality" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _number(value: Any) -> Any:
    """1 and 1.0 are the same hopping."""
    if isinstance(value, list | tuple):
        return [_number(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def remember(content: Mapping[str, Any]) -> Path:
    """Store what ``locality.json`` holds; what was measured earlier of other kinds of state, temperatures and
    textures stays."""
    path = floor_file(content["lattice"], content["hamiltonian"])
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = read_json(path)["states"] if path.is_file() else {}
    states = {_name(kind, found): found for kind, found in content["states"].items()}
    write_json(path, {**content, "states": {**earlier, **states}})
    return path


def _name(kind: str, found: Mapping[str, Any]) -> str:
    if "temperature" in found:
        return f"{kind} T={found['temperature']:g}"
    return f"{kind} {found['texture']}" if "texture" in found else kind


def floor_metrics(
    cfg: DictConfig,
    dataset: SpinDataset,
    lattice: Lattice,
    descriptor: Mapping[str, Any],
    model: Mapping[str, Any],
) -> dict[str, float]:
    """``floor/<state>``: smallest relative error that the reach of a model allows, for the kinds of states it
    has been measured for (of several temperatures or textures, the first)."""
    path = floor_file(
        lattice_facts(lattice), dict(dataset.config.get("hamiltonian") or plain(cfg.hamiltonian))
    )
    if not path.is_file():
        return {}
    reach = reach_of(descriptor, model)[-1][1]
    floors: dict[str, float] = {}
    for name, found in read_json(path)["states"].items():
        row = [row for row in found["floors"] if row["radius"] <= reach + TOLERANCE][-1]
        floors.setdefault(f"floor/{name.partition(' ')[0]}", float(row["relative"]))
    return floors


def reach_of(descriptor: Mapping[str, Any], model: Mapping[str, Any]) -> list[tuple[str, float]]:
    """How far a model sees, the reach of its field last: messages of n layers go n cutoffs far, and the
    gradient of site energies sees twice as far as each of them."""
    reach = float(descriptor["cutoff"]) * int(model.get("layers", 1))
    own = model.get("form") in ("sitewise", "direct") and not model["summed_energy"]
    if own or model.get("output") == "torque":
        return [("reach of the field", reach)]
    return [("reach of the site energies", reach), ("reach of the field", 2 * reach)]


def floor_section(
    cfg: DictConfig,
    dataset: SpinDataset,
    lattice: Lattice,
    descriptor: Mapping[str, Any],
    model: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> Section:
    """What nearsightedness allows a model of this reach beside what it reaches, or how to measure it.

    Args:
        cfg: its Hamiltonian counts where the dataset does not know its own.
        dataset: what the model is tested on.
        lattice: of the dataset.
        descriptor, model: nodes of the model; the cutoff, the layers and the output count.
        metrics: errors of the model, ``test/<source>/torque_error``.
    """
    title = "Nearsightedness"
    hamiltonian = dict(dataset.config.get("hamiltonian") or plain(cfg.hamiltonian))
    path = floor_file(lattice_facts(lattice), hamiltonian)
    if descriptor.get("cutoff") is None:
        return Section(title)  # without content: pages leave it out
    if not path.is_file():
        return Section(
            title,
            "The floor that a finite reach sets to the errors of every model has not been measured for this "
            "system; `python run.py task=locality` with the same lattice and hamiltonian measures it.",
        )
    rows = []
    for name, found in read_json(path)["states"].items():
        for what, radius in reach_of(descriptor, model):
            row = [row for row in found["floors"] if row["radius"] <= radius + TOLERANCE][-1]  # 0 is there
            beyond = row is found["floors"][-1] and radius > row["radius"] + TOLERANCE
            note = "at most: no larger radius was measured" if beyond else ""
            # of the model on the same kind of states, if there are any
            error = metrics.get(f"test/{name.partition(' ')[0]}/torque_error")
            rows.append([name, what, row["radius"], row["floor"], row["relative"], error, note])
    text = (
        "Standard deviation of the exact torque of a site when spins beyond R are drawn again "
        "(task=locality): no function of the spins within R has a smaller rmse on such states. The field of "
        "an energy model is the derivative of the site energies of all neighbours and sees twice as far as "
        "each of them: the larger radius is its floor; a model that gives the field itself has one radius."
    )
    columns = ("states", "radius", "R", "floor (t)", "floor / rms torque", "this model, rmse / rms", "")
    return Section(title, text, tables=[Table(columns, rows, f"From `{path.parent.name}/{path.name}`.")])
