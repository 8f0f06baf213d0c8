"""Two domains side by side along the first lattice direction, which is open; ``(N, 3)``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.spins.geometry import normalise
from magsim.spins.textures import neel

WIDTH = 4.0  # of a 180-degree wall, in columns


def afm_fm_wall(lattice: Lattice, position: float | None = None) -> np.ndarray:
    """Neel order along x in the columns ``x <= position``, all spins along +z beyond.

    The two are perpendicular, as an antiferromagnet lies in the exchange field of a magnet. Beside a parallel
    one no spin would feel any torque, in whatever voltage.

    Args:
        lattice: chain, square or cubic.
        position: of the wall, in columns from that of x = 0; None: the middle.

    Raises:
        ConfigError: see :func:`wall_place`; an odd side across that is periodic.
    """
    x, place = lattice.cells[:, 0], wall_place(lattice, position)
    # columns along x need not be even: they do not close
    order = neel(lattice.with_shape((2 * ((lattice.shape[0] + 1) // 2), *lattice.shape[1:])))
    spins = order[: lattice.n_sites][:, [2, 0, 1]]
    spins[x > place] = [0.0, 0.0, 1.0]
    return spins


def domain_wall(lattice: Lattice, position: float | None = None, width: float = WIDTH) -> np.ndarray:
    """A 180-degree wall, ``S = (1/cosh u, 0, -tanh u)`` with ``u = (x - position)/width``: up on the left.

    It is at rest where ``width = sqrt(A/K)`` for an energy ``A (dS/dx)^2 - K S_z^2`` of each site.

    Args:
        position: of the wall, in columns from that of x = 0; None: the middle.
        width: in columns.

    Raises:
        ConfigError: see :func:`wall_place`; a width that is not positive.
    """
    if not 0 < width < np.inf:
        raise ConfigError("protocol.width", width, "the width of a wall is positive.")
    u = (lattice.cells[:, 0] - wall_place(lattice, position)) / width
    return np.stack([1 / np.cosh(u), np.zeros_like(u), -np.tanh(u)], axis=-1)


def wall_place(lattice: Lattice, position: float | None) -> float:
    """The position of a wall on a lattice.

    Raises:
        ConfigError: the first direction is periodic, or the wall lies beyond the lattice.
    """
    if lattice.periodic[0]:
        raise ConfigError(
            "lattice.boundary", list(lattice.boundary), "a wall across x needs the first boundary open."
        )
    last = lattice.shape[0] - 1
    if position is None:
        return last / 2
    if not 0 <= position <= last:
        raise ConfigError("protocol.wall", position, f"the columns of this lattice are from 0 to {last}.")
    return float(position)


def tilted(spins: np.ndarray, tilt: float, rng: np.random.Generator) -> np.ndarray:
    """Spins ``(N, 3)`` turned by small random angles, Gaussian with rms ``tilt`` in each direction of the
    plane perpendicular to the spin."""
    kick = tilt * rng.normal(size=spins.shape)
    return normalise(spins + kick - (kick * spins).sum(-1, keepdims=True) * spins)


WALLS: dict[str, Callable[..., np.ndarray]] = {"afm_fm_wall": afm_fm_wall, "domain_wall": domain_wall}
"""By name; called with the lattice, and by keyword with what the wall knows."""
