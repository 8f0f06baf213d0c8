"""Averages over replicas and over pairs of times."""

from __future__ import annotations

from typing import Any

from magsim.lattice import Lattice
from magsim.observables.tables import checked


def binder_cumulant(values: Any) -> Any:
    """Binder's fourth-order cumulant U = 1 - <m^4> / (3 <m^2>^2) over replicas.

    2/3 in a broken symmetry. Without order 0 for a scalar (chirality, where m has mean zero) and 4/9 for the
    length of a vector of three components (magnetisation); curves of different sizes cross at a continuous
    transition. Source: Binder, Z. Phys. B 43, 119 (1981), doi:10.1007/BF01293604.

    Args:
        values: ``(..., R)`` order parameter m of R replicas, signed or a length.

    Returns:
        ``(...)``; 0 where all values are zero.
    """
    square = (values * values).mean(-1)
    fourth = (values**4).mean(-1)
    return (1 - fourth / (3 * square * square + (square == 0))) * (square > 0)


def two_time_correlation(lattice: Lattice, spins: Any, earlier: Any) -> Any:
    """C(t, t_w) = (1/N) sum_i S_i(t) . S_i(t_w), the memory of the state at the waiting time t_w.

    1 at t = t_w; a function of t - t_w in a stationary state, of L(t) / L(t_w) after a quench: Bray,
    Adv. Phys. 51, 481 (2002), doi:10.1080/00018730110117433.

    Args:
        spins: ``(..., N, 3)`` at t.
        earlier: spins at t_w, of a shape that broadcasts with them.

    Returns:
        ``(...)``, between -1 and 1.
    """
    return (checked(lattice, spins) * checked(lattice, earlier)).sum(-1).mean(-1)
