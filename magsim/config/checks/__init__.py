"""Checks before any work: ranges, files, and choices that exclude each other."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.active import check_active
from magsim.config.checks.dynamics import check_dynamics
from magsim.config.checks.electrons import check_electrons
from magsim.config.checks.job import check_job, check_options
from magsim.config.checks.labelers import check_labeler
from magsim.config.checks.learning import check_learning
from magsim.config.checks.physics import check_physics
from magsim.config.checks.references import check_references
from magsim.config.checks.size import check_size
from magsim.config.conform import conform

__all__ = ["check"]


def check(cfg: DictConfig) -> None:
    """Refuse a configuration that cannot work, within a second and before anything is written.

    Raises:
        ConfigError: naming the first key at fault, its value and what is allowed.
    """
    conform(cfg)
    check_options(cfg)
    check_job(cfg)
    check_physics(cfg)
    check_labeler(cfg)
    check_size(cfg)
    check_learning(cfg)
    check_dynamics(cfg)
    check_references(cfg)
    check_electrons(cfg)
    check_active(cfg)
