"""Datasets (store, split), losses, Lightning modules and checkpoints. Import from the modules."""

from __future__ import annotations
