"""Exact electron-mediated energies and fields: Hamiltonian + spins -> Labels."""

from __future__ import annotations

from magsim.labelers.ed import EDLabeler
from magsim.labelers.labels import Labeler, Labels

__all__ = ["EDLabeler", "Labeler", "Labels"]
