"""Labelers: the solvers of the electrons."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class LabelerConfig:
    """The solver of the electrons; ``batch_size`` configurations at a time."""

    name: str = MISSING
    batch_size: int | None = MISSING  # configurations solved at a time, null: what fits; labels are the same
