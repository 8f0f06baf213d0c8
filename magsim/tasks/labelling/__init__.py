"""How a dataset is filled: here or by workers, piece by piece, to the same last bit."""

from __future__ import annotations
