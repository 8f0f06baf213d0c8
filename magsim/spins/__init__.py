"""Spin configurations: geometry on the sphere, random spins, reference textures, seeds."""

from __future__ import annotations

from magsim.spins.geometry import normalise, random_rotation, random_spins, transverse
from magsim.spins.seeds import rng, seed_sequence
from magsim.spins.textures import TEXTURES, ferromagnet, neel, order_120, spiral, tetrahedral
from magsim.spins.walls import WALLS, afm_fm_wall, domain_wall, tilted

__all__ = [
    "TEXTURES",
    "WALLS",
    "afm_fm_wall",
    "domain_wall",
    "ferromagnet",
    "neel",
    "normalise",
    "order_120",
    "random_rotation",
    "random_spins",
    "rng",
    "seed_sequence",
    "spiral",
    "tetrahedral",
    "tilted",
    "transverse",
]
