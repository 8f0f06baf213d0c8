"""From a dataset to a trained model in the run folder: split, fit, load."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset, snapshot_hashes
from magsim.datasets.split import Split, split_dataset
from magsim.errors import ConfigError
from magsim.learning.checkpoint import MODEL_FILE, find_checkpoint, load_checkpoint, load_model, stored_hash
from magsim.models import Model
from magsim.runs import Run
from magsim.tasks.build import torch_device, torch_dtype
from magsim.tasks.data import data_lattice, electrons
from magsim.tasks.training.fitting import fit
from magsim.tasks.training.processes import Lesson


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model with the data it was made from.

    Attributes:
        model: in evaluation mode, bound to the lattice of the data.
        path: ``model.safetensors``.
        hash: of weights and statistics.
        dataset, split: what it was trained on.
        metrics: flat.
    """

    model: Model
    path: Path
    hash: str
    dataset: SpinDataset
    split: Split
    metrics: dict[str, Any]


def train(cfg: DictConfig, run: Run, dataset: SpinDataset, start: Path | None = None) -> Trained:
    """Train ``cfg.model`` on a dataset; continues from ``checkpoints/last.ckpt`` if the run folder has one.

    Args:
        start: model file whose weights and statistics are the first ones; None: random weights.

    Raises:
        ConfigError, DataError: the data do not fit the configuration, or are too few to split.
    """
    lattice = data_lattice(cfg, dataset, run)
    split = split_dataset(dataset, **split_recipe(cfg))
    run.headline("Training")
    for line in split.description.splitlines():
        run.say(f"  {line}")
    path = run.folder / MODEL_FILE
    spent = {}
    if _is_wanted(cfg, path):
        began = time.perf_counter()
        origin: dict[str, Any] = {
            "dataset": dataset.content_hash,
            "hamiltonian": electrons(cfg, dataset, run),
            "split": split_recipe(cfg),
            "seen": seen(dataset, split),
            "epochs": int(cfg.trainer.max_epochs),
        }
        if start is None and cfg.trainer.start is not None:
            start = find_checkpoint(cfg.trainer.start)
            origin["seen"] = sorted({*origin["seen"], *_known(start, dataset, split)})
            run.parent("start", start, stored_hash(start))
        fit(Lesson(cfg, dataset, split, lattice, start), run, origin, path)
        spent = {"train/seconds": time.perf_counter() - began}
    else:
        run.say(f"  {path} is there already: training is not repeated.")
    model = load_model(path, lattice, torch_dtype(cfg)).to(torch_device(cfg))
    model_hash = stored_hash(path)
    run.artifact("model", path, model_hash)
    weights = sum(p.numel() for p in model.parameters())
    metrics = {
        "train/snapshots": len(split.train),
        "train/invariants": model.n_features,
        "train/weights": weights,
        "train/model_hash": model_hash,
    }
    return Trained(model, path, model_hash, dataset, split, metrics | spent)


def _is_wanted(cfg: DictConfig, path: Path) -> bool:
    """There is no model yet, or ``resume`` asks for more epochs than it was trained for."""
    return not path.exists() or load_checkpoint(path)[1].get("epochs", math.inf) < cfg.trainer.max_epochs


def _known(start: Path, dataset: SpinDataset, split: Split) -> list[str]:
    """What the model to begin with has seen, none of which may be held out.

    Raises:
        ConfigError: some of it is.
    """
    known = list(load_checkpoint(start)[1].get("seen", []))
    count = int(np.isin(snapshot_hashes(dataset.spins[split.test]), known).sum())
    if count:
        raise ConfigError(
            "trainer.start",
            str(start),
            f"has learned from {count} of the snapshots that are held out to test.",
        )
    return known


def split_recipe(cfg: DictConfig) -> dict[str, Any]:
    """What determines the split of a dataset; in the checkpoint, so that nobody tests on what it learned."""
    t = cfg.trainer
    return {
        "seed": int(cfg.seed if t.split_seed is None else t.split_seed),
        "validation": float(t.validation_fraction),
        "test": float(t.test_fraction),
        "max_snapshots": None if t.max_snapshots is None else int(t.max_snapshots),
    }


def seen(dataset: SpinDataset, split: Split) -> list[str]:
    """Digests of the snapshots that training or model selection saw; no test may contain them."""
    return sorted(snapshot_hashes(dataset.spins[np.concatenate([split.train, split.validation])]).tolist())
