"""Figures of the electrons: bands, densities of states, local densities of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.lattice.brillouin import SymmetryPath
from magsim.observables import TETRAHEDRAL_CHIRALITY
from magsim.report import style
from magsim.report.geometry import window
from magsim.report.maps import frame_panel, map_panels, nearest_points
from magsim.report.numbers import number
from magsim.report.triangles import triangle_artist

ENERGY = r"energy $E$ $(t)$"
DENSITY = r"states per site and $t$"


@dataclass(frozen=True, eq=False)
class Density:
    """A density of states to draw.

    Attributes:
        energies: ``(M,)``.
        values: ``(M,)`` states per site and hopping.
        spread: ``(2, M)`` between which four fifths of the sites lie, or None.
    """

    energies: np.ndarray
    values: np.ndarray
    spread: np.ndarray | None = None


def bands_figure(
    path: str | Path,
    route: SymmetryPath,
    levels: np.ndarray,
    along: np.ndarray,
    density: Density,
    mu: float,
    gap: tuple[float, float] | None,
) -> Path:
    """Bands along a path of wavevectors, coloured by the spin, and the density of states beside them.

    Args:
        path: figure to write.
        route: the wavevectors.
        levels: ``(K, n)`` bands on them.
        along: ``(K, n)`` their spin along the local moments, -1 ... 1.
        density: density of states on the same axis of energy; filled up to mu.
        mu: chemical potential, a dashed line.
        gap: its edges, shaded; None in a metal.

    Returns:
        ``path``.
    """
    from matplotlib.collections import LineCollection

    ratio = {"gridspec_kw": {"width_ratios": [2.1, 1.0]}, "sharey": True}
    with style.panels(path, 1, 2, 6.4, 3.7, **ratio) as (figure, axes):
        left, right = axes[0]
        for n in range(levels.shape[1]):
            points = np.stack([route.distance, levels[:, n]], axis=-1)
            pieces = np.stack([points[:-1], points[1:]], axis=1)
            colours = (along[:-1, n] + along[1:, n]) / 2
            artist = LineCollection(list(pieces), array=colours, cmap=_spin_colours(), clim=(-1, 1))
            artist.set(linewidth=1.8, capstyle="round")
            left.add_collection(artist)
        for tick in route.ticks:
            left.axvline(tick, color="0.75", linewidth=0.6, zorder=0)
        reach = (float(density.energies[0]), float(density.energies[-1]))
        left.set(xlim=(0, route.distance[-1]), ylim=reach, ylabel=ENERGY)
        left.set_xticks(route.ticks, labels=list(route.names))
        left.tick_params(axis="x", length=0)
        left.grid(False)
        _density(right, density, mu, upright=True)
        right.set(xlabel=DENSITY)
        for panel in (left, right):
            if gap is not None:
                panel.axhspan(*gap, color=style.colour(4), alpha=0.18, linewidth=0, zorder=0)
            panel.axhline(mu, color="black", linewidth=0.9, linestyle=(0, (4, 2)), zorder=3)
        right.annotate(
            r"$\mu$",
            (1, mu),
            (3, 0),
            xycoords=("axes fraction", "data"),
            va="center",
            textcoords="offset points",
        )
        if gap is not None:
            # in the larger of the two parts that mu leaves
            place = (gap[0] + mu) / 2 if mu - gap[0] > gap[1] - mu else (gap[1] + mu) / 2
            text = f"gap {number(gap[1] - gap[0], 4)}"
            right.text(0.97, place, text, ha="right", va="center", fontsize=8, transform=_beside(right))
        if float(np.ptp(along)) > 1e-6:
            bar = figure.colorbar(artist, ax=left, location="top", shrink=0.6, aspect=32, pad=0.02)
            bar.set_ticks([-1, 0, 1])
            bar.set_label(r"$\langle\mathbf{S}\cdot\sigma\rangle$, spin along the local moment", fontsize=8)
            bar.outline.set_linewidth(0.6)
    return Path(path)


def spectral_figure(
    path: str | Path, route: SymmetryPath, intensity: np.ndarray, density: Density, mu: float
) -> Path:
    """Spectral function along a path of wavevectors, and the density of states beside it.

    Args:
        path: figure to write.
        route: the wavevectors.
        intensity: ``(K, M)`` on them and on the energies of the density.
        density: density of states.
        mu: chemical potential, a dashed line.

    Returns:
        ``path``.
    """
    ratio = {"gridspec_kw": {"width_ratios": [2.1, 1.0]}, "sharey": True}
    with style.panels(path, 1, 2, 6.4, 3.7, **ratio) as (figure, axes):
        left, right = axes[0]
        # wavevectors of a finite lattice are few: every column is one of them
        artist = left.pcolormesh(
            route.distance,
            density.energies,
            intensity.T,
            shading="nearest",
            cmap=style.INTENSITY,
            vmin=0,
            vmax=float(np.quantile(intensity, 0.995)),
            rasterized=True,
        )
        for tick in route.ticks:
            left.axvline(tick, color="white", linewidth=0.5, alpha=0.6)
        left.set(xlim=(0, route.distance[-1]), ylim=density.energies[[0, -1]], ylabel=ENERGY)
        left.set_xticks(route.ticks, labels=list(route.names))
        left.tick_params(axis="x", length=0)
        left.grid(False)
        left.axhline(mu, color="white", linewidth=0.9, linestyle=(0, (4, 2)))
        _density(right, density, mu, upright=True)
        right.axhline(mu, color="black", linewidth=0.9, linestyle=(0, (4, 2)))
        right.text(1.02, mu, r"$\mu$", va="center", transform=_beside(right))
        right.set(xlabel=DENSITY)
        bar = figure.colorbar(artist, ax=left, location="top", shrink=0.6, aspect=32, pad=0.02, extend="max")
        bar.set_label(r"$A(\mathbf{k}, E)$, states per site and $t$", fontsize=8)
        bar.outline.set_linewidth(0.6)
    return Path(path)


def density_figure(path: str | Path, density: Density, mu: float) -> Path:
    """Density of states over the energy, filled up to mu; a band shows its spread over the sites."""
    with style.panels(path, 1, 1, 4.8, 3.0) as (_, axes):
        panel = axes[0, 0]
        _density(panel, density, mu, upright=False)
        panel.axvline(mu, color="black", linewidth=0.9, linestyle=(0, (4, 2)))
        panel.annotate(
            r"$\mu$",
            (mu, 1),
            (0, 2),
            xycoords=("data", "axes fraction"),
            ha="center",
            textcoords="offset points",
        )
        panel.set(xlabel=ENERGY, ylabel=DENSITY, xlim=density.energies[[0, -1]])
        if density.spread is not None:
            panel.legend()
    return Path(path)


def _beside(panel: Any) -> Any:
    """Coordinates: fraction of the panel, energy."""
    return panel.get_yaxis_transform()


def _density(panel: Any, density: Density, mu: float, upright: bool) -> None:
    """The curve with its occupied part filled; energies upwards if ``upright``."""
    e, values = density.energies, density.values
    fill = panel.fill_betweenx if upright else panel.fill_between
    if density.spread is not None:
        fill(e, *density.spread, color=style.colour(0), alpha=0.18, linewidth=0, label="80 % of the sites")
    below = np.append(e[e < mu], min(max(mu, e[0]), e[-1]))
    fill(below, 0, np.interp(below, e, values), color=style.colour(0), alpha=0.35, linewidth=0)
    panel.plot(
        *((values, e) if upright else (e, values)),
        color=style.colour(0),
        linewidth=1.2,
        label="mean" if density.spread is not None else None,
    )
    top = 1.05 * float((values if density.spread is None else density.spread[1]).max())
    panel.set(**{"xlim" if upright else "ylim": (0, top)})


def _spin_colours() -> Any:
    """From antiparallel to parallel without a white middle, which paper would swallow."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("spin", [style.colour(1), "#8C7BA8", style.colour(0)])


def local_density_map(
    path: str | Path,
    lattice: Lattice,
    densities: np.ndarray,
    titles: Sequence[str],
    chirality: np.ndarray | None = None,
) -> Path:
    """Local density of states on every site, a panel for each energy, beside the chirality of the spins.

    Args:
        path: figure to write.
        lattice: two-dimensional.
        densities: ``(M, N)``.
        titles: above the panels.
        chirality: of ``lattice.triangles()``; None leaves that panel out.

    Returns:
        ``path``.
    """
    view = window(lattice)
    index, distance, extent = nearest_points(lattice, lattice.positions, view)
    look = {"location": "bottom", "shrink": 0.8, "aspect": 28, "pad": 0.03}
    with map_panels(path, view, len(densities) + (chirality is not None)) as (figure, axes):
        figure.set_size_inches(figure.get_figwidth() - 0.55, figure.get_figheight() + 0.85)
        bars = []
        if chirality is not None:
            limit = float(TETRAHEDRAL_CHIRALITY)
            corners = lattice.triangle_corners(lattice.triangles())
            artist = triangle_artist(axes[0], lattice, corners, chirality, view)
            artist.set(cmap=style.diverging(), clim=(-limit, limit))
            frame_panel(axes[0], view, "chirality")
            bars.append(figure.colorbar(artist, ax=axes[0], extend="both", **look))
            bars[0].set_label(r"$\mathbf{S}_i\cdot(\mathbf{S}_j\times\mathbf{S}_k)$")
        panels = axes[len(axes) - len(densities) :]
        for panel, values, title in zip(panels, densities, titles, strict=True):
            image = np.where(distance < 1.2, values[index], np.nan)
            artist = panel.imshow(image, extent=extent, origin="lower", interpolation="antialiased")
            artist.set(cmap=style.INTENSITY, clim=(0, float(densities.max())))
            frame_panel(panel, view, title)
        bars.append(figure.colorbar(artist, ax=list(panels), **{**look, "shrink": 0.8 / len(panels)}))
        bars[-1].set_label("local density of states, per site and $t$")
        for bar in bars:
            bar.outline.set_linewidth(0.6)
    return Path(path)


def local_density_along(path: str | Path, energies: np.ndarray, densities: np.ndarray, mu: float) -> Path:
    """Local density of states of a chain over site and energy, ``densities (M, N)``."""
    with style.panels(path, 1, 1, 5.2, 3.2) as (figure, axes):
        panel = axes[0, 0]
        top = float(np.quantile(densities, 0.998))  # few sites hold a whole level
        extent = (-0.5, densities.shape[1] - 0.5, float(energies[0]), float(energies[-1]))
        artist = panel.imshow(
            densities, extent=extent, origin="lower", aspect="auto", cmap=style.INTENSITY, vmin=0, vmax=top
        )
        panel.axhline(mu, color="white", linewidth=0.9, linestyle=(0, (4, 2)))
        panel.set(xlabel=r"$x$ $(a)$", ylabel=ENERGY)
        panel.grid(False)
        figure.colorbar(artist, ax=panel, label="states per $t$", pad=0.02).outline.set_linewidth(0.6)
    return Path(path)
