"""Which stages a job goes through: checks concern only what is going to be used."""

from __future__ import annotations

from omegaconf import DictConfig


def makes_labels(cfg: DictConfig) -> bool:
    """Whether the electrons are solved: data are made, or spins move in the exact field.

    A dataset that exists already is not looked for.
    """
    task = cfg.task.name
    if task in ("label", "benchmark"):
        return True
    if task == "simulate":
        return cfg.checkpoint is None
    return task in ("pipeline", "train") and cfg.data.path is None


def lattice_keys(cfg: DictConfig) -> list[str]:
    """Keys of the lattice shapes on which the electrons are solved."""
    if not makes_labels(cfg):
        return []
    if cfg.task.name == "benchmark":
        return [f"task.shapes[{i}]" for i in range(len(cfg.task.shapes))]
    return ["lattice.shape"]
