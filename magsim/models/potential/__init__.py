"""Models of driven magnets: fields that no energy alone gives."""

from __future__ import annotations

from magsim.models.potential.model import FORMS, PotentialModel

__all__ = ["FORMS", "PotentialModel"]
