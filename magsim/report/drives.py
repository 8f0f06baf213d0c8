"""Strips under a bias: where the wall is, currents, what lies where along x in the course of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.report import style
from magsim.report.film import saved_frames
from magsim.report.maps import direction_colours, direction_legend

FIELDS: tuple[Any, ...] = ("-", (0, (4, 1.5)))  # lines of the first and the second field
TERMINALS = ("left lead", "right lead")


def wall_motion(
    path: str | Path,
    runs: Mapping[str, tuple[Any, Any]],
    voltages: Sequence[str],
    points: Sequence[tuple[float, float]] = (),
) -> Path:
    """Position of the wall against time, a colour for each voltage; with a second field, dashed, below it the
    difference of the two.

    Args:
        path: figure to write.
        runs: name of the field -> (times ``(F,)``, positions ``(F, R)``), at most two.
        voltages: R labels.
        points: (time, position) known from elsewhere, marked.

    Returns:
        ``path``.
    """
    from matplotlib.lines import Line2D

    both = len(runs) > 1
    grid: dict[str, Any] = {"sharex": True, "height_ratios": [3, 1.1]} if both else {}
    with style.panels(path, 1 + both, 1, 5.4, 4.3 if both else 3.3, **grid) as (_, axes):
        panel = axes[0, 0]
        found = [(np.asarray(time), np.asarray(where, dtype=float)) for time, where in runs.values()]
        for number, ((time, position), look) in enumerate(zip(found, FIELDS, strict=False)):
            for r, column in enumerate(position.T):
                # where both agree, the second is seen inside the first
                wide = ({"linewidth": 2.6, "alpha": 0.45}, {"linewidth": 1.1})[number] if both else {}
                colour = "black" if number else style.colour(r)
                panel.plot(time, column, color=colour, linestyle=look, **wide)
        handles = [Line2D([], [], color=style.colour(r)) for r in range(len(voltages))]
        labels = list(voltages)
        if both:
            looks: list[dict[str, Any]] = [
                {"color": style.GREY, "linewidth": 2.6, "alpha": 0.45},
                {"color": "black", "linestyle": FIELDS[1], "linewidth": 1.1},
            ]
            handles += [Line2D([], [], **look) for look in looks]
            labels += list(runs)
            _difference(axes[1, 0], *found)
        if len(points):
            when, place = np.array(points, dtype=float).T
            mark: dict[str, Any] = {"marker": "D", "markerfacecolor": "white", "color": style.GREY}
            mark["linestyle"] = "none"
            panel.plot(when, place, zorder=4, clip_on=False, **mark)
            handles, labels = [*handles, Line2D([], [], **mark)], [*labels, "reference"]
        panel.set(ylabel=r"wall position $x_w$ $(a)$")
        axes[-1, 0].set_xlabel(r"time $(\hbar/t)$")
        for each in axes[:, 0]:
            each.margins(x=0.01, y=0.08)
        panel.legend(handles, labels, loc="center left", bbox_to_anchor=(1, 0.5))
    return Path(path)


def _difference(panel: Any, first: tuple[Any, Any], second: tuple[Any, Any]) -> None:
    """Second minus first position, as long as both run."""
    n = min(len(first[0]), len(second[0]))
    panel.axhline(0, color=style.GREY, linewidth=0.8)
    for r, column in enumerate((second[1][:n] - first[1][:n]).T):
        panel.plot(first[0][:n], column, color=style.colour(r))
    panel.set_ylabel(r"difference $(a)$")


def currents(path: str | Path, time: Any, current: Any, profile: Any, voltages: Sequence[str]) -> Path:
    """Currents of both leads against time, and the density along the strip at the end.

    Args:
        path: figure to write.
        time: ``(T,)``.
        current: ``(T, R, 2)`` into the strip from the left and the right lead.
        profile: ``(R, L_x)`` electrons per site of each column.
        voltages: R labels.

    Returns:
        ``path``.
    """
    from matplotlib.lines import Line2D

    with style.panels(path, 1, 2, 7.6, 3.0) as (_, axes):
        left, right = axes[0]
        for r in range(len(voltages)):
            for terminal, look in enumerate(FIELDS):
                left.plot(time, current[:, r, terminal], color=style.colour(r), linestyle=look)
            right.plot(np.arange(profile.shape[-1]), profile[r], color=style.colour(r), label=voltages[r])
        left.set(xlabel=r"time $(\hbar/t)$", ylabel=r"current into the strip $(et/\hbar)$")
        right.set(xlabel=r"$x$ $(a)$", ylabel="electrons per site")
        keys = [Line2D([], [], color=style.GREY, linestyle=look) for look in FIELDS]
        left.legend(keys, TERMINALS, loc="best")
        right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        for number, panel in enumerate((left, right)):
            panel.margins(x=0.01, y=0.08)
            style.panel_letter(panel, number)
    return Path(path)


def space_time(
    path: str | Path,
    time: Any,
    values: Any,
    voltages: Sequence[str],
    label: str,
    limits: tuple[float, float] | None = None,
) -> Path:
    """Mean over the columns of a strip against x and time, one panel for each voltage.

    Args:
        path: figure to write.
        time: ``(T,)``.
        values: ``(T, R, L_x)``.
        voltages: R titles.
        label: of the colour bar.
        limits: ends of the colours, for signed quantities; None: those of 90 % of the values, so that the
            columns at the leads do not take all colours.

    Returns:
        ``path``.
    """
    values = np.asarray(values, dtype=float)
    R, columns = values.shape[1:]
    low, high = limits or (float(edge) for edge in np.quantile(values, (0.05, 0.95)))
    beyond = {"extend": "neither"} if limits else {"extend": "both", "extendfrac": 0.03}
    edges = _edges(np.asarray(time, dtype=float))
    with style.panels(path, 1, R, 1.2 + 1.9 * R, 2.9, sharey=True) as (figure, axes):
        for r, panel in enumerate(axes[0]):
            artist = panel.pcolormesh(
                np.arange(columns + 1) - 0.5, edges, values[:, r], rasterized=True, shading="flat"
            )
            artist.set(cmap=style.SEQUENTIAL if limits is None else style.diverging(), clim=(low, high))
            panel.set(xlabel=r"$x$ $(a)$", title=voltages[r])
            panel.grid(False)
        axes[0, 0].set_ylabel(r"time $(\hbar/t)$")
        bar = figure.colorbar(artist, ax=list(axes[0]), pad=0.02, aspect=25, label=label, **beyond)
        bar.outline.set_linewidth(0.6)
    return Path(path)


def _edges(centres: np.ndarray) -> np.ndarray:
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([centres[:1], middle, centres[-1:]])


def strips(path: str | Path, lattice: Lattice, spins: Any, titles: Sequence[str]) -> Path:
    """Spin directions of several square strips, one above the other.

    Args:
        path: figure to write.
        lattice: square.
        spins: ``(R, N, 3)``.
        titles: R words.

    Returns:
        ``path``.
    """
    width, height = _size(lattice, len(titles))
    with style.panels(path, len(titles), 2, width, height, width_ratios=[7, 1]) as (_, axes):
        for panel, image, title in zip(axes[:, 0], _images(lattice, spins), titles, strict=True):
            _strip(panel, lattice, image, title)
        _finish(axes)
    return Path(path)


def strip_film(
    path: str | Path,
    lattice: Lattice,
    frames: Iterable[tuple[float, np.ndarray]],
    titles: Sequence[str],
) -> Path:
    """The same as a film.

    Args:
        path: file to write, ``.gif`` or ``.mp4``.
        frames: time and spins ``(R, N, 3)`` of each.
        titles, lattice: see :func:`strips`.

    Returns:
        ``path``.

    Raises:
        ConfigError: mp4 without ffmpeg.
    """
    with saved_frames(path, *_size(lattice, len(titles))) as (figure, grab):
        axes = figure.subplots(len(titles), 2, squeeze=False, width_ratios=[7, 1])
        blank = np.ones((lattice.shape[1], lattice.shape[0], 3))
        artists = [
            _strip(panel, lattice, blank, title) for panel, title in zip(axes[:, 0], titles, strict=True)
        ]
        _finish(axes)
        clock = axes[0, 0].text(1, 1.06, "", transform=axes[0, 0].transAxes, ha="right", va="bottom")
        for time, spins in frames:
            for artist, image in zip(artists, _images(lattice, spins), strict=True):
                artist.set_data(image)
            clock.set_text(f"t = {time:.0f}")
            grab()
    return Path(path)


def _size(lattice: Lattice, n: int) -> tuple[float, float]:
    """Inches of n strips with their titles."""
    across = 5.6 * lattice.shape[1] / lattice.shape[0]
    return 7.0, n * (across + 0.42) + 0.35


def _images(lattice: Lattice, spins: Any) -> np.ndarray:
    """``(R, L_y, L_x, 3)`` colours."""
    grid = np.asarray(spins, dtype=float).reshape(-1, *lattice.shape, 3)
    return direction_colours(grid).transpose(0, 2, 1, 3)


def _strip(panel: Any, lattice: Lattice, image: np.ndarray, title: str) -> Any:
    columns, rows = lattice.shape
    extent = (-0.5, columns - 0.5, -0.5, rows - 0.5)
    artist = panel.imshow(image, extent=extent, origin="lower", interpolation="nearest")
    panel.set_title(title, loc="left")
    panel.set(yticks=[])
    panel.grid(False)
    for spine in panel.spines.values():
        spine.set_visible(True)
    return artist


def _finish(axes: Any) -> None:
    """x below the last strip, directions beside the first."""
    for panel in axes[:-1, 0]:
        panel.tick_params(labelbottom=False)
    axes[-1, 0].set_xlabel(r"$x$ $(a)$")
    direction_legend(axes[0, 1])
    for panel in axes[1:, 1]:
        panel.axis("off")
