"""Labelers."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import positive


def check_labeler(cfg: DictConfig) -> None:
    """Everything that says how the electrons are solved."""
    positive(cfg, "labeler.batch_size", null="as many as fit in memory")
