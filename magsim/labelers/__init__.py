"""Exact electron-mediated energies and fields: Hamiltonian + spins -> Labels."""

from magsim.labelers.ed import EDLabeler
from magsim.labelers.labels import Labeler, Labels

__all__ = ["EDLabeler", "Labeler", "Labels"]
