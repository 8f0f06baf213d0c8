"""Export a trained field: one file with its history, packages that run without this program, the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from magsim.datasets.dataset import snapshot_hashes
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError
from magsim.learning.checkpoint import find_checkpoint, load_checkpoint, load_model
from magsim.learning.model_file import weights_hash, write_model_file
from magsim.models import Model
from magsim.runs import Run
from magsim.tasks.build import torch_device, torch_dtype
from magsim.tasks.data import data_lattice, paths
from magsim.tasks.training.errors import evaluate
from magsim.tasks.training.origin import described, errors_among, history, licensed, measured

SUFFIXES = {"safetensors": ".safetensors", "pt2": ".pt2", "aoti": ".aoti.pt2"}


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=export checkpoint=RUN output=FILE``: the file, and what else ``task.formats`` asks for.

    Returns:
        where the files lie and how large they are, and the errors on ``data.path``.
    """
    source = find_checkpoint(cfg.checkpoint)
    weights, facts = load_checkpoint(source)
    run.parent("model", source, facts.get("hash", ""))
    run.headline("Export")
    facts = facts | _history(cfg, run, source, facts)
    metrics: dict[str, Any] = {}
    target = _target(cfg, run)
    written = {"safetensors": target}
    if cfg.task.weights == "float16":
        weights = rounded(weights, load_model(source))
        facts["hash"] = weights_hash(weights)
        source = target  # what is measured from here on are these weights
        write_model_file(target, weights, facts)
    for data in paths(cfg.data.path) if cfg.data.path else ():
        metrics = _measure(cfg, run, source, facts, data)
    write_model_file(target, weights, facts)
    if set(cfg.task.formats) - {"safetensors"}:
        written |= _packages(cfg, run, source, facts, target)
    if cfg.task.zoo is not None:
        from magsim.tasks.training.zoo import add_to_zoo

        written["zoo"] = add_to_zoo(str(cfg.task.zoo), target, facts)
    for kind, path in written.items():
        run.say(f"  {kind}: {path} ({path.stat().st_size / 1000:.0f} kB)")
        metrics[f"export/{kind}_bytes"] = path.stat().st_size
    run.artifact("model", target, facts["hash"])
    return metrics


def rounded(weights: Mapping[str, Tensor], model: Model) -> dict[str, Tensor]:
    """The learned weights of a model in float16, half the size. Statistics and the transforms that make
    invariants stay as they are, so that every symmetry stays exact."""
    learned = {name for name, _ in model.named_parameters()}
    return {name: x.half() if name in learned else x for name, x in weights.items()}


def _target(cfg: DictConfig, run: Run) -> Path:
    """The file that ``output`` names; without it one in the run folder."""
    if cfg.output is None:
        return run.folder / f"{cfg.task.zoo or 'field'}.safetensors"
    path = Path(cfg.output).expanduser().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _history(cfg: DictConfig, run: Run, source: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the run folder around the model file knows; nothing where there is none (but for the zoo)."""
    folder = source.parent
    if not (folder / "status.json").is_file():
        if cfg.task.zoo is not None:
            words = "is not in the folder of a training, whose recipe and errors the zoo needs."
            raise ConfigError("checkpoint", str(cfg.checkpoint), words)
        run.say(f"  {source} lies in no run folder: it is exported with what it knows of itself.")
        return {}
    found = history(folder)
    found["data"] |= licensed(found["data"], cfg.task.source)
    runs = [Path(path).expanduser() for path in cfg.task.measured] or [folder]
    errors = []
    for path in runs:
        try:
            errors.append(measured(path, facts))
        except ConfigError as error:  # of the run itself nothing is asked: a final fit holds nothing out
            if cfg.task.measured:
                raise
            run.say(f"  no errors of the training itself: {error.allowed}")
    return found | {"errors": errors}


def _measure(cfg: DictConfig, run: Run, source: Path, facts: dict[str, Any], path: str) -> dict[str, Any]:
    """Errors of these weights on all snapshots of a file, and how many of them they were fitted to."""
    dataset = open_dataset(path)
    model = load_model(source, data_lattice(cfg, dataset), torch_dtype(cfg)).to(torch_device(cfg))
    untimed = cast(DictConfig, OmegaConf.merge(cfg, {"compute": {"cost_seconds": 0}}))
    result = evaluate(untimed, run, [model], dataset, np.arange(len(dataset)))
    known = int(np.isin(snapshot_hashes(dataset.spins), facts.get("seen", [])).sum())
    run.say(f"  {known} of these {len(dataset)} snapshots were in the training")
    record = {
        "by": "task=export",
        "weights": facts["hash"],
        "precision": str(cfg.compute.precision),
        "data": {"name": Path(path).name, "content_hash": dataset.content_hash} | described(dataset),
        "in_training": known,
        "metrics": errors_among(result.metrics),
    }
    facts["errors"] = [*facts.get("errors", []), record]
    return dict(result.metrics)


def _packages(
    cfg: DictConfig, run: Run, source: Path, facts: Mapping[str, Any], target: Path
) -> dict[str, Path]:
    """Packages of the function spins -> (energy, field) for one lattice, for torch alone."""
    from magsim.learning.field_package import compiler_is_missing, write_packages

    kinds = [kind for kind in cfg.task.formats if kind != "safetensors"]
    missing = compiler_is_missing() if "aoti" in kinds else None
    if missing:
        run.say(f"  no AOTInductor package: {missing}")
        kinds.remove("aoti")
    if not kinds:
        return {}
    model: Model = load_model(source, dtype=torch_dtype(cfg)).to(torch_device(cfg))
    if cfg.task.shape is not None:
        model.bind(model.lattice.with_shape(tuple(cfg.task.shape)))
    stem = target.with_suffix("")
    known = {key: value for key, value in facts.items() if key != "seen"}
    return write_packages(model, {kind: Path(f"{stem}{SUFFIXES[kind]}") for kind in kinds}, known)
