"""What lies where along a strip that is open along its first direction: profiles, and walls across it."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.clusters import neighbour_sum
from magsim.observables.tables import checked, is_torch, namespace, table

STEEP = 1 - 1e-9  # components of a spin profile count as at most this


def profile(lattice: Lattice, values: Any) -> Any:
    """Mean over each column, the sites of one x.

    Args:
        values: ``(..., N)`` of every site.

    Returns:
        ``(..., L_x)``.
    """
    return values.reshape(*values.shape[:-1], lattice.shape[0], -1).mean(-1)


def correlation_profile(lattice: Lattice, spins: Any) -> Any:
    """Mean of ``S_i . S_j`` over the nearest neighbours j of the sites i of each column.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., L_x)`` between -1 (Neel order) and 1 (ferromagnet).
    """
    number = table(lattice, "neighbours of a column", _neighbours, spins)
    return profile(lattice, neighbour_sum(lattice, spins)) / number


def afm_fm_wall_position(lattice: Lattice, spins: Any) -> Any:
    """Where an antiferromagnet on the left ends and a ferromagnet begins, in columns.

    In each row the correlations ``c(x + 1/2) = S(x) . S(x+1)`` of its bonds along x change their sign at
    the wall; between the two bonds beside it the zero lies on a straight line. Of several changes the one
    counts left of which the sum of c is lowest, so that no disorder within a domain is taken for the wall.
    The position is the mean over the rows. A sharp wall between perpendicular domains at X + 1/2 is there; 0
    where all is ferromagnetic, ``L_x - 1`` where all is antiferromagnetic.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, x = 0 being the first column.

    Raises:
        ConfigError: the first direction is periodic, or has fewer than two columns.
    """
    _needs_open(lattice)
    spins = checked(lattice, spins)
    columns = spins.reshape(*spins.shape[:-2], lattice.shape[0], -1, 3)
    bonds = (columns[..., :-1, :, :] * columns[..., 1:, :, :]).sum(-1).swapaxes(-1, -2)  # (..., rows, bonds)
    xp = namespace(bonds)
    one = xp.ones_like(bonds[..., :1])  # beyond the ends the domains go on
    c = xp.concatenate([-one, bonds, one], -1)
    left = c[..., :-1].cumsum(-1).argmin(-1)[..., None]
    a, b = _taken(c, left), _taken(c, left + 1)  # a <= 0 <= b
    return (left - 0.5 + a / (a - b))[..., 0].mean(-1)


def domain_wall_position(lattice: Lattice, spins: Any) -> Any:
    """Where the z component changes its sign along the strip: the place of a 180-degree wall, in columns.

    Of all cuts the one with the largest ``|sum_{x<=k} m(x) - sum_{x>k} m(x)|`` for the mean m(x) of S_z over
    a column; between the two columns at it ``artanh m``, which is linear in x for a wall ``m = tanh((x -
    X)/w)``, gives the zero far below a lattice constant. NaN where m has one sign: no wall.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, x = 0 being the first column.

    Raises:
        ConfigError: the first direction is periodic, or has fewer than two columns.
    """
    _needs_open(lattice)
    m = profile(lattice, checked(lattice, spins)[..., 2])
    xp = namespace(m)
    order = abs(2 * m.cumsum(-1) - m.sum(-1)[..., None])[..., :-1]
    left = order.argmax(-1)[..., None]
    a, b = _taken(m, left), _taken(m, left + 1)
    u, v = (xp.arctanh(xp.clip(end, -STEEP, STEEP)) for end in (a, b))
    found = a * b <= 0
    share = abs(u) / (abs(u) + abs(v) + (abs(u) + abs(v) == 0))
    return xp.where(found, left + share, float("nan") * a)[..., 0]


def fit_velocity(time: np.ndarray, position: np.ndarray, window: tuple[float, float]) -> float:
    """Slope of a straight line through positions ``(F,)`` at times within a window, by least squares; NaN
    with fewer than two of them."""
    inside = (time >= window[0]) & (time <= window[1]) & np.isfinite(position)
    if inside.sum() < 2:
        return float("nan")
    return float(np.polyfit(time[inside], position[inside], 1)[0])


def _neighbours(lattice: Lattice) -> np.ndarray:
    """``(L_x,)`` mean number of nearest neighbours of the sites of a column."""
    count = np.bincount(lattice.shells(1)[0].i, minlength=lattice.n_sites).astype(float)
    return profile(lattice, count)


def _taken(values: Any, index: Any) -> Any:
    """``values (..., L)`` at ``index (..., 1)``."""
    if is_torch(values):
        return values.take_along_dim(index, -1)
    return namespace(values).take_along_axis(values, index, -1)


def _needs_open(lattice: Lattice) -> None:
    if lattice.periodic[0]:
        raise ConfigError(
            "lattice.boundary", list(lattice.boundary), "a wall across x needs the first boundary open."
        )
    if lattice.shape[0] < 2:
        raise ConfigError("lattice.shape", list(lattice.shape), "a wall across x needs two columns.")
