"""Equal-time spin correlations at fixed distance."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.tables import checked, table


def bonds_of_shell(lattice: Lattice, shell: int) -> np.ndarray:
    """``(2, M)`` both ends of every bond of a neighbour shell, each bond once."""
    pairs = lattice.shells(shell)[-1]
    # of i -> j and j -> i keep the one whose first non-zero displacement component is positive
    component = np.argmax(np.abs(pairs.displacement) > 1e-9, axis=1)
    forward = np.take_along_axis(pairs.displacement, component[:, None], axis=1)[:, 0] > 0
    return np.stack([pairs.i[forward], pairs.j[forward]])


def shell_correlation(lattice: Lattice, spins: Any, shell: int = 1) -> Any:
    """Mean of S_i . S_j over the bonds <ij> of one neighbour shell.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        shell: 1 for nearest neighbours, 2 for the next distance, ...

    Returns:
        ``(...)``, between -1 and 1. Ferromagnet 1, Neel order -1 and 120-degree order -1/2 on their
        nearest neighbours, tetrahedral order -1/3.

    Raises:
        ConfigError: shell below 1, or the lattice is too small to have bonds of that length.
    """
    if shell < 1:
        raise ConfigError("shell", shell, "neighbour shells are numbered from 1.")
    spins = checked(lattice, spins)
    bonds = table(lattice, f"bonds {shell}", partial(bonds_of_shell, shell=shell), spins)
    if bonds.shape[1] == 0:
        raise ConfigError("lattice.shape", list(lattice.shape), f"has no bond in neighbour shell {shell}.")
    return (spins[..., bonds[0], :] * spins[..., bonds[1], :]).sum(-1).mean(-1)


def nn_correlation(lattice: Lattice, spins: Any) -> Any:
    """Nearest-neighbour correlation, :func:`shell_correlation` of the first shell.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, between -1 and 1.
    """
    return shell_correlation(lattice, spins, 1)
