"""What ``task=export`` writes, and from what."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.physics import check_shape
from magsim.config.checks.require import existing, require, value_of

FORMATS = ("safetensors", "pt2", "aoti")


def check_export(cfg: DictConfig) -> None:
    """One model; formats that exist."""
    words = "task=export needs the folder of a training or a model file."
    require(cfg, "checkpoint", isinstance(cfg.checkpoint, str), words)
    formats = value_of(cfg, "task.formats")
    allowed = bool(formats) and set(formats) <= set(FORMATS) and len(set(formats)) == len(formats)
    require(cfg, "task.formats", allowed, f"must be a list of {', '.join(FORMATS)}, each at most once.")
    rounded = value_of(cfg, "task.weights") in ("float32", "float16")
    require(cfg, "task.weights", rounded, "must be float32 or float16.")
    if cfg.task.shape is not None:
        check_shape(cfg, "task.shape")
    pair = cfg.task.source is None or len(cfg.task.source) == 2
    require(cfg, "task.source", pair, "must be null or two texts, [source,licence].")
    for k in range(len(cfg.task.measured)):
        existing(cfg, f"task.measured[{k}]")
