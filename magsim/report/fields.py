"""Numbers on sites, electron density and the like: maps and histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.report import style
from magsim.report.geometry import planar, window
from magsim.report.maps import frame_panel, map_panels, nearest_points

BINS = 60  # of a histogram


def site_map(
    path: str | Path,
    lattice: Lattice,
    values: Any,
    label: str,
    titles: Sequence[str] | str = "",
) -> Path:
    """A number on every site in real space, one panel per frame; each site colours what is nearest to it.

    Args:
        path: figure to write.
        lattice: two-dimensional lattice.
        values: ``(N,)`` or ``(frames, N)``, e.g. electrons per site.
        label: of the colour bar.
        titles: one title per frame.

    Returns:
        ``path``.
    """
    planar(lattice, "the map of sites")
    frames = np.atleast_2d(np.asarray(values, dtype=float))
    titles = [titles] if isinstance(titles, str) else list(titles)
    view = window(lattice)
    index, distance, extent = nearest_points(lattice, lattice.positions, view)
    with map_panels(path, view, len(frames)) as (figure, axes):
        for panel, frame, title in zip(axes, frames, titles + [""] * len(frames), strict=False):
            image = np.where(distance < 1.2, frame[index], np.nan)
            artist = panel.imshow(image, extent=extent, origin="lower", interpolation="antialiased")
            artist.set(cmap=style.SEQUENTIAL, clim=(frames.min(), frames.max()))
            frame_panel(panel, view, title)
        bar = figure.colorbar(artist, ax=list(axes), shrink=0.8, aspect=25, pad=0.02)
        bar.set_label(label)
        bar.outline.set_linewidth(0.6)
    return Path(path)


def histograms(path: str | Path, values: Mapping[str, Any], xlabel: str) -> Path:
    """How often values occur, one outline per state, on a logarithmic axis of shares.

    Args:
        path: figure to write.
        values: label -> array.
        xlabel: axis label.

    Returns:
        ``path``.
    """
    arrays = {label: np.asarray(v, dtype=float).reshape(-1) for label, v in values.items()}
    low, high = min(v.min() for v in arrays.values()), max(v.max() for v in arrays.values())
    edges = np.linspace(low - 1e-9, max(high, low + 1e-6) + 1e-9, BINS + 1)
    with style.panels(path, 1, 1, 4.4, 2.9) as (_, axes):
        panel = axes[0, 0]
        for number, (label, data) in enumerate(arrays.items()):
            share = np.histogram(data, edges)[0] / len(data)
            panel.stairs(share, edges, color=style.colour(number), linewidth=1.2, label=label)
        panel.set(xlabel=xlabel, ylabel="share of the sites", yscale="log")
        panel.legend(loc="best")
    return Path(path)
