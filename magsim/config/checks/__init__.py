"""Checks before any work: ranges, files, and choices that exclude each other."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.dynamics import check_dynamics
from magsim.config.checks.job import check_job
from magsim.config.checks.learning import check_learning
from magsim.config.checks.physics import check_physics
from magsim.config.conform import conform

__all__ = ["check"]


def check(cfg: DictConfig) -> None:
    """Refuse a configuration that cannot work, within a second and before anything is written.

    Raises:
        ConfigError: naming the first key at fault, its value and what is allowed.
    """
    conform(cfg)
    check_job(cfg)
    check_physics(cfg)
    check_learning(cfg)
    check_dynamics(cfg)
