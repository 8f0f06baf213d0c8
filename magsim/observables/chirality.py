"""Scalar spin chirality on elementary triangles."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.tables import checked, namespace, table

TETRAHEDRAL_CHIRALITY = 4.0 / (3.0 * np.sqrt(3.0))
"""|S_i . (S_j x S_k)| of four-sublattice tetrahedral order, 0.76980."""


def triple_product(a: Any, b: Any, c: Any) -> Any:
    """a . (b x c) of arrays ``(..., 3)``."""
    return (
        a[..., 0] * (b[..., 1] * c[..., 2] - b[..., 2] * c[..., 1])
        + a[..., 1] * (b[..., 2] * c[..., 0] - b[..., 0] * c[..., 2])
        + a[..., 2] * (b[..., 0] * c[..., 1] - b[..., 1] * c[..., 0])
    )


def scalar_chirality(lattice: Lattice, spins: Any) -> Any:
    """chi_p = S_i . (S_j x S_k) on every elementary triangle p = (ijk), corners counter-clockwise.

    Odd under time reversal and under mirrors of the lattice, unchanged by a common rotation of the spins.
    Triangles are those of ``lattice.triangles()``: nearest-neighbour triangles on the triangular (up and
    down) and kagome lattices, a triangulation on others. See Martin and Batista, Phys. Rev. Lett. 101, 156402
    (2008), doi:10.1103/PhysRevLett.101.156402.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., M)``, between -1 and 1; +-0.76980 with one sign in tetrahedral order.

    Raises:
        ConfigError: the lattice is not two-dimensional or too small for a triangle.
    """
    spins = checked(lattice, spins)
    corner = table(lattice, "triangles", Lattice.triangles, spins)
    if len(corner) == 0:
        raise ConfigError("lattice.shape", list(lattice.shape), "has no triangle to measure a chirality on.")
    return triple_product(
        spins[..., corner[:, 0], :], spins[..., corner[:, 1], :], spins[..., corner[:, 2], :]
    )


def mean_chirality(lattice: Lattice, spins: Any) -> Any:
    """Order parameter (1/M) sum_p chi_p of the chiral (Ising) symmetry; 0 when both domains balance.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``.
    """
    return scalar_chirality(lattice, spins).mean(-1)


def mean_abs_chirality(lattice: Lattice, spins: Any) -> Any:
    """Local chiral order (1/M) sum_p |chi_p|, blind to which domain a triangle is in.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``: 0.76980 in tetrahedral order, less in domain walls, pi/8 = 0.393 for random spins, 0 for
        coplanar ones.
    """
    return abs(scalar_chirality(lattice, spins)).mean(-1)


def chirality_domains(lattice: Lattice, spins: Any, threshold: float = 0.0) -> Any:
    """Domain map sign(chi_p): which of the two chiral domains every triangle belongs to.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        threshold: triangles with |chi_p| <= threshold are walls and give 0.

    Returns:
        ``(..., M)`` of -1, 0, +1 in the dtype of the spins.
    """
    chirality = scalar_chirality(lattice, spins)
    return namespace(spins).sign(chirality) * (abs(chirality) > threshold)
