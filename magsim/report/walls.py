"""Which way domain walls run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.report import style


def wall_histogram(path: str | Path, lattice: Lattice, histograms: Mapping[str, Any] | Any) -> Path:
    """Length of wall by direction, as a rose; a wall counts in both of its directions.

    The radius is the share of the length over the share of the directions: 1 (dashed circle) without a
    preferred direction. Grey rays are the directions of the nearest-neighbour bonds.

    Args:
        path: figure to write.
        lattice: two-dimensional lattice.
        histograms: ``(bins,)`` of :func:`magsim.observables.wall_orientations`, or label -> such.

    Returns:
        ``path``.
    """
    roses = histograms if isinstance(histograms, Mapping) else {"": histograms}
    options = {"subplot_kw": {"projection": "polar"}}
    with style.panels(path, 1, 1, 4.0, 3.9, **options) as (_, axes):
        panel = axes[0, 0]
        top = 1.0
        for number, (label, histogram) in enumerate(roses.items()):
            length = np.asarray(histogram, dtype=float)
            bins = len(length)
            share = length * bins / max(float(length.sum()), 1e-300)
            angle = np.arange(2 * bins) * np.pi / bins
            colour = style.colour(number)
            if len(roses) == 1:
                panel.bar(
                    angle, np.tile(share, 2), np.pi / bins, color=colour, alpha=0.75, edgecolor="white",
                    linewidth=0.4, zorder=3,
                )  # fmt: skip
            else:
                closed = np.append(np.tile(share, 2), share[0])
                panel.plot(np.append(angle, 2 * np.pi), closed, color=colour, label=label, zorder=3)
            top = max(top, float(share.max()))
        top *= 1.08
        for bond in _bond_angles(lattice):
            panel.plot([bond, bond], [0, top], color="0.6", linewidth=0.8, zorder=2)
        circle = np.linspace(0, 2 * np.pi, 200)
        panel.plot(circle, np.ones(200), color="black", linewidth=0.9, linestyle=(0, (4, 2)), zorder=4)
        panel.set_rlim(0, top)
        panel.set_rlabel_position(15)
        panel.set_rticks(range(1, int(top) + 1, max(1, round(top / 4))))
        panel.tick_params(axis="y", labelsize=7, labelcolor="0.3")
        panel.set_thetagrids(range(0, 360, 30))
        panel.grid(True, color="0.9", linewidth=0.6)
        panel.spines["polar"].set(linewidth=0.6, color="0.6")
        if len(roses) > 1:
            panel.legend(loc="lower left", bbox_to_anchor=(-0.22, -0.16))
    return Path(path)


def _bond_angles(lattice: Lattice) -> np.ndarray:
    """Directions of the nearest-neighbour bonds, 0 to 2 pi."""
    bonds = np.concatenate([lattice.offsets_within(1.0, b)[2] for b in range(lattice.n_basis)])
    angles = np.arctan2(bonds[:, 1], bonds[:, 0]) % (2 * np.pi)
    return np.unique(np.round(angles, 9))
