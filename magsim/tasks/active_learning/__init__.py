"""Active learning: its rounds, its choice of states, its page."""

from __future__ import annotations
