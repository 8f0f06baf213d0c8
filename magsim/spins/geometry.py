"""Geometry on the unit sphere; arrays ``(..., 3)`` of NumPy, CuPy or torch."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

Array = TypeVar("Array")


def normalise(vectors: Array) -> Array:
    """``v / |v|`` along the last axis."""
    v: Any = vectors
    return v / ((v * v).sum(-1) ** 0.5)[..., None]


def transverse(field: Array, spins: Array) -> Array:
    """The part of a field that turns the spins, ``F - (F.S) S``; shapes ``(..., 3)``.

    Its length equals that of the torque ``S x F``.
    """
    f: Any = field
    return f - (f * spins).sum(-1)[..., None] * spins


def random_spins(n_sites: int, rng: np.random.Generator, batch: tuple[int, ...] = ()) -> np.ndarray:
    """Independent spins, uniform on the sphere; ``batch + (n_sites, 3)``."""
    return normalise(rng.normal(size=(*batch, n_sites, 3)))


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A proper rotation matrix ``(3, 3)``, uniform over SO(3) (from a random unit quaternion)."""
    from scipy.spatial.transform import Rotation

    return Rotation.random(random_state=rng).as_matrix()
