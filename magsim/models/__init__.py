"""Learned energies of spin configurations: invariants -> sum of site energies -> field by autograd."""

from __future__ import annotations

from magsim.models.base import EnergyModel
from magsim.models.bp import BehlerParrinello
from magsim.models.linear import LinearModel

__all__ = ["BehlerParrinello", "EnergyModel", "LinearModel"]
