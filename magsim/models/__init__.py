"""Learned energies of spin configurations: invariants -> sum of site energies -> field by automatic differentiation."""

from magsim.models.base import EnergyModel
from magsim.models.bp import BehlerParrinello
from magsim.models.linear import LinearModel

__all__ = ["BehlerParrinello", "EnergyModel", "LinearModel"]
