"""labeler=kpm: Chebyshev moments with probe vectors, and the exact gradient of what they give."""

from __future__ import annotations

from magsim.labelers.kpm.labeler import KPMLabeler

__all__ = ["KPMLabeler"]
