"""Active learning."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import between, not_negative, one_of, positive, require

STRATEGIES = ("committee", "random", "fresh")


def check_active(cfg: DictConfig) -> None:
    """Everything that ``task=active`` needs besides models and dynamics."""
    if cfg.task.name != "active":
        return
    task = cfg.task
    one_of(cfg, "task.strategy", STRATEGIES)
    require(cfg, "task.members", task.members >= 2, "must be 2 or more: one model disagrees with nobody.")
    positive(cfg, "task.start", "task.trajectories", "task.chosen", "task.rounds", "task.separation")
    positive(cfg, "task.test_random", "task.test_quenches")
    not_negative(cfg, "task.test_seed")
    positive(cfg, "task.relative_floor", null="absolute disagreement")
    between(cfg, "task.window_share", 0.0, 1.0, ends=True)
    positive(cfg, "task.target", null="none")
    positive(cfg, "task.max_minutes", null="no limit")
    _budget(cfg)
    _enough_to_choose_from(cfg)
    require(
        cfg,
        "protocol.replicas",
        cfg.protocol.replicas == 1,
        "task=active runs task.trajectories replicas; leave protocol.replicas at 1.",
    )
    require(
        cfg,
        "model.name",
        cfg.model.name != "linear",
        "a closed form has one solution: its committee would never disagree; use bp or equivariant.",
    )


def _budget(cfg: DictConfig) -> None:
    if cfg.data.path is not None:
        return  # how many labels it has is known once it is open
    least = cfg.task.start + 1
    require(
        cfg,
        "task.budget",
        cfg.task.budget >= least,
        f"must be {least} or more: task.start={cfg.task.start} are labelled before anything is chosen.",
    )


def _enough_to_choose_from(cfg: DictConfig) -> None:
    """So many configurations that keep their distance exist in the runs of a round."""
    if cfg.task.strategy == "fresh":
        return
    apart = -(-cfg.task.separation // cfg.protocol.record_every) * cfg.protocol.record_every
    each = cfg.protocol.steps // apart + 1
    windows = cfg.protocol.steps // cfg.task.separation + 1
    require(
        cfg,
        "task.window_share",
        cfg.task.window_share * windows >= 1,
        f"must be {1 / windows:.3g} or more: protocol.steps={cfg.protocol.steps} are {windows} windows of "
        f"task.separation={cfg.task.separation} steps.",
    )
    most = each * cfg.task.trajectories
    require(
        cfg,
        "task.chosen",
        cfg.task.chosen <= most,
        f"at most {most}: {cfg.task.trajectories} trajectories of {cfg.protocol.steps} steps hold {each} "
        f"configurations each that are task.separation={cfg.task.separation} steps apart.",
    )
