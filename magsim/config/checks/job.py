"""What the job is: its name, its files, its task, where it computes and who records it."""

from __future__ import annotations

import glob
import re
import typing
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from magsim.config.checks.analyze import check_analyze
from magsim.config.checks.compute import check_compute
from magsim.config.checks.export import check_export
from magsim.config.checks.physics import check_shape
from magsim.config.checks.require import existing, not_negative, one_of, positive, require, value_of
from magsim.config.paths import PRESETS, groups
from magsim.config.schema.root import OPTIONS, Config
from magsim.errors import ConfigError
from magsim.learning.zoo import trained_lattice, where_models_lie, zoo_file

PARTS = (
    "labelers",
    "kpm",
    "probing",
    "llg",
    "models",
    "training",
    "classical",
    "negf",
    "updates",
    "fields",
    "labels",
)
RESUMABLE = ("label", "train", "simulate", "agreement", "pipeline", "active")
SPLITS = ("test", "validation", "train", "all")


def check_job(cfg: DictConfig) -> None:
    """Everything that is not physics."""
    not_negative(cfg, "seed")
    require(
        cfg,
        "name",
        re.fullmatch(r"[A-Za-z0-9][\w.+-]*", cfg.name) is not None,
        "names a folder: letters, digits and . _ - + only.",
    )
    _paths(cfg, "data.path", ("npz", "zarr"))
    _checkpoint(cfg)
    _task(cfg)
    check_compute(cfg)
    if cfg.logger.name == "wandb":
        one_of(cfg, "logger.mode", ("auto", "online", "offline"))
        not_negative(cfg, "logger.artifact_limit_mb")


def check_options(cfg: DictConfig) -> None:
    """The name in each node is that of an option of its group, and the node has the keys of that option."""
    types = typing.get_type_hints(Config)
    for group, options in groups().items():
        if group in PRESETS or "name" not in cfg[group]:
            continue
        key, name = f"{group}.name", cfg[group].name
        one_of(cfg, key, options)
        require(
            cfg,
            key,
            OmegaConf.get_type(cfg[group]) is OPTIONS.get(group, {}).get(name, types[group]),
            f"the other keys are those of another option; choose {group}={name}.",
        )


def _paths(cfg: DictConfig, key: str, kinds: Sequence[str] = ()) -> None:
    """Null, a path that exists or a list of them."""
    given = value_of(cfg, key)
    if not isinstance(given, list):
        existing(cfg, key, kinds)
        return
    require(cfg, key, bool(given), "names nothing.")
    for k in range(len(given)):
        existing(cfg, f"{key}[{k}]", kinds)


def _checkpoint(cfg: DictConfig) -> None:
    """Null, a name of the zoo, a path that exists, or a list of them."""
    given = value_of(cfg, "checkpoint")
    if isinstance(given, list):
        require(cfg, "checkpoint", bool(given), "names nothing.")
    keys = [f"checkpoint[{k}]" for k in range(len(given))] if isinstance(given, list) else ["checkpoint"]
    for key in keys:
        name = value_of(cfg, key)
        if name is not None and zoo_file(name) is None:
            path = Path(name).expanduser()
            words = f"no such file or folder (looked at {path.resolve()}); {where_models_lie()}"
            require(cfg, key, path.exists(), words)
        if name is not None and cfg.task.name in ("simulate", "agreement"):
            trained = trained_lattice(name)
            words = f"trained on lattice {trained}; lattice.name={cfg.lattice.name} does not fit."
            require(cfg, key, trained in (None, cfg.lattice.name), words)


def matching(runs: str | Sequence[str]) -> list[Path]:
    """The paths that ``runs=`` names: a folder, a glob, or several (a list, or separated by commas)."""
    return [
        Path(path)
        for part in _parts(runs)
        for path in sorted(glob.glob(str(Path(part.strip()).expanduser())))
    ]


def _parts(runs: str | Sequence[str]) -> list[str]:
    return runs.split(",") if isinstance(runs, str) else list(runs)


def _task(cfg: DictConfig) -> None:
    task = cfg.task.name
    if task == "pipeline" and cfg.task.large_shape is not None:
        check_shape(cfg, "task.large_shape")
    if task == "evaluate":
        require(
            cfg,
            "checkpoint",
            cfg.checkpoint is not None,
            "task=evaluate needs a run folder or checkpoint file.",
        )
        one_of(cfg, "task.split", SPLITS)
    if task == "agreement":
        words = "task=agreement needs a trained field to compare with the exact one."
        require(cfg, "checkpoint", cfg.checkpoint is not None, words)
        words = "task=agreement needs several initial states for a band: at least 2."
        voltages = cfg.protocol.name == "drive" and isinstance(value_of(cfg, "protocol.V"), list)
        require(cfg, "protocol.replicas", cfg.protocol.replicas > 1 or voltages, words)
    if task == "export":
        check_export(cfg)
    if task == "analyze":
        check_analyze(cfg)
    if task == "benchmark":
        positive(cfg, "task.seconds", "task.exact_max_sites", "task.eigh_max_sites")
        parts = value_of(cfg, "task.parts")
        allowed = bool(parts) and set(parts) <= set(PARTS) and len(set(parts)) == len(parts)
        require(cfg, "task.parts", allowed, f"must be a list of {', '.join(PARTS)}, each at most once.")
        named = sorted({*groups()["model"], *groups()["experiment"]})
        for name in cfg.task.models:
            require(cfg, "task.models", name in named, f"must be a list out of {', '.join(named)}.")
        for i in range(len(cfg.task.label_shapes)):
            check_shape(cfg, f"task.label_shapes[{i}]")
        require(cfg, "task.label_shapes", len(cfg.task.label_shapes) > 0, "needs at least one lattice shape.")
        require(cfg, "task.shapes", len(cfg.task.shapes) > 0, "needs at least one lattice shape.")
        for i in range(len(cfg.task.shapes)):
            check_shape(cfg, f"task.shapes[{i}]")
    if task == "compare":
        require(
            cfg,
            "runs",
            cfg.runs is not None,
            "task=compare needs a sweep folder, a glob of run folders or a list of them.",
        )
        runs = value_of(cfg, "runs")
        for part in _parts(runs):
            if not matching(part):
                raise ConfigError("runs", part, "matches nothing.")
        require(cfg, "runs", bool(runs), "names nothing.")
    if cfg.resume is not None:
        found = (Path(cfg.resume).expanduser() / "config.yaml").is_file()
        require(cfg, "resume", found, "must be a run folder: there is no config.yaml in it.")
    if cfg.resume is not None and task not in RESUMABLE:
        raise ConfigError(
            "resume", cfg.resume, f"task={task} cannot resume; only {', '.join(RESUMABLE)} can."
        )
