"""Descriptor, model and trainer."""

from __future__ import annotations

import math

from omegaconf import DictConfig

from magsim.config.checks.require import between, existing, not_negative, one_of, positive, require, value_of
from magsim.config.checks.size import lattice_at, shortest_periodic_side
from magsim.config.checks.stages import driver_sees_a_gpu

ACTIVATIONS = ("silu", "gelu", "tanh", "softplus", "relu")
OUTPUTS = ("energy", "torque")
FORMS = ("energy", "summed", "sitewise", "direct")
POINT_GROUPS = ("lattice", "mirror_y")
OPTIMIZERS = ("adamw", "soap")
AVERAGES = ("ema", "swa", "none")
STEPS = ("32", "bf16-mixed", "16-mixed")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "float64")
NEAREST = 1.0  # the unit of length


def check_learning(cfg: DictConfig) -> None:
    """Everything that says what is learned, and how."""
    _descriptor(cfg)
    _model(cfg)
    _trainer(cfg)


def _descriptor(cfg: DictConfig) -> None:
    node = cfg.descriptor
    positive(cfg, "descriptor.cutoff")
    _reaches_a_neighbour(cfg, "descriptor.cutoff")
    if "bond_cutoff" in node:
        positive(cfg, "descriptor.bond_cutoff", null="the cutoff")
        not_negative(cfg, "descriptor.chirality_cutoff")
        _reaches_a_neighbour(cfg, "descriptor.bond_cutoff", ", or null: the cutoff")
        _reaches_a_neighbour(cfg, "descriptor.chirality_cutoff", ", or 0: no chiralities")
        _bispectrum(cfg)
    if "pair_cutoff" in node:
        _reaches_a_neighbour(cfg, "descriptor.pair_cutoff")
        require(
            cfg,
            "descriptor.pair_cutoff",
            node.pair_cutoff <= node.cutoff,
            f"at most descriptor.cutoff={node.cutoff:g}.",
        )
        require(
            cfg,
            "descriptor.chiralities",
            not node.chiralities or len(cfg.lattice.shape) == 2,
            f"needs a two-dimensional lattice; lattice.name={cfg.lattice.name}: false.",
        )
    if "lmax" in node:
        between(cfg, "descriptor.lmax", 1, 2, ends=True)
    own = cfg.task.name in ("pipeline", "train") and cfg.data.path is None
    if own or cfg.task.name == "active":
        _cutoff_fits(cfg, "lattice.shape")
    if cfg.task.name == "pipeline" and cfg.task.large_shape is not None:
        _cutoff_fits(cfg, "task.large_shape")


def _bispectrum(cfg: DictConfig) -> None:
    """Body order, references and channels, pruning."""
    node = cfg.descriptor
    if node.references is not None:
        not_negative(cfg, "descriptor.references")
    one_of(cfg, "descriptor.point_group", POINT_GROUPS)
    positive(cfg, "descriptor.channels", null="fixed references")
    positive(cfg, "descriptor.bispectrum_references", null="all copies")
    between(cfg, "descriptor.prune", 0, 1, null="keep all")
    order = math.inf if node.body_order is None else node.body_order
    require(cfg, "descriptor.body_order", order >= 2, "at least 2, the spins of a bond; or null: no limit.")
    needed = 6 if node.time_reversal else 3
    require(
        cfg,
        "descriptor.body_order",
        order >= needed or not node.chirality_cutoff,
        f"at least {needed} for descriptor.chirality_cutoff={node.chirality_cutoff:g}; or null: no limit.",
    )
    require(
        cfg,
        "descriptor.body_order",
        order >= 6 or not node.bispectrum,
        "at least 6 for descriptor.bispectrum=true, products of three bonds; or null: no limit.",
    )
    enough = math.inf if node.references is None or node.channels is not None else node.references
    require(
        cfg,
        "descriptor.references",
        enough >= (node.bispectrum_references or 0) or not node.bispectrum,
        f"at least {node.bispectrum_references} for descriptor.bispectrum=true with "
        f"descriptor.bispectrum_references={node.bispectrum_references}; or null: all copies.",
    )
    require(
        cfg,
        "descriptor.prune",
        node.prune is None or node.channels is None,
        "must be null with descriptor.channels, which are not fixed before the training.",
    )


def _reaches_a_neighbour(cfg: DictConfig, key: str, otherwise: str = "") -> None:
    """A radius that holds at least the nearest neighbours; ``otherwise`` is what 0 or null mean."""
    value = value_of(cfg, key)
    require(
        cfg,
        key,
        (bool(otherwise) and not value) or value >= NEAREST,
        f"must be at least {NEAREST:g}, the distance of nearest neighbours on every lattice{otherwise}.",
    )


def _cutoff_fits(cfg: DictConfig, key: str) -> None:
    """The neighbourhood must not meet its own periodic image."""
    half = shortest_periodic_side(lattice_at(cfg, key)) / 2
    require(
        cfg,
        "descriptor.cutoff",
        cfg.descriptor.cutoff <= half + 1e-9,
        f"at most half the shortest periodic side of {key}={value_of(cfg, key)}, {half:.4g}.",
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
    if "form" in node:
        _potential(cfg)
    if "output" in node:
        positive(cfg, "model.layers", "model.channels")
        one_of(cfg, "model.output", OUTPUTS)
        require(
            cfg,
            "descriptor.name",
            cfg.descriptor.name == "equivariant",
            "model=equivariant needs descriptor=equivariant.",
        )


def _potential(cfg: DictConfig) -> None:
    node = cfg.model
    one_of(cfg, "model.form", FORMS)
    words = f"must be true with model.form={node.form}, which is made of summed potentials."
    needed = node.form in ("energy", "summed")
    require(cfg, "model.summed_energy", node.summed_energy or not needed, words)
    own = cfg.task.name in ("pipeline", "train", "active") and cfg.data.path is None
    words = f"needs leads at both ends of x; lattice.boundary={value_of(cfg, 'lattice.boundary')}: false."
    is_open = cfg.lattice.boundary[0] == "open"
    require(cfg, "model.position_input", is_open or not (node.position_input and own), words)


def _trainer(cfg: DictConfig) -> None:
    node = cfg.trainer
    positive(cfg, "trainer.max_epochs", "trainer.batch_size", "trainer.lr")
    not_negative(cfg, "trainer.weight_decay", "trainer.warmup")
    existing(cfg, "trainer.start")
    if node.split_seed is not None:
        not_negative(cfg, "trainer.split_seed")
    positive(cfg, "trainer.max_minutes", null="no limit")
    positive(cfg, "trainer.min_steps", null="max_epochs alone")
    positive(cfg, "trainer.patience", null="never stop early")
    positive(cfg, "trainer.grad_clip", null="no clipping")
    positive(cfg, "trainer.relative_floor", null="equal weights")
    one_of(cfg, "trainer.optimizer", OPTIMIZERS)
    one_of(cfg, "trainer.lr_schedule", SCHEDULES)
    one_of(cfg, "trainer.average", AVERAGES)
    between(cfg, "trainer.ema", 0, 1)
    require(cfg, "trainer.swa_start", 0 <= node.swa_start < 1, "must be 0 or between 0 and 1.")
    positive(cfg, "trainer.parity_every", null="no figures")
    _steps(cfg)
    between(cfg, "trainer.gamma", 0, 1, ends=True)
    positive(cfg, "trainer.max_snapshots", null="the whole training part")
    for key in ("trainer.validation_fraction", "trainer.test_fraction"):
        require(cfg, key, 0 <= value_of(cfg, key) < 1, "must be between 0 and 1, or 0: nothing is held out.")
    require(
        cfg,
        "trainer.patience",
        node.patience is None or node.validation_fraction > 0,
        "stops on the validation error; it must be null with trainer.validation_fraction=0.",
    )
    require(
        cfg,
        "trainer.test_fraction",
        node.validation_fraction + node.test_fraction < 1,
        f"leaves nothing to train on: with validation_fraction={node.validation_fraction:g} it is below "
        f"{1 - node.validation_fraction:g}.",
    )
    one_of(cfg, "compute.precision", PRECISIONS)


def _steps(cfg: DictConfig) -> None:
    """What a step takes: precision, processes, the energy."""
    node = cfg.trainer
    linear = cfg.model.name == "linear"
    one_of(cfg, "trainer.precision", STEPS)
    mixed = node.precision != "32"
    require(
        cfg,
        "trainer.precision",
        not (mixed and cfg.compute.precision == "float64"),
        "mixes 16 bits into float32; it must be 32 with compute.precision=float64.",
    )
    require(
        cfg,
        "trainer.precision",
        node.precision != "16-mixed" or (cfg.compute.device != "cpu" and driver_sees_a_gpu()),
        "needs a CUDA device; bf16-mixed runs anywhere.",
    )
    positive(cfg, "trainer.devices")
    require(cfg, "trainer.devices", node.devices == 1 or not linear, "must be 1 with model=linear.")
    require(
        cfg,
        "trainer.devices",
        node.devices <= node.batch_size,
        f"at most trainer.batch_size={node.batch_size}, which the processes share.",
    )
    not_negative(cfg, "trainer.energy_weight")
    if not node.energy_weight:
        return
    output = next((key for key in ("output", "form") if cfg.model.get(key, "energy") != "energy"), None)
    why = "model=linear, whose closed form is that of the torque." if linear else None
    if output is not None:
        why = f"model.{output}={cfg.model[output]}, whose field is the gradient of no energy."
    require(cfg, "trainer.energy_weight", why is None, f"must be 0 with {why}")
    require(
        cfg,
        "trainer.energy_weight",
        node.batch_size >= 2 * node.devices,
        "compares energies within the batch of a process: trainer.batch_size must be at least "
        f"{2 * node.devices}.",
    )
