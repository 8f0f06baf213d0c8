"""Tasks: the only place that wires configuration, physics, runs and reports together."""

from __future__ import annotations
