"""Labelers."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import between, not_negative, one_of, positive, require


def check_labeler(cfg: DictConfig) -> None:
    """Everything that says how the electrons are solved."""
    positive(cfg, "labeler.batch_size", null="as many as fit in memory")
    _open(cfg)
    if cfg.labeler.name in ("auto", "greens", "negf"):
        between(cfg, "labeler.tolerance", 0.0, 0.1)
    if cfg.labeler.name == "greens":
        one_of(cfg, "labeler.precision", ("complex128", "complex64"))
        between(cfg, "labeler.smearing", 1e-6, 1.0, ends=True)
    if cfg.labeler.name == "kpm":
        _kpm(cfg)


def _open(cfg: DictConfig) -> None:
    """A driven strip has a labeler of its own, which solves nothing else."""
    driven, negf = cfg.hamiltonian.name == "driven", cfg.labeler.name == "negf"
    words = "hamiltonian=driven is an open system out of equilibrium, which only labeler=negf solves."
    require(cfg, "labeler.name", negf or not driven, words)
    words = f"solves hamiltonian=driven only, not {cfg.hamiltonian.name}; use ed, greens, kpm or auto."
    require(cfg, "labeler.name", driven or not negf, words)


def _kpm(cfg: DictConfig) -> None:
    """Probes, moments, and what they exclude."""
    node = cfg.labeler
    one_of(cfg, "labeler.probes", ("colour", "random", "identity"))
    positive(cfg, "labeler.columns", "labeler.smearing")
    between(cfg, "labeler.tolerance", 0.0, 0.1)
    not_negative(cfg, "labeler.seed")
    require(cfg, "labeler.repeats", node.repeats >= 2, "must be 2 or more: their spread is the error.")
    M = node.moments
    require(
        cfg,
        "labeler.moments",
        M is None or (M >= 4 and M % 2 == 0),
        "must be an even number from 4 on, or null: from labeler.tolerance.",
    )
    require(
        cfg,
        "labeler.moments",
        M is not None or not node.jackson,
        "labeler.jackson=true needs a number: its error falls too slowly for a tolerance.",
    )
    if node.probes == "identity":
        return
    require(
        cfg,
        "labeler.probes",
        cfg.hamiltonian.name != "double_exchange_projected",
        "must be identity for hamiltonian=double_exchange_projected: with random phases its energy depends "
        "on the gauge of the projected states.",
    )
    require(
        cfg, "labeler.columns", node.probes == "random" or node.columns >= 2, "2 or more: one for each spin."
    )
