"""Sites in space, and in the order in which other programs count them."""

from __future__ import annotations

import numpy as np

from magsim.lattice import Lattice


def in_space(vectors: np.ndarray) -> np.ndarray:
    """``(n, 3)`` of ``(n, d)`` vectors, zeros added."""
    return np.pad(np.asarray(vectors, dtype=float), ((0, 0), (0, 3 - np.shape(vectors)[1])))


def first_axis_fastest(lattice: Lattice) -> np.ndarray:
    """``(N,)`` sites ordered with the basis fastest, then the first axis of cells, then the second, ...

    Here the last axis is the fastest, ``i = (x*Ly + y)*n_basis + b``; OVF and Spirit count
    ``(y*Lx + x)*n_basis + b``.
    """
    numbers = np.arange(lattice.n_sites).reshape(*lattice.shape, lattice.n_basis)
    return numbers.transpose(*reversed(range(lattice.dim)), lattice.dim).reshape(-1)


def cell_counts(lattice: Lattice) -> tuple[int, int, int]:
    """Cells along three axes, 1 where the lattice has none."""
    return (*lattice.shape, *(1,) * (3 - lattice.dim))  # type: ignore[return-value]


def is_rectangular(lattice: Lattice) -> bool:
    """Whether the sites are a rectangular mesh along x, y and z."""
    axes = lattice.vectors - np.diag(np.diag(lattice.vectors))
    return lattice.n_basis == 1 and bool(np.abs(axes).max() < 1e-12)
