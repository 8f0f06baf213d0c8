"""Finished runs side by side."""

from __future__ import annotations
