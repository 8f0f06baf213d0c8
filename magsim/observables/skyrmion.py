"""Topological charge of a spin texture on a lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.chirality import triple_product
from magsim.observables.tables import checked, namespace, table


def topological_charge_density(lattice: Lattice, spins: Any) -> Any:
    """q_p = Omega_p / 4 pi, the part of the sphere that each triangle of spins covers.

    tan(Omega/2) = S_1.(S_2 x S_3) / (1 + S_1.S_2 + S_2.S_3 + S_3.S_1), -2 pi < Omega < 2 pi, corners
    counter-clockwise. Source: Berg and Luscher, Nucl. Phys. B 190, 412 (1981),
    doi:10.1016/0550-3213(81)90568-X.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., M)``, one value per triangle of ``lattice.triangulation()``.

    Raises:
        ConfigError: the lattice is not two-dimensional.
    """
    spins = checked(lattice, spins)
    corner = table(lattice, "triangulation", Lattice.triangulation, spins)
    a, b, c = (spins[..., corner[:, k], :] for k in range(3))
    cosine = 1 + (a * b).sum(-1) + (b * c).sum(-1) + (c * a).sum(-1)
    return namespace(spins).arctan2(triple_product(a, b, c), cosine) / (2 * np.pi)


def skyrmion_number(lattice: Lattice, spins: Any) -> Any:
    """Skyrmion number Q = sum_p q_p of :func:`topological_charge_density`.

    Q = (1/4 pi) int S . (dS/dx x dS/dy) in the continuum: a skyrmion with its core down in an up background
    has Q = -1 and an antiskyrmion, wound the other way, +1. On a lattice periodic along both axes the
    triangles of spins close on the sphere, Q is an integer and is returned as one (rounded only by the
    arithmetic error). Undefined for exceptional states, whose triangles contain antipodal spins or lie on a
    great circle that they wind around (120-degree order).

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``; whole numbers in float format on a periodic lattice, any real number on one with an edge.

    Raises:
        ConfigError: the lattice is not two-dimensional.
    """
    charge = topological_charge_density(lattice, spins).sum(-1)
    return namespace(spins).round(charge) + 0.0 if all(lattice.periodic) else charge


def skyrmion_count(lattice: Lattice, spins: Any) -> Any:
    """|Q| of :func:`skyrmion_number`, where only chance decides between skyrmions and their mirror images.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, zero or positive.

    Raises:
        ConfigError: the lattice is not two-dimensional.
    """
    return abs(skyrmion_number(lattice, spins))
