"""Exact electron-mediated energies and fields: Hamiltonian + spins -> Labels."""

from __future__ import annotations

from collections.abc import Callable

from magsim.labelers.ed import EDLabeler
from magsim.labelers.kpm import KPMLabeler
from magsim.labelers.labels import Labeler, Labels

# Name of the option -> labeler; called with the Hamiltonian, ``device`` and the keys of the option.
LABELERS: dict[str, Callable[..., Labeler]] = {"ed": EDLabeler, "kpm": KPMLabeler}

__all__ = ["LABELERS", "EDLabeler", "KPMLabeler", "Labeler", "Labels"]
