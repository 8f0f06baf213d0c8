"""Electrons on a lattice that a diagonalisation does not reach, and in reference textures."""

from __future__ import annotations
