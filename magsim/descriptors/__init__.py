"""Symmetry-aware inputs of the force fields."""
