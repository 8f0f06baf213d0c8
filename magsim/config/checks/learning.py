"""Descriptor, model and trainer."""

from __future__ import annotations

import math

from omegaconf import DictConfig

from magsim.config.checks.require import between, not_negative, one_of, positive, require

ACTIVATIONS = ("silu", "gelu", "tanh", "softplus", "relu")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "float64")


def check_learning(cfg: DictConfig) -> None:
    """Everything that says what is learned, and how."""
    _descriptor(cfg)
    _model(cfg)
    _trainer(cfg)


def _descriptor(cfg: DictConfig) -> None:
    node = cfg.descriptor
    positive(cfg, "descriptor.cutoff")
    if "bond_cutoff" in node:
        positive(cfg, "descriptor.bond_cutoff", null="the cutoff")
        not_negative(cfg, "descriptor.chirality_cutoff", "descriptor.references")
    if cfg.task.name in ("pipeline", "train") and cfg.data.path is None:
        _cutoff_fits(cfg)


def _cutoff_fits(cfg: DictConfig) -> None:
    """The neighbourhood must not meet its own periodic image."""
    import numpy as np

    from magsim.lattice import make_lattice

    lattice = make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))
    faces = 2 * math.pi * np.array(lattice.shape) / np.linalg.norm(lattice.reciprocal, axis=1)
    half = min(
        (face / 2 for face, periodic in zip(faces, lattice.periodic, strict=True) if periodic),
        default=math.inf,
    )
    require(
        cfg,
        "descriptor.cutoff",
        cfg.descriptor.cutoff <= half + 1e-9,
        f"at most half the shortest periodic side of lattice.shape={list(lattice.shape)}, {half:.4g}.",
    )


def _model(cfg: DictConfig) -> None:
    node = cfg.model
    if "ridge" in node:
        positive(cfg, "model.ridge")
        positive(cfg, "model.max_snapshots", null="all")
    if "hidden" in node:
        require(
            cfg,
            "model.hidden",
            len(node.hidden) > 0 and all(n > 0 for n in node.hidden),
            "must be a list of positive layer widths.",
        )
        one_of(cfg, "model.activation", ACTIVATIONS)


def _trainer(cfg: DictConfig) -> None:
    node = cfg.trainer
    positive(cfg, "trainer.max_epochs", "trainer.batch_size", "trainer.lr")
    not_negative(cfg, "trainer.weight_decay", "trainer.warmup")
    positive(cfg, "trainer.max_minutes", null="no limit")
    positive(cfg, "trainer.patience", null="never stop early")
    positive(cfg, "trainer.grad_clip", null="no clipping")
    positive(cfg, "trainer.relative_floor", null="equal weights")
    one_of(cfg, "trainer.lr_schedule", SCHEDULES)
    between(cfg, "trainer.ema", 0, 1, null="no average")
    between(cfg, "trainer.gamma", 0, 1, ends=True)
    between(cfg, "trainer.validation_fraction", 0, 1)
    between(cfg, "trainer.test_fraction", 0, 1)
    require(
        cfg,
        "trainer.test_fraction",
        node.validation_fraction + node.test_fraction < 1,
        f"leaves nothing to train on: with validation_fraction={node.validation_fraction:g} it is below "
        f"{1 - node.validation_fraction:g}.",
    )
    one_of(cfg, "compute.precision", PRECISIONS)
