"""How a model is trained, what it costs, how wrong it is, and where it comes from."""

from __future__ import annotations
