"""From a split dataset to trained weights in one file."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from magsim.datasets.dataset import SpinDataset
from magsim.dynamics.memory import free_memory
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.learning.averaging import weight_average
from magsim.learning.checkpoint import load_checkpoint, load_model, model_facts, save_model
from magsim.learning.closed_form import ClosedFormModule
from magsim.learning.data import SpinDataModule
from magsim.learning.module import ForceFieldModule, Optimisation
from magsim.models import LinearModel, Model, build_model
from magsim.runs import Run
from magsim.runs.lightning_logger import RunLogger
from magsim.spins import seed_sequence
from magsim.tasks.build import plain, torch_device, torch_dtype
from magsim.tasks.training.callbacks import EpochBudget, Parity, Progress
from magsim.tasks.training.processes import Lesson, companions, hardware

MONITOR = "val/torque_error"
ROOM = 0.25  # of the free memory of a GPU, for snapshots


def fit(lesson: Lesson, run: Run, origin: Mapping[str, Any], path: Path) -> None:
    """Train and write the model to ``path``, with ``trainer.devices`` processes.

    Args:
        origin: facts for the checkpoint: where the weights come from.

    Raises:
        ConfigError: the data, the model or the machine lack what the trainer asks for.
        RunError: the training diverged, or a process died.
    """
    dataset, split = lesson.dataset, lesson.split
    with companions(lesson, run.folder):
        module, data = descend(lesson, run, origin)
    best = _final_model(run, module, lesson.lattice, bool(len(split.validation)))
    if dataset.energy is not None and best.conservative and not best.takes_voltage:
        part = data.parts["train"].arrays["spins"]
        best.to(part.device)
        best.fit_shift(part, torch.tensor(dataset.energy[split.train]).to(best.energy_scale))
        best.cpu()
    save_model(path, best, module.facts)


def descend(lesson: Lesson, run: Run, origin: Mapping[str, Any]) -> tuple[ForceFieldModule, SpinDataModule]:
    """What every process of a training does: the same model, its share of every batch, the same weights.

    Continues from ``checkpoints/last.ckpt`` if the run folder has one.
    """
    cfg, dataset, split, lattice = lesson.cfg, lesson.dataset, lesson.split, lesson.lattice
    t = cfg.trainer
    dtype, device = torch_dtype(cfg), torch_device(cfg)
    torch.manual_seed(int(seed_sequence(int(cfg.seed), "weights").generate_state(1)[0]))
    data = SpinDataModule(
        dataset, split, int(t.batch_size), int(cfg.seed), t.relative_floor, dtype, bool(t.balance)
    )
    part = data.parts["train"].arrays
    if lesson.start is None:
        model = build_model(lattice, plain(cfg.descriptor), plain(cfg.model), part["spins"]).to(dtype)
    else:  # with its statistics: weights mean nothing without them
        model = _continued(lesson, lesson.start, part["spins"])
    if device.type == "cuda" and int(t.devices) == 1 and _fits(data, device):
        model.to(device)
        data.to(device)
        part = data.parts["train"].arrays
    if lesson.start is None:
        model.fit_statistics(part["spins"], part["field"], **model.given(part.get("voltage")))
    _check_possible(cfg, model, dataset, device)
    facts = model_facts(lattice, plain(cfg.descriptor), plain(cfg.model), **origin)
    epochs = int(t.max_epochs)
    data.passes = _passes(cfg, len(data.train_dataloader()))
    module = _module(cfg, model, data, facts, epochs)
    weights = sum(p.numel() for p in model.parameters())
    run.say(
        f"  model {cfg.model.name}: {model.n_features} invariants, {weights} weights; {len(split.train)} "
        f"snapshots of {dataset.n_sites} spins; {device}, {dtype}".replace("torch.", "")
        + (f"; {t.devices} processes" if t.devices > 1 else "")
    )
    last = run.folder / "checkpoints" / "last.ckpt"
    if last.exists():
        run.say(f"  continuing from {last}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning)
        trainer = _trainer(cfg, run, module, bool(len(split.validation)), epochs)
        trainer.fit(module, data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    return module, data


def _fits(data: SpinDataModule, device: torch.device) -> bool:
    """Whether a device has room for all snapshots, which leaves most of it to the training."""
    return sum(part.nbytes for part in data.parts.values()) < ROOM * free_memory(device)


def _continued(lesson: Lesson, start: Path, spins: torch.Tensor) -> Model:
    """The model of a file, or the configured one with its weights.

    Raises:
        ConfigError: they are not of one kind.
    """
    cfg, facts = lesson.cfg, load_checkpoint(start)[1]
    kind = {"descriptor": plain(cfg.descriptor), "model": plain(cfg.model)}
    trained = load_model(start, lesson.lattice, torch_dtype(cfg)).train()
    if all(facts[part] == keys for part, keys in kind.items()):
        return trained
    model = build_model(lesson.lattice, kind["descriptor"], kind["model"], spins).to(torch_dtype(cfg))
    try:
        model.adopt(trained)
    except ValueError as error:
        raise ConfigError(
            "trainer.start", str(start), f"cannot be continued by this model: {error}."
        ) from error
    return model


def _check_possible(cfg: DictConfig, model: Model, dataset: SpinDataset, device: torch.device) -> None:
    t = cfg.trainer
    if model.takes_voltage and dataset.voltage is None:
        words = f"the data of {dataset.path} know no voltage: must be false."
        raise ConfigError("model.voltage_input", True, words)
    if t.energy_weight:
        lacks = None if dataset.energy is not None else f"the data of {dataset.path} hold no energies"
        if not model.conservative:
            lacks = "the model has no energy"
        if lacks:
            raise ConfigError("trainer.energy_weight", t.energy_weight, f"{lacks}: must be 0.")
    if t.precision == "16-mixed" and device.type != "cuda":
        raise ConfigError("trainer.precision", t.precision, "needs a CUDA device; bf16-mixed runs anywhere.")


def _final_model(run: Run, module: ForceFieldModule, lattice: Lattice, validated: bool) -> Model:
    """A closed form has one answer; else the (averaged) weights of the epoch with the smallest validation
    error, or the last ones where nothing was held out."""
    if isinstance(module, ClosedFormModule):
        return module.model.eval()
    return load_model(run.folder / "checkpoints" / ("best.ckpt" if validated else "last.ckpt"), lattice)


def _passes(cfg: DictConfig, steps: int) -> int:
    """How often an epoch goes through a training part of so many steps: more than once where ``max_epochs``
    make fewer than ``min_steps``."""
    return max(1, math.ceil((cfg.trainer.min_steps or 0) / (steps * int(cfg.trainer.max_epochs))))


def _module(
    cfg: DictConfig, model: Model, data: SpinDataModule, facts: dict[str, Any], epochs: int
) -> ForceFieldModule:
    t = cfg.trainer
    if isinstance(model, LinearModel):
        return ClosedFormModule(model, model.ridge, data.sources, facts, data.states)
    optimisation = Optimisation(
        lr=t.lr,
        weight_decay=t.weight_decay,
        schedule=t.lr_schedule,
        warmup=int(t.warmup),
        total_steps=len(data.train_dataloader()) * epochs,
        gamma=t.gamma,
        energy_weight=t.energy_weight,
        optimizer=t.optimizer,
    )
    return ForceFieldModule(model, optimisation, data.sources, facts, data.states, data.energy_spread)


def _batches(module: ForceFieldModule, batch_size: int) -> int | None:
    """Batches that the closed form takes of its only, shuffled, epoch; None: all."""
    limit = module.model.max_snapshots if isinstance(module, ClosedFormModule) else None
    return None if limit is None else math.ceil(limit / batch_size)


def _callbacks(cfg: DictConfig, run: Run, validated: bool) -> list[Callback]:
    """Those of a training by gradients."""
    t = cfg.trainer
    # the average comes first, so that what is validated is what is saved
    found = weight_average(str(t.average), float(t.ema), float(t.swa_start))
    found.append(
        ModelCheckpoint(
            run.folder / "checkpoints",
            "best" if validated else "last",
            MONITOR if validated else None,
            save_last=validated,
            save_on_train_epoch_end=True,  # between two epochs, where a resumed run starts
            enable_version_counter=False,
        )
    )
    if t.patience is not None:
        found.append(EarlyStopping(MONITOR, patience=int(t.patience)))
    if t.max_minutes is not None:
        found.append(EpochBudget(run, 60.0 * float(t.max_minutes)))
    if t.parity_every is not None and validated:
        found.append(Parity(run, int(t.parity_every)))
    return found


def _trainer(cfg: DictConfig, run: Run, module: ForceFieldModule, validated: bool, epochs: int) -> pl.Trainer:
    t = cfg.trainer
    closed_form = isinstance(module, ClosedFormModule)
    epochs = 1 if closed_form else epochs
    precision: Any = "32-true" if closed_form or str(t.precision) == "32" else str(t.precision)
    return pl.Trainer(
        **hardware(torch_device(cfg), int(t.devices)),
        precision=precision,
        max_epochs=epochs,
        callbacks=[Progress(run, epochs), *([] if closed_form else _callbacks(cfg, run, validated))],
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
        use_distributed_sampler=False,  # batches are divided by magsim.learning.data
        default_root_dir=run.folder,
    )
