"""Equivariant message passing: channels of spin irreps with a time parity, neighbours by lattice irreps."""

from __future__ import annotations

from magsim.models.equivariant.kinds import Kind
from magsim.models.equivariant.layer import Layer
from magsim.models.equivariant.model import OUTPUTS, EquivariantModel

__all__ = ["OUTPUTS", "EquivariantModel", "Kind", "Layer"]
