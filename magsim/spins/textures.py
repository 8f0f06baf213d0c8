"""Reference textures ``(N, 3)``; each says on which lattices it fits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.spins.geometry import normalise


def ferromagnet(lattice: Lattice) -> np.ndarray:
    """All spins along +z."""
    return np.tile([0.0, 0.0, 1.0], (lattice.n_sites, 1))


def spiral(lattice: Lattice, wavevector: np.ndarray) -> np.ndarray:
    """Planar spiral ``S_i = (cos q.r_i, sin q.r_i, 0)``; ``wavevector`` q ``(d,)``."""
    angle = lattice.positions @ np.asarray(wavevector, dtype=float)
    return np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)


def neel(lattice: Lattice) -> np.ndarray:
    """Two-sublattice antiferromagnet along z: chain, square, honeycomb, cubic (even sides when periodic)."""
    if lattice.name == "honeycomb":
        sign = 1 - 2 * lattice.sublattice
    elif lattice.name in ("chain", "square", "cubic"):
        _needs_multiple(lattice, 2, "the Neel order")
        sign = 1 - 2 * (lattice.cells.sum(axis=1) % 2)
    else:
        raise ConfigError(
            "lattice.name", lattice.name, "the Neel order needs chain, square, honeycomb or cubic."
        )
    return sign[:, None] * ferromagnet(lattice)


def order_120(lattice: Lattice) -> np.ndarray:
    """Coplanar 120-degree order of the triangular lattice (periodic sides are multiples of 3)."""
    _needs_triangular(lattice, "the 120-degree order")
    _needs_multiple(lattice, 3, "the 120-degree order")
    return spiral(lattice, (lattice.reciprocal[0] + 2 * lattice.reciprocal[1]) / 3)


def tetrahedral(lattice: Lattice) -> np.ndarray:
    """Four-sublattice tetrahedral order of the triangular lattice (even sides when periodic).

    The spins point to the corners of a regular tetrahedron, ``S_i . S_j = -1/3`` between neighbours, and
    every triangle has the scalar chirality ``S_i . (S_j x S_k) = 4/(3 sqrt 3)`` with one sign (Martin and
    Batista, Phys. Rev. Lett. 101, 156402, doi:10.1103/PhysRevLett.101.156402).
    """
    _needs_triangular(lattice, "the tetrahedral order")
    _needs_multiple(lattice, 2, "the tetrahedral order")
    corners = normalise(np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]))
    x, y = lattice.cells.T % 2
    return corners[2 * x + y]


TEXTURES: dict[str, Callable[[Lattice], np.ndarray]] = {
    "ferromagnet": ferromagnet,
    "neel": neel,
    "order_120": order_120,
    "tetrahedral": tetrahedral,
}


def _needs_triangular(lattice: Lattice, what: str) -> None:
    if lattice.name != "triangular":
        raise ConfigError("lattice.name", lattice.name, f"{what} needs the triangular lattice.")


def _needs_multiple(lattice: Lattice, period: int, what: str) -> None:
    if any(n % period for n, periodic in zip(lattice.shape, lattice.periodic, strict=True) if periodic):
        raise ConfigError(
            "lattice.shape",
            list(lattice.shape),
            f"{what} needs periodic sides that are multiples of {period}.",
        )
