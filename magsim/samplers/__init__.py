"""Where the spin configurations come from that get exact labels."""

from __future__ import annotations

from magsim.samplers.base import Before, Piece, Sampler, Sampling, SpinBatch
from magsim.samplers.file import FileSampler
from magsim.samplers.llg import QuenchSampler, ThermalSampler
from magsim.samplers.mixed import MixedSampler
from magsim.samplers.random import RandomSampler

SAMPLERS: dict[str, type[Sampler]] = {
    cls.name: cls for cls in (RandomSampler, QuenchSampler, ThermalSampler, FileSampler, MixedSampler)
}

__all__ = [
    "SAMPLERS",
    "Before",
    "FileSampler",
    "MixedSampler",
    "Piece",
    "QuenchSampler",
    "RandomSampler",
    "Sampler",
    "Sampling",
    "SpinBatch",
    "ThermalSampler",
]
