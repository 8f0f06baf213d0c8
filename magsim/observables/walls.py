"""Domain walls of the scalar chirality: how long they are, and which way they run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.chirality import scalar_chirality
from magsim.observables.domains import on_cells, triangle_kinds
from magsim.observables.fourier import wavevectors
from magsim.observables.tables import is_torch, namespace, table

SMOOTHING = 1.5
"""Width of the Gaussian that blurs the chirality, in shortest lattice vectors: about that of a wall."""

ZERO = 1e-9  # blurred chiralities below count as none: rounding makes no walls


@dataclass(frozen=True, eq=False)
class Walls:
    """The pieces of the line where the blurred chirality changes sign, one for each triangle that it crosses.

    Attributes:
        length: ``(..., P)`` in lattice constants; 0 where there is no wall.
        direction: ``(..., P)`` angle of the wall with the x axis, 0 <= angle < pi.
    """

    length: Any
    direction: Any


def smooth_chirality(lattice: Lattice, spins: Any, width: float = SMOOTHING) -> Any:
    """Chirality at the cells, blurred by a Gaussian of standard deviation ``width``.

    m(R) = sum_p chi_p g(R - r_p) with the triangles at their true centres r_p, by Fourier transform, divided
    by the number of triangles in a cell: the amplitude of large domains is that of their chirality.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        width: in units of the shortest lattice vector.

    Returns:
        ``(..., *shape)``.

    Raises:
        ConfigError: a lattice that is not two-dimensional, or not periodic.
    """
    if lattice.dim == 2 and not all(lattice.periodic):
        raise ConfigError(
            "lattice.boundary", list(lattice.boundary), "domain walls need periodic boundaries."
        )
    grid = on_cells(lattice, scalar_chirality(lattice, spins))
    xp, axes = namespace(grid), (-2, -1)
    kernel = table(lattice, f"blur {width}", partial(_kernel, width=width), spins)
    return xp.fft.ifftn((xp.fft.fftn(grid, None, axes) * kernel).sum(-3), None, axes).real


def _kernel(lattice: Lattice, width: float) -> np.ndarray:
    """``(n_kinds, *shape)`` Fourier transform of the Gaussian about the centre of each kind of triangle."""
    q = wavevectors(lattice)
    sigma = width * np.linalg.norm(lattice.vectors, axis=1).min()
    centres = triangle_kinds(lattice)
    phases = np.exp(-1j * np.tensordot(centres, q, axes=(1, -1)))
    return phases * np.exp(-0.5 * sigma**2 * (q * q).sum(-1)) / len(centres)


def domain_walls(lattice: Lattice, spins: Any, width: float = SMOOTHING) -> Walls:
    """Walls between domains of opposite chirality: where :func:`smooth_chirality` is zero.

    Every cell is cut into two triangles; within each the field is interpolated linearly, and its zero is a
    straight piece of wall.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        width: see :func:`smooth_chirality`.

    Raises:
        ConfigError: a lattice that is not two-dimensional, or not periodic.
    """
    field = smooth_chirality(lattice, spins, width)
    xp = namespace(field)
    field = field * (abs(field) > ZERO)
    right, up, across = (_moved(field, shift) for shift in ((1, 0), (0, 1), (1, 1)))
    # corner values of the lower and the upper triangle of every cell
    values = xp.stack(
        (xp.stack((field, right, up), -1), xp.stack((across, up, right), -1)),
        -2,
    )
    edges = table(lattice, "half cells", _half_cells, spins)
    piece = _zero_line(values, edges)
    piece = piece.reshape(*piece.shape[:-4], -1, 2)
    direction = xp.arctan2(piece[..., 1], piece[..., 0]) % np.pi
    # a negative angle of rounding size becomes pi itself
    return Walls((piece * piece).sum(-1) ** 0.5, direction * (direction < np.pi))


def _moved(field: Any, shift: tuple[int, int]) -> Any:
    """The field of the cell ``shift`` cells on."""
    steps, axes = (-shift[0], -shift[1]), (-2, -1)
    return field.roll(steps, axes) if is_torch(field) else namespace(field).roll(field, steps, axes)


def _half_cells(lattice: Lattice) -> np.ndarray:
    """``(2, 3, 2)`` corner positions of the two triangles of a cell."""
    a, b = lattice.vectors
    return np.array([[0 * a, a, b], [a + b, b, a]])


def _zero_line(values: Any, corners: Any) -> Any:
    """``(..., 2, 2)`` vector along the zero of linear functions with ``values (..., 2, 3)`` at ``corners
    (2, 3, 2)``; zero where they have one sign."""
    total = 0.0
    positive = values >= 0
    for k in range(3):
        m, n = (k + 1) % 3, (k + 2) % 3
        # the corner k alone has its sign: the line crosses both edges that meet there
        alone = (positive[..., k] != positive[..., m]) & (positive[..., k] != positive[..., n])
        share = [alone * values[..., k] / (values[..., k] - values[..., c] + ~alone) for c in (m, n)]
        edge = [corners[:, c] - corners[:, k] for c in (m, n)]
        total = total + share[1][..., None] * edge[1] - share[0][..., None] * edge[0]
    return total


def wall_orientations(lattice: Lattice, spins: Any, bins: int = 36, width: float = SMOOTHING) -> Any:
    """Length of wall in each interval of directions, over the area of the lattice.

    Args:
        spins: ``(..., N, 3)`` unit vectors.
        bins: intervals of equal width from 0 to pi; the first one is centred on 0, the x axis.
        width: see :func:`smooth_chirality`.

    Returns:
        ``(..., bins)``, unit 1/a; their sum is :func:`wall_density`.
    """
    walls = domain_walls(lattice, spins, width)
    index = namespace(walls.direction).floor(walls.direction * (bins / np.pi) + 0.5) % bins
    counts = [(walls.length * (index == k)).sum(-1) for k in range(bins)]
    return namespace(walls.length).stack(counts, -1) / _area(lattice)


def wall_density(lattice: Lattice, spins: Any) -> Any:
    """Length of the chiral domain walls over the area of the lattice; its inverse is a domain size.

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``, unit 1/a.
    """
    return domain_walls(lattice, spins).length.sum(-1) / _area(lattice)


def wall_anisotropy(lattice: Lattice, spins: Any) -> Any:
    """Mean of cos n phi over the length of the chiral domain walls, phi their angle with a_1.

    n = 6 on hexagonal lattices, 4 on square ones, else 2; +1 for walls along lattice vectors, -1 for walls
    halfway between, 0 without a preferred direction (and without walls).

    Args:
        spins: ``(..., N, 3)`` unit vectors.

    Returns:
        ``(...)``.
    """
    walls = domain_walls(lattice, spins)
    xp = namespace(walls.length)
    start = float(np.arctan2(lattice.vectors[0, 1], lattice.vectors[0, 0]))
    total = walls.length.sum(-1)
    weighted = (walls.length * xp.cos(rotation_order(lattice) * (walls.direction - start))).sum(-1)
    return weighted / (total + (total == 0))


def rotation_order(lattice: Lattice) -> int:
    """Order of the rotations that directions in the plane of the lattice have: 6, 4 or 2."""
    a, b = lattice.vectors
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    if abs(np.linalg.norm(a) - np.linalg.norm(b)) > 1e-9:
        return 2
    return 4 if abs(cosine) < 1e-9 else 6 if abs(abs(cosine) - 0.5) < 1e-9 else 2


def _area(lattice: Lattice) -> float:
    return float(lattice.n_cells * abs(np.linalg.det(lattice.vectors)))
