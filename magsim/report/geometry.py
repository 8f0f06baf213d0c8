"""Where things lie on the paper: windows of periodic lattices and the Brillouin zone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice

MARGIN = 0.5


@dataclass(frozen=True)
class Window:
    """Rectangle ``[left, right] x [bottom, top]`` in units of the nearest-neighbour distance."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def grid(self, longest: int) -> tuple[np.ndarray, tuple[float, float, float, float]]:
        """``(ny, nx, 2)`` pixel centres, ``longest`` pixels on the longer side, and the extent for imshow."""
        scale = longest / max(self.width, self.height)
        nx, ny = (max(1, round(side * scale)) for side in (self.width, self.height))
        x = self.left + (np.arange(nx) + 0.5) * self.width / nx
        y = self.bottom + (np.arange(ny) + 0.5) * self.height / ny
        return np.stack(np.meshgrid(x, y), axis=-1), (self.left, self.right, self.bottom, self.top)


def planar(lattice: Lattice, what: str) -> None:
    """Refuse lattices that are no plane.

    Raises:
        ConfigError: the lattice is not two-dimensional.
    """
    if lattice.dim != 2:
        raise ConfigError("lattice.name", lattice.name, f"{what} needs a two-dimensional lattice.")


def window(lattice: Lattice) -> Window:
    """The rectangle to draw: one period of a periodic lattice, however oblique its cell, else all sites.

    A lattice periodic along its first vector (the x axis) is cut into an upright rectangle of the same area;
    copies of what crosses its edges come from :func:`images`.
    """
    positions = lattice.positions
    low, high = positions.min(axis=0) - MARGIN, positions.max(axis=0) + MARGIN
    first, second = (n * v for n, v in zip(lattice.shape, lattice.vectors, strict=True))
    if lattice.periodic[0]:
        low[0], high[0] = -MARGIN, first[0] - MARGIN
    if lattice.periodic[1] and (lattice.periodic[0] or second[0] == 0):
        row = lattice.vectors[1, 1] / 2 if lattice.n_basis == 1 else MARGIN
        low[1], high[1] = -row, second[1] - row
    return Window(float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def images(lattice: Lattice, corners: np.ndarray, view: Window) -> tuple[np.ndarray, np.ndarray]:
    """Periodic images of polygons that reach into a window.

    Args:
        corners: ``(M, k, 2)`` polygons; k = 1 for points.
        view: the window.

    Returns:
        polygons ``(n, k, 2)`` and the index ``(n,)`` of the polygon that each one is an image of.
    """
    periods = np.array(lattice.shape)[:, None] * lattice.vectors
    reach = [range(-2, 3) if periodic else (0,) for periodic in lattice.periodic]
    shapes, origin = [], []
    # points keep a rim, so that the nearest site of a pixel at the edge may lie outside
    rim = 2.0 if corners.shape[1] == 1 else 0.0
    for shift in product(*reach):
        moved = corners + np.array(shift) @ periods
        low, high = moved.min(axis=1), moved.max(axis=1)
        inside = (high[:, 0] > view.left - rim) & (low[:, 0] < view.right + rim)
        inside &= (high[:, 1] > view.bottom - rim) & (low[:, 1] < view.top + rim)
        shapes.append(moved[inside])
        origin.append(np.nonzero(inside)[0])
    return np.concatenate(shapes), np.concatenate(origin)


def brillouin_zone(lattice: Lattice) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Boundary of the first Brillouin zone of a two-dimensional lattice and its symmetry points.

    Returns:
        corners ``(n, 2)`` counter-clockwise, and the points by name: Gamma, K, M (hexagonal) or Gamma, X, M
        (square); only Gamma for less symmetric cells.

    Raises:
        ConfigError: the lattice is not two-dimensional.
    """
    planar(lattice, "the map of the Brillouin zone")
    from scipy.spatial import Voronoi

    points = np.array(list(product(range(-2, 3), repeat=2))) @ lattice.reciprocal
    cells = Voronoi(points)
    corners = cells.vertices[cells.regions[cells.point_region[len(points) // 2]]]
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    radius = np.linalg.norm(corners, axis=1)
    # cells of a square lattice can carry a doubled vertex
    corners = corners[np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1) > 1e-9 * radius.max()]
    middles = (corners + np.roll(corners, -1, axis=0)) / 2
    names = {r"$\Gamma$": np.zeros(2)}
    regular = np.ptp(np.linalg.norm(corners, axis=1)) < 1e-6
    if regular and len(corners) in (4, 6):
        corner, edge = ("K", "M") if len(corners) == 6 else ("M", "X")
        # the ones nearest to the x axis and just above it read best
        names[corner] = corners[np.argmin(np.abs(np.arctan2(corners[:, 1], corners[:, 0]) - 1e-6))]
        names[edge] = middles[np.argmin(np.abs(np.arctan2(middles[:, 1], middles[:, 0]) - 0.5))]
    return corners, names
