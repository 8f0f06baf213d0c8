"""Train a model on a dataset: split, statistics, Lightning, the best weights in one file."""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint

from magsim.lattice import Lattice
from magsim.learning.checkpoint import (
    MODEL_FILE,
    load_checkpoint,
    load_model,
    model_facts,
    save_model,
    stored_hash,
)
from magsim.learning.data import SpinDataModule
from magsim.learning.dataset import SpinDataset, snapshot_hashes
from magsim.learning.module import ClosedFormModule, ForceFieldModule, Optimisation
from magsim.learning.split import Split, split_dataset
from magsim.models import LinearModel, Model, build_model
from magsim.runs import Run
from magsim.runs.lightning_logger import RunLogger
from magsim.spins import seed_sequence
from magsim.tasks import evaluate as evaluation
from magsim.tasks.build import plain, torch_device, torch_dtype
from magsim.tasks.data import data_lattice, dataset_for, electrons
from magsim.tasks.floors import floor_metrics
from magsim.tasks.training_callbacks import EpochBudget, Progress


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


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=train``: dataset, training, errors on what was held out, figures, report page."""
    from magsim.tasks.pages import training_page

    dataset = dataset_for(cfg, run)
    trained = train(cfg, run, dataset)
    result = evaluation.evaluate(cfg, run, [trained.model], dataset, trained.split.test)
    training_page(cfg, run, trained, result)
    floors = floor_metrics(cfg, dataset, trained.model.lattice, plain(cfg.descriptor), plain(cfg.model))
    return trained.metrics | result.metrics | floors


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
        _fit(cfg, run, dataset, lattice, split, path, start)
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


def _fit(
    cfg: DictConfig,
    run: Run,
    dataset: SpinDataset,
    lattice: Lattice,
    split: Split,
    path: Path,
    start: Path | None,
) -> None:
    t = cfg.trainer
    dtype, device = torch_dtype(cfg), torch_device(cfg)
    torch.manual_seed(int(seed_sequence(int(cfg.seed), "weights").generate_state(1)[0]))
    data = SpinDataModule(dataset, split, int(t.batch_size), int(cfg.seed), t.relative_floor, dtype)
    part = data.parts["train"].arrays
    if start is None:
        model = build_model(lattice, plain(cfg.descriptor), plain(cfg.model), part["spins"]).to(dtype)
        model.fit_statistics(part["spins"], part["field"])
    else:  # with its statistics: weights mean nothing without them
        model = load_model(start, lattice, dtype).train()
    origin = {
        "dataset": dataset.content_hash,
        "hamiltonian": electrons(cfg, dataset, run),
        "split": split_recipe(cfg),
        "seen": seen(dataset, split),
        "epochs": int(t.max_epochs),
    }
    facts = model_facts(lattice, plain(cfg.descriptor), plain(cfg.model), **origin)
    epochs = _epochs(cfg, len(data.train_dataloader()))
    module = _module(cfg, model, data, facts, epochs)
    weights = sum(p.numel() for p in model.parameters())
    run.say(
        f"  model {cfg.model.name}: {model.n_features} invariants, {weights} weights; {len(split.train)} "
        f"snapshots of {dataset.n_sites} spins; {device}, {dtype}".replace("torch.", "")
    )
    trainer = _trainer(cfg, run, module, device, bool(len(split.validation)), epochs)
    last = run.folder / "checkpoints" / "last.ckpt"
    if last.exists():
        run.say(f"  continuing from {last}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning)
        trainer.fit(module, data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    best = _final_model(run, module, lattice, bool(len(split.validation)))
    if dataset.energy is not None:
        best.fit_shift(part["spins"], torch.tensor(dataset.energy[split.train]).to(best.energy_scale))
    save_model(path, best, facts)


def _final_model(run: Run, module: ForceFieldModule, lattice: Lattice, validated: bool) -> Model:
    """A closed form has one answer; else the (averaged) weights of the epoch with the smallest validation
    error, or the last ones where nothing was held out."""
    if isinstance(module, ClosedFormModule):
        return module.model.eval()
    return load_model(run.folder / "checkpoints" / ("best.ckpt" if validated else "last.ckpt"), lattice)


def _epochs(cfg: DictConfig, steps: int) -> int:
    """``max_epochs`` of so many steps, more of them where ``min_steps`` asks for more."""
    return max(int(cfg.trainer.max_epochs), math.ceil((cfg.trainer.min_steps or 0) / steps))


def _module(
    cfg: DictConfig, model: Model, data: SpinDataModule, facts: dict[str, Any], epochs: int
) -> ForceFieldModule:
    t = cfg.trainer
    if isinstance(model, LinearModel):
        return ClosedFormModule(model, model.ridge, data.sources, facts, data.states)
    steps = len(data.train_dataloader())
    optimisation = Optimisation(
        lr=t.lr,
        weight_decay=t.weight_decay,
        schedule=t.lr_schedule,
        warmup=int(t.warmup),
        total_steps=steps * epochs,
        gamma=t.gamma,
        optimizer=t.optimizer,
    )
    return ForceFieldModule(model, optimisation, data.sources, facts, data.states)


def _batches(module: ForceFieldModule, batch_size: int) -> int | None:
    """Batches that the closed form takes of its only, shuffled, epoch; None: all."""
    limit = module.model.max_snapshots if isinstance(module, ClosedFormModule) else None
    return None if limit is None else math.ceil(limit / batch_size)


def _trainer(
    cfg: DictConfig, run: Run, module: ForceFieldModule, device: torch.device, validated: bool, epochs: int
) -> pl.Trainer:
    t = cfg.trainer
    closed_form = isinstance(module, ClosedFormModule)
    epochs = 1 if closed_form else epochs
    monitor = "val/torque_error"
    callbacks: list[Callback] = [Progress(run, epochs)]
    if not closed_form:
        if t.ema is not None:
            callbacks.append(EMAWeightAveraging(use_buffers=False, decay=float(t.ema)))
        # after the average, so that what is validated is what is saved
        folder = run.folder / "checkpoints"
        callbacks.append(
            ModelCheckpoint(
                folder,
                "best" if validated else "last",
                monitor if validated else None,
                save_last=validated,
                save_on_train_epoch_end=True,  # between two epochs, where a resumed run starts
                enable_version_counter=False,
            )
        )
        if t.patience is not None:
            callbacks.append(EarlyStopping(monitor, patience=int(t.patience)))
        if t.max_minutes is not None:
            callbacks.append(EpochBudget(run, 60.0 * float(t.max_minutes)))
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.accelerators.cuda",
        "lightning_fabric",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=epochs,
        callbacks=callbacks,
        logger=RunLogger(run),
        gradient_clip_val=None if closed_form else t.grad_clip,
        enable_progress_bar=False,
        limit_val_batches=None if validated else 0,
        limit_train_batches=_batches(module, int(t.batch_size)),
        enable_checkpointing=not closed_form,
        enable_model_summary=False,
        inference_mode=False,  # the field in validation is a gradient too
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=run.folder,
    )
