"""Nonequilibrium Green's functions of a strip between two leads."""

from __future__ import annotations

from magsim.labelers.negf.labeler import NEGFLabeler

__all__ = ["NEGFLabeler"]
