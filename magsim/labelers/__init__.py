"""Exact electron-mediated energies and fields: Hamiltonian + spins -> Labels."""

from __future__ import annotations

from collections.abc import Callable

from magsim.labelers.auto import AutoLabeler
from magsim.labelers.costs import Costs
from magsim.labelers.ed import EDLabeler
from magsim.labelers.greens import GreensLabeler
from magsim.labelers.kpm import KPMLabeler
from magsim.labelers.labels import Labeler, Labels
from magsim.labelers.negf import NEGFLabeler

# Name of the option -> labeler; called with the Hamiltonian, ``device`` and the keys of the option.
LABELERS: dict[str, Callable[..., Labeler]] = {
    "auto": AutoLabeler,
    "ed": EDLabeler,
    "greens": GreensLabeler,
    "kpm": KPMLabeler,
    "negf": NEGFLabeler,
}

__all__ = [
    "LABELERS",
    "AutoLabeler",
    "Costs",
    "EDLabeler",
    "GreensLabeler",
    "KPMLabeler",
    "Labeler",
    "Labels",
    "NEGFLabeler",
]
