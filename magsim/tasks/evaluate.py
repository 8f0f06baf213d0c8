"""task=evaluate: errors of a trained field, or of a committee, on exact labels it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset, snapshot_hashes
from magsim.datasets.split import split_dataset
from magsim.errors import ConfigError, DataError
from magsim.learning.checkpoint import load_model
from magsim.learning.committee import committee_facts, find_members
from magsim.runs import Run
from magsim.tasks.build import torch_device, torch_dtype
from magsim.tasks.data import data_lattice, dataset_for, electrons, tell_difference
from magsim.tasks.training.calibrate import calibrate
from magsim.tasks.training.errors import evaluate
from magsim.tasks.training.page import evaluation_page


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=evaluate checkpoint=...``: the part ``task.split`` of the own data, all of another dataset.

    Of a committee the mean of its members is judged, and their spread calibrated.
    """
    if cfg.checkpoint is None:
        raise ConfigError(
            "checkpoint", None, "task=evaluate needs the run folder of a training, or a checkpoint file."
        )
    facts = committee_facts(cfg.checkpoint)
    dataset = dataset_for(cfg, run)
    lattice = data_lattice(cfg, dataset, run)
    models = [
        load_model(file, lattice, torch_dtype(cfg)).to(torch_device(cfg))
        for file in find_members(cfg.checkpoint)
    ]
    run.parent("model", str(cfg.checkpoint), facts.get("hash", ""))
    tell_difference(run, facts.get("hamiltonian", {}), electrons(cfg, dataset, run), "the model was trained")
    index = chosen(cfg, dataset, facts, run)
    result = evaluate(cfg, run, models, dataset, index)
    metrics, more = dict(result.metrics), []
    if result.members is not None:
        known, section = calibrate(run, dataset, index, result.members, facts["hash"])
        metrics |= known
        more.append(section)
    evaluation_page(cfg, run, dataset, result, lattice, facts, more)
    return metrics


def chosen(cfg: DictConfig, dataset: SpinDataset, facts: Mapping[str, Any], run: Run) -> np.ndarray:
    """Snapshots to evaluate: a part of the training's own dataset (as it was split); of any other dataset
    all that the training has not seen, told by the digests in the checkpoint.

    Raises:
        DataError: there are none.
    """
    index = _chosen(cfg, dataset, facts, run)
    if not len(index):
        raise DataError(
            dataset.path, f"the training of this model has left no snapshots for task.split={cfg.task.split}."
        )
    return index


def _chosen(cfg: DictConfig, dataset: SpinDataset, facts: Mapping[str, Any], run: Run) -> np.ndarray:
    if cfg.task.split == "all":
        run.say(f"  all {len(dataset)} snapshots, those of the training included")
        return np.arange(len(dataset))
    if facts.get("dataset") == dataset.content_hash and "split" in facts:
        return getattr(split_dataset(dataset, **facts["split"]), cfg.task.split)
    new = np.flatnonzero(~np.isin(snapshot_hashes(dataset.spins), facts.get("seen", [])))
    known = len(dataset) - len(new)
    run.say(
        f"  {len(new)} snapshots of a dataset that the model was not trained on"
        + (f"; {known} more are left out, they were in its training" if known else "")
    )
    return new
