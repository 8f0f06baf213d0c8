"""Uniform magnetisation."""

from __future__ import annotations

from typing import Any

from magsim.lattice import Lattice
from magsim.observables.tables import checked, namespace


def magnetisation_vector(lattice: Lattice, spins: Any) -> Any:
    """Mean spin m = (1/N) sum_i S_i.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., 3)``, in units of the spin length.
    """
    return checked(lattice, spins).mean(-2)


def magnetisation(lattice: Lattice, spins: Any) -> Any:
    """Length of the mean spin |m| = |(1/N) sum_i S_i|: 1 for a ferromagnet, ~ N^-1/2 for random spins.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, between 0 and 1.
    """
    mean = magnetisation_vector(lattice, spins)
    return namespace(spins).sqrt((mean * mean).sum(-1))
