"""Order parameters from the highest peak of the structure factor, whatever the order is."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables.fourier import wavevectors
from magsim.observables.structure_factor import sublattice_structure_factor
from magsim.observables.tables import table


def ordering_wavenumber(lattice: Lattice, spins: Any) -> Any:
    """|Q| of the wavevector where S(q) is largest.

    0 for a ferromagnet, 4 pi/3 for 120-degree and 2 pi/sqrt(3) for tetrahedral order.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)`` in 1/a.
    """
    return _highest(lattice, spins)[0]


def ordering_weight(lattice: Lattice, spins: Any) -> Any:
    """Share of sum_q S(q) that lies at the wavevectors of length |Q|, with Q that of the highest peak.

    The square of the order parameter of every order whose wavevectors have one length: 1 for perfect
    ferromagnetic, Neel, 120-degree (+K and -K) and tetrahedral (three M) order, of order 1/N for random
    spins.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, between 0 and 1.
    """
    return _highest(lattice, spins)[1]


def _highest(lattice: Lattice, spins: Any) -> tuple[Any, Any]:
    intensity = sublattice_structure_factor(lattice, spins)
    flat = intensity.reshape(*intensity.shape[: -lattice.dim], -1)
    length = table(lattice, "lengths of wavevectors", _lengths, flat)
    found = length[flat.argmax(-1)]
    # lengths are rounded, so that all members of a star agree
    star = length == found[..., None]
    return found, (flat * star).sum(-1) / flat.sum(-1)


def _lengths(lattice: Lattice) -> np.ndarray:
    return np.round(np.linalg.norm(wavevectors(lattice), axis=-1).reshape(-1), 6)
