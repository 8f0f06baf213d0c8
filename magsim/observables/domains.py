"""Structure factor of the chirality and the size of its domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.errors import ConfigError, DataError
from magsim.lattice import Lattice
from magsim.observables.chirality import scalar_chirality
from magsim.observables.fourier import linear_size, squared, wavevectors
from magsim.observables.tables import namespace, table

ROUNDING = 1e-6


def _kinds(lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """``(n_kinds * n_cells,)`` triangle of each kind and cell, M where the boundary cuts it off; centre
    ``(n_kinds, 2)`` of each kind in its cell, in lattice vectors."""
    centres = lattice.triangle_centres(lattice.triangles()) @ np.linalg.inv(lattice.vectors)
    cell = np.floor(centres + ROUNDING).astype(np.int64)
    offset = np.round((centres - cell) / ROUNDING).astype(np.int64)
    kinds, kind = np.unique(offset, axis=0, return_inverse=True)
    home = np.ravel_multi_index(tuple((cell % np.array(lattice.shape)).T), lattice.shape)
    grid = np.full(len(kinds) * lattice.n_cells, len(centres))
    grid[kind.reshape(-1) * lattice.n_cells + home] = np.arange(len(centres))
    return grid, kinds * ROUNDING


def _grid(lattice: Lattice) -> np.ndarray:
    return _kinds(lattice)[0]


def _lengths(lattice: Lattice) -> np.ndarray:
    return np.linalg.norm(wavevectors(lattice), axis=-1)


def triangle_kinds(lattice: Lattice) -> np.ndarray:
    """``(n_kinds, d)`` centres of the triangles of one cell, from its origin."""
    return _kinds(lattice)[1] @ lattice.vectors


def on_cells(lattice: Lattice, values: Any) -> Any:
    """A field on the triangles as one grid over the cells for each kind of triangle (up, down).

    Args:
        values: ``(..., M)`` real, one value per triangle of ``lattice.triangles()``.

    Returns:
        ``(..., n_kinds, *shape)``, kinds as in :func:`triangle_kinds`; 0 where an open boundary cuts the
        triangle off.

    Raises:
        DataError: ``values`` has another number of triangles.
    """
    n_triangles = len(table(lattice, "triangles", Lattice.triangles, values))
    if values.shape[-1] != n_triangles:
        raise DataError("values", f"{values.shape[-1]} values for {n_triangles} triangles of the lattice.")
    xp = namespace(values)
    padded = xp.concatenate((values, xp.zeros_like(values[..., :1])), -1)
    grid = padded[..., table(lattice, "triangle grid", _grid, values)]
    return grid.reshape(*values.shape[:-1], -1, *lattice.shape)


def triangle_structure_factor(lattice: Lattice, values: Any) -> Any:
    """S_v(q) = (1/M) sum_kinds |sum_R v_R exp(-i q . R)|^2 of a field v on the triangles.

    Each kind of triangle of the unit cell (up, down) enters with its own structure factor. This makes S_v
    periodic in the reciprocal lattice and invariant under every lattice operation, and its mean over q is the
    mean of v^2.

    Args:
        values: ``(..., M)`` real, one value per triangle of ``lattice.triangles()``.

    Returns:
        ``(..., *shape)`` on :func:`magsim.observables.wavevectors`, FFT order.

    Raises:
        DataError: ``values`` has another number of triangles.
    """
    grid = on_cells(lattice, values)
    amplitude = namespace(values).fft.fftn(grid, None, tuple(range(-lattice.dim, 0)))
    return squared(amplitude).sum(-1 - lattice.dim) / values.shape[-1]


def chirality_structure_factor(lattice: Lattice, spins: Any) -> Any:
    """Structure factor of the scalar chirality, :func:`triangle_structure_factor` of chi_p.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(..., *shape)``.
    """
    return triangle_structure_factor(lattice, scalar_chirality(lattice, spins))


def first_moment_length(lattice: Lattice, structure_factor: Any) -> Any:
    """Length 2 pi / <|q|> with <|q|> = sum_q |q| S(q) / sum_q S(q) over the first Brillouin zone.

    A sinusoidal modulation of wavelength l gives exactly l. The usual measure of coarsening, L(t) up to a
    constant; see Bray, Adv. Phys. 51, 481 (2002), doi:10.1080/00018730110117433. It ends at the linear size
    (volume)^(1/d) of the lattice, which it reports when a single domain is left.

    Args:
        structure_factor: ``(..., *shape)``, FFT order.

    Returns:
        ``(...)`` in lattice constants.
    """
    if lattice.n_cells < 2:
        raise ConfigError(
            "lattice.shape", list(lattice.shape), "one cell has no wavevector to measure a length."
        )
    weight = structure_factor.reshape(*structure_factor.shape[: -lattice.dim], -1)
    q = table(lattice, "|q|", _lengths, weight).reshape(-1)
    total = weight.sum(-1)
    # a state without any chirality has no length scale; 0/0 would be a NaN in the series
    mean = (weight * q).sum(-1) / (total + (total == 0))
    smallest = 2 * np.pi / linear_size(lattice)
    return 2 * np.pi / mean.clip(min=smallest)


def chirality_domain_size(lattice: Lattice, spins: Any) -> Any:
    """Size L of chiral domains, first-moment length of the chirality structure factor.

    L = 2 pi sum_q S_chi(q) / sum_q |q| S_chi(q), q = 0 included, S_chi summed over up and down triangles.
    Used for the quench of the tetrahedral phase by Fan, Zhang and Chern, arXiv:2403.11705.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)`` in lattice constants, at most the linear size of the lattice.
    """
    return first_moment_length(lattice, chirality_structure_factor(lattice, spins))
