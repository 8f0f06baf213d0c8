"""Maps of one configuration: spin directions, structure factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.report import style
from magsim.report.geometry import Window, brillouin_zone, images, planar, window

PIXELS = 1200


def nearest_points(
    lattice: Lattice, points: np.ndarray, view: Window, longest: int = PIXELS
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Index of and distance to the nearest of ``points (M, 2)`` for every pixel of the window."""
    from scipy.spatial import cKDTree

    shapes, origin = images(lattice, points[:, None, :], view)
    pixels, extent = view.grid(longest)
    distance, nearest = cKDTree(shapes[:, 0]).query(pixels)
    return origin[nearest], distance, extent


def spin_map(path: str | Path, lattice: Lattice, spins: Any, titles: Sequence[str] | str = "") -> Path:
    """Spin directions in real space: hue is the azimuth, lightness the z component.

    Every site colours the part of the plane nearest to it. Up to 600 sites arrows show the in-plane
    components too.

    Args:
        path: figure to write.
        lattice: two-dimensional lattice.
        spins: ``(N, 3)`` or ``(frames, N, 3)``.
        titles: one title per frame.

    Returns:
        ``path``.
    """
    planar(lattice, "the spin map")
    frames = np.asarray(spins, dtype=float).reshape(-1, lattice.n_sites, 3)
    titles = [titles] if isinstance(titles, str) else list(titles)
    view = window(lattice)
    index, distance, extent = nearest_points(lattice, lattice.positions, view)
    sites, origin = images(lattice, lattice.positions[:, None, :], view)
    with map_panels(path, view, len(frames), legend=True) as (_, columns):
        *axes, legend = columns
        for panel, frame, title in zip(axes, frames, titles + [""] * len(frames), strict=False):
            image = np.where((distance < 1.2)[..., None], direction_colours(frame)[index], 1.0)
            panel.imshow(image, extent=extent, origin="lower", interpolation="antialiased")
            if lattice.n_sites <= 600:
                x, y = sites[:, 0].T
                u, v, w = frame[origin].T
                ink = np.where(w > 0.2, 0.0, 1.0)
                arrows = {
                    "pivot": "mid",
                    "scale_units": "xy",
                    "scale": 1.25,
                    "angles": "xy",
                    "width": 0.12,
                    "units": "xy",
                }
                panel.quiver(
                    x,
                    y,
                    u,
                    v,
                    ink,
                    cmap="gray",
                    clim=(0, 1),
                    headwidth=4,
                    headlength=4,
                    headaxislength=3.6,
                    **arrows,
                )
            frame_panel(panel, view, title)
        direction_legend(legend)
    return Path(path)


def direction_colours(spins: np.ndarray) -> np.ndarray:
    """RGB of unit vectors ``(..., 3)``: hue from the azimuth, white for +z, black for -z."""
    from matplotlib.colors import hsv_to_rgb

    lightness = 0.5 + 0.5 * np.clip(spins[..., 2], -1, 1)
    reach = 0.92 * np.minimum(lightness, 1 - lightness)  # of the HSL double cone, slightly desaturated
    value = lightness + reach
    saturation = np.where(value > 0, 2 * (1 - lightness / np.maximum(value, 1e-12)), 0.0)
    hue = np.mod(np.arctan2(spins[..., 1], spins[..., 0]) / (2 * np.pi), 1.0)
    return hsv_to_rgb(np.stack([hue, np.clip(saturation, 0, 1), np.clip(value, 0, 1)], axis=-1))


def direction_legend(axes: Any) -> None:
    """The sphere of directions unrolled on a disc: +z in the middle, -z on the rim."""
    line = np.linspace(-1, 1, 201)
    x, y = np.meshgrid(line, line)
    radius = np.hypot(x, y)
    polar = np.pi * np.minimum(radius, 1)
    shape = np.sin(polar) / np.maximum(radius, 1e-12)
    colours = direction_colours(np.stack([shape * x, shape * y, np.cos(polar)], axis=-1))
    alpha = np.clip((1 - radius) * 60, 0, 1)
    axes.imshow(np.dstack([colours, alpha]), extent=(-1, 1, -1, 1), origin="lower")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    axes.axis("off")
    text = {"ha": "center", "va": "center", "fontsize": 8}
    for label, place in ((r"$x$", (1.25, 0)), (r"$y$", (0, 1.25)), (r"$-z$", (0, -1.3))):
        axes.text(*place, label, **text)
    axes.text(0, 0, r"$z$", **text)


def structure_factor_map(
    path: str | Path, lattice: Lattice, q: Any, intensity: Any, title: str | Sequence[str] = ""
) -> Path:
    """S(q) over the first Brillouin zone with its boundary and symmetry points, logarithmic colours.

    On a chain the spectrum is drawn over q, on a three-dimensional lattice averaged over directions (powder).

    Args:
        path: figure to write.
        lattice: the lattice.
        q: ``(n, d)`` wavevectors in 1/a and
        intensity: ``(n,)`` values, both from :func:`magsim.observables.extended_structure_factor`, or
            ``(k, n)`` for k panels with the same colours.
        title: above the panel, or one for each.

    Returns:
        ``path``.
    """
    q, intensity = np.asarray(q, dtype=float), np.asarray(intensity, dtype=float)
    intensity = intensity.reshape(-1, len(q))
    titles = [title] if isinstance(title, str) else list(title)
    label = r"$S(\mathbf{q})$"
    if lattice.dim != 2:
        return _spectrum_line(path, q, intensity, label, titles)
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Polygon
    from scipy.spatial import cKDTree

    corners, names = brillouin_zone(lattice)
    reach = 1.12 * np.abs(corners).max(axis=0)
    view = Window(-reach[0], reach[0], -reach[1], reach[1])
    pixels, extent = view.grid(700)
    _, nearest = cKDTree(q).query(pixels)
    top = max(float(intensity.max()), 1e-12)
    bottom = max(float(np.quantile(intensity, 0.02)), 1e-5 * top)
    n, height = len(intensity), 0.5 + 3.35 * view.height / view.width
    with style.panels(path, 1, n, 4.6 if n == 1 else 0.9 + 3.5 * n, height) as (figure, axes):
        for panel, values, words in zip(axes[0], intensity, titles, strict=True):
            shown = np.maximum(values, bottom)[nearest]
            artist = panel.imshow(
                shown, extent=extent, origin="lower", cmap=style.INTENSITY, norm=LogNorm(bottom, top)
            )
            panel.add_patch(
                Polygon(corners, fill=False, edgecolor="white", linewidth=1.1, linestyle=(0, (4, 2)))
            )
            _symmetry_points(panel, names)
            panel.set(xlabel=r"$q_x$ $(1/a)$", title=words, aspect="equal")
            panel.grid(False)
        axes[0, 0].set_ylabel(r"$q_y$ $(1/a)$")
        figure.colorbar(artist, ax=list(axes[0]), label=label, pad=0.02).outline.set_linewidth(0.6)
    return Path(path)


def _symmetry_points(panel: Any, names: Mapping[str, Any]) -> None:
    from matplotlib import patheffects

    shadow = [patheffects.withStroke(linewidth=2, foreground="black")]
    for name, place in names.items():
        panel.plot(*place, "o", color="white", markersize=3, markeredgecolor="black", markeredgewidth=0.5)
        panel.annotate(
            name,
            place,
            (4, 4),
            textcoords="offset points",
            color="white",
            fontsize=9,
            path_effects=shadow,
        )


def _spectrum_line(
    path: str | Path, q: np.ndarray, intensities: np.ndarray, label: str, titles: Sequence[str]
) -> Path:
    n = len(intensities)
    with style.panels(path, 1, n, 4.6 * n, 3.0) as (_, axes):
        for panel, intensity, title in zip(axes[0], intensities, titles, strict=True):
            _spectrum_panel(panel, q, intensity, label, title)
    return Path(path)


def _spectrum_panel(panel: Any, q: np.ndarray, intensity: np.ndarray, label: str, title: str) -> None:
    if q.shape[1] == 1:
        order = np.argsort(q[:, 0])
        keep = order[np.abs(q[order, 0]) <= np.pi * 1.001]
        panel.plot(q[keep, 0], intensity[keep], color=style.colour(0))
        panel.set(xlabel=r"$q$ $(1/a)$", ylabel=label, title=title)
    else:
        radius = np.linalg.norm(q, axis=1)
        edges = np.linspace(0, np.sqrt(q.shape[1]) * np.pi, 60)
        count, _ = np.histogram(radius, edges)
        total, _ = np.histogram(radius, edges, weights=intensity)
        full = count > 0
        panel.plot((edges[1:] + edges[:-1])[full] / 2, total[full] / count[full], color=style.colour(0))
        panel.set(xlabel=r"$|\mathbf{q}|$ $(1/a)$", ylabel=label + " averaged over directions", title=title)


@contextmanager
def map_panels(path: str | Path, view: Window, n: int, legend: bool = False) -> Iterator[Any]:
    """``n`` panels of the shape of the window, and a narrow one for a legend or room for a colour bar."""
    scale = (3.7 if n == 1 else 2.9) / max(view.width, view.height)
    map_width, height = view.width * scale, view.height * scale + 0.75
    width = n * (map_width + 0.3) + (1.35 if legend else 1.1)
    options: dict[str, Any] = {"width_ratios": [map_width] * n + [0.95]} if legend else {}
    with style.panels(path, 1, n + legend, width, height, **options) as (figure, axes):
        yield figure, axes[0]


def frame_panel(axes: Any, view: Window, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlim=(view.left, view.right), ylim=(view.bottom, view.top), aspect="equal", title=title)
    axes.set_xlabel(r"$x$ $(a)$")
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel(r"$y$ $(a)$")
    else:
        axes.tick_params(labelleft=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
