"""Where a trained model comes from, by its run folder: recipe, program, data, measured errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError, MagsimError
from magsim.learning.checkpoint import load_checkpoint
from magsim.runs import read_json, read_status

# What says where and how a run was done, not what was done.
INCIDENTAL = ("output", "name", "resume", "debug", "logger", "compute.threads", "compute.workers")
LABELS = ("lattice", "hamiltonian", "classical", "labeler", "sampler", "seed")  # that determine a dataset
ERRORS = ("torque_rmse", "torque_rms", "torque_error", "torque_r2", "energy_rmse", "energy_rmse_centred")

# Published data as they were repacked and their excerpts in tests/data: content hash -> source, licence.
KONDO = ("github.com/Miyazaki-Yu/ecnn4klm", "MIT, (c) 2023 Yu Miyazaki")
EXCHANGE = ("github.com/zhangpuhan/ML_double_exchange", "MIT, (c) 2021 Puhan Zhang")
PUBLISHED = {
    "d75f4da102bf52e604bd747139c0de0a128aaa23b0e71a6ad9059abdeb27554f": KONDO,
    "aef9cbca02bdff66efcb81034b26104638adb5b0d727139486bcd06b4d4a1914": KONDO,
    "c430f058ed1467f4de5f4aad5d2ba3445533a9bca89a0b875f7ed5ec2826784d": EXCHANGE,
    "d673d3496d685ade667326a86149001db04f3f9bfe7242c2f565c87704d50080": EXCHANGE,
}
OWN = ("labelled by this program, task=label with the keys in labels", "MIT")


def recipe(folder: Path) -> str:
    """The command of a run, without what is incidental and with the names of files alone."""
    words = [str(word) for word in OmegaConf.load(folder / "overrides.yaml")]
    kept = [_portable(word) for word in words if not _incidental(word.partition("=")[0].lstrip("+~"))]
    return " ".join(["python run.py", *kept])


def earlier(folder: Path) -> list[str]:
    """Recipes of the trainings that a training went on from (``trainer.start``), the first one first."""
    words = dict(str(word).partition("=")[::2] for word in OmegaConf.load(folder / "overrides.yaml"))
    start = Path(words.get("trainer.start") or "null")
    start = start.parent if start.is_file() else start
    if not (start / "overrides.yaml").is_file():
        return []
    return [*earlier(start), f"{recipe(start)} output={start.name}"]


def _incidental(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in INCIDENTAL)


def _portable(word: str) -> str:
    key, equals, value = word.partition("=")
    if not value.startswith("["):
        return f"{key}{equals}{Path(value).name}" if "/" in value else word
    names = [Path(item).name if "/" in item else item for item in value.strip("[]").split(",")]
    return f"{key}{equals}[{','.join(names)}]"


def history(folder: Path) -> dict[str, Any]:
    """Recipe and program of a run, the name of its data, and their description where they still lie there.

    Raises:
        ConfigError: not the folder of a finished run.
    """
    if not (folder / "status.json").is_file():
        raise ConfigError("checkpoint", str(folder), "is not a run folder: there is no status.json in it.")
    if read_status(folder)["status"] != "done":
        raise ConfigError("checkpoint", str(folder), "this run is not done.")
    made = read_json(folder / "provenance.json")
    git = made.get("git", {})
    program = {name: made["versions"][name] for name in ("magsim", "torch") if name in made["versions"]}
    program |= {key: git[key] for key in ("commit", "dirty") if key in git}
    found = {"recipe": recipe(folder), "program": program, "data": _data(made.get("parents", {}))}
    return found | ({"earlier": earlier(folder)} if earlier(folder) else {})


def _data(parents: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    found = parents.get("dataset")
    if found is None:
        return {}
    path = Path(found["path"])
    facts = {"name": path.name, "content_hash": found["content_hash"]}
    try:
        data = open_dataset(path, learnable=False)
    except MagsimError:  # gone, or no longer what it was
        return facts
    return facts | described(data) if data.content_hash == facts["content_hash"] else facts


def described(data: SpinDataset) -> dict[str, Any]:
    """Size of a dataset and, if this program labelled it, what determines it."""
    facts: dict[str, Any] = {"snapshots": len(data), "sites": data.n_sites}
    if data.config:
        facts["labels"] = {key: data.config[key] for key in LABELS if key in data.config}
    return facts


def licensed(data: Mapping[str, Any], given: Sequence[str] | None) -> dict[str, Any]:
    """Source and licence of data: as given, as published, or this program's own labels; else nothing."""
    known = OWN if "labels" in data else PUBLISHED.get(data.get("content_hash", ""))
    found = given or known
    return {} if found is None else dict(zip(("source", "licence"), found, strict=True))


def measured(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Errors that a run measured: a training's on what it held out, or an evaluation's.

    Args:
        folder: of a finished run of ``task=train`` with the same descriptor and model, or of
            ``task=evaluate`` with the same weights.
        facts: of the model.

    Raises:
        ConfigError: it measured another model, or nothing.
    """
    if not (folder / "status.json").is_file() or read_status(folder)["status"] != "done":
        raise ConfigError("task.measured", str(folder), "is not the folder of a finished run.")
    errors = errors_among(read_json(folder / "metrics.json"))
    if not errors:
        raise ConfigError("task.measured", str(folder), "measured no test errors.")
    parents = read_json(folder / "provenance.json").get("parents", {})
    of = parents.get("model", {}).get("content_hash")
    if of is None:
        theirs = load_checkpoint(folder)[1]
        same = all(theirs.get(key) == facts.get(key) for key in ("descriptor", "model"))
        of = theirs.get("hash")
    else:
        same = of == facts.get("hash")
    if not same:
        raise ConfigError("task.measured", str(folder), "measured the errors of another model.")
    data = parents.get("dataset", {})
    return {
        "by": recipe(folder),
        "weights": of,
        "data": {"name": Path(data.get("path", "")).name, "content_hash": data.get("content_hash")},
        "metrics": errors,
    }


def errors_among(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of torque and energy by source and class of state: ``all/torque_error`` and so on."""
    tests = {key.removeprefix("test/"): value for key, value in metrics.items() if key.startswith("test/")}
    return {key: value for key, value in tests.items() if key.rpartition("/")[2] in ERRORS}
