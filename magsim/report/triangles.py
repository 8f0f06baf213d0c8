"""Maps of numbers on triangles: chirality and topological charge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.observables import TETRAHEDRAL_CHIRALITY
from magsim.report import style
from magsim.report.geometry import Window, images, planar, window
from magsim.report.maps import frame_panel, map_panels, nearest_points
from magsim.report.numbers import number

MAX_POLYGONS = 60_000


def chirality_map(
    path: str | Path, lattice: Lattice, chirality: Any, titles: Sequence[str] | str = ""
) -> Path:
    """Scalar chirality of every triangle in real space, one panel per frame; colours span that of tetrahedral
    order, 0.770.

    Args:
        path: figure to write.
        lattice: two-dimensional lattice.
        chirality: ``(M,)`` or ``(frames, M)``, order of ``lattice.triangles()``.
        titles: one title per frame.

    Returns:
        ``path``.
    """
    planar(lattice, "the chirality map")
    frames = np.atleast_2d(np.asarray(chirality, dtype=float))
    limit = float(TETRAHEDRAL_CHIRALITY)
    label = r"scalar chirality $\chi = \mathbf{S}_i\cdot(\mathbf{S}_j\times\mathbf{S}_k)$"
    ticks = list(limit * np.linspace(-1, 1, 5))
    return _map(path, lattice, lattice.triangles(), frames, _each(titles, frames), limit, label, ticks)


def charge_map(path: str | Path, lattice: Lattice, charge: Any, titles: Sequence[str] | str = "") -> Path:
    """Topological charge of every triangle in real space, one panel per frame; the total above each. Colours
    span what 99.5 % of the triangles stay within.

    Args:
        path: figure to write.
        lattice: two-dimensional lattice.
        charge: ``(M,)`` or ``(frames, M)`` of :func:`magsim.observables.topological_charge_density`.
        titles: one title per frame.

    Returns:
        ``path``.
    """
    planar(lattice, "the map of the topological charge")
    frames = np.atleast_2d(np.asarray(charge, dtype=float))
    limit = max(float(np.quantile(np.abs(frames), 0.995)), 1e-6)
    totals = [f"$Q = {round(float(values.sum()), 6) + 0.0:.5g}$" for values in frames]
    words = [", ".join(filter(None, pair)) for pair in zip(_each(titles, frames), totals, strict=True)]
    label = r"topological charge $\Omega/4\pi$ per triangle"
    return _map(path, lattice, lattice.triangulation(), frames, words, limit, label)


def _each(titles: Sequence[str] | str, frames: np.ndarray) -> list[str]:
    """A title for every frame, empty where none was given."""
    given = [titles] if isinstance(titles, str) else list(titles)
    return (given + [""] * len(frames))[: len(frames)]


def _map(
    path: str | Path,
    lattice: Lattice,
    triangles: np.ndarray,
    frames: np.ndarray,
    titles: Sequence[str],
    limit: float,
    label: str,
    ticks: Sequence[float] | None = None,
) -> Path:
    """Numbers of both signs on triangles, in colours from -limit to limit."""
    view, corners = window(lattice), lattice.triangle_corners(triangles)
    with map_panels(path, view, len(frames)) as (figure, axes):
        for panel, values, title in zip(axes, frames, titles, strict=False):
            artist = triangle_artist(panel, lattice, corners, values, view)
            artist.set(cmap=style.diverging(), clim=(-limit, limit))
            frame_panel(panel, view, title)
        bar = figure.colorbar(artist, ax=list(axes), shrink=0.8, aspect=25, pad=0.02, extend="both")
        if ticks is not None:
            bar.set_ticks(ticks, labels=[number(v, 3) for v in ticks])
        bar.set_label(label)
        bar.outline.set_linewidth(0.6)
    return Path(path)


def triangle_artist(
    axes: Any, lattice: Lattice, corners: np.ndarray, values: np.ndarray, view: Window
) -> Any:
    if len(corners) <= MAX_POLYGONS:
        from matplotlib.collections import PolyCollection

        polygons, origin = images(lattice, corners, view)
        artist = PolyCollection(list(polygons), array=values[origin], edgecolors="face", linewidths=0.4)
        artist.set_rasterized(True)
        return axes.add_collection(artist)
    # triangles smaller than a pixel: colour by the nearest centre, which is the triangle itself where
    # triangles are equilateral
    index, distance, extent = nearest_points(lattice, corners.mean(axis=1), view)
    image = np.where(distance < 0.6, values[index], np.nan)
    return axes.imshow(image, extent=extent, origin="lower", interpolation="antialiased")
