"""Figures of active learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.lattice import Lattice
from magsim.report import style
from magsim.report.geometry import window
from magsim.report.maps import frame_panel, map_panels, nearest_points

ERROR = "torque error, rmse / rms"
LABELS = "exact labels learned from"
BINS = 12


def errors_by_labels(
    path: str | Path,
    labels: Sequence[int],
    errors: Mapping[str, Sequence[float]],
    spreads: Mapping[str, Sequence[float]],
    target: float | None = None,
) -> Path:
    """Error on the test set and spread of the committee against the number of labels, by class of states.

    Args:
        path: figure to write.
        labels: ``(R,)`` of each round.
        errors, spreads: class -> ``(R,)``; the first class is drawn in the first colour in both panels.
        target: a line to reach.

    Returns:
        ``path``.
    """
    with style.panels(path, 1, 2, 6.6, 2.8) as (_, axes):
        for panel, curves, ylabel, k in (
            (axes[0, 0], errors, ERROR, 0),
            (axes[0, 1], spreads, "spread of the committee / rms", 1),
        ):
            for index, (name, values) in enumerate(curves.items()):
                dashed = "--" if name == "mean" else "-"
                colour = "black" if name == "mean" else style.colour(index)
                look = {"color": colour, "linestyle": dashed, "marker": style.MARKERS[index]}
                panel.plot(labels, values, label=name, **look)
            panel.set(xlabel=LABELS, ylabel=ylabel, yscale="log")
            style.panel_letter(panel, k)
        if target is not None:
            axes[0, 0].axhline(target, color=style.GREY, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
        axes[0, 0].legend(ncols=2)
    return Path(path)


def choices(path: str | Path, chosen: Sequence[Mapping[str, Any]], pool: Mapping[str, Any]) -> Path:
    """What was chosen: step and torque of every choice, in the colour of its round, over all that could be.

    Args:
        path: figure to write.
        chosen: for each round ``step`` and ``torque`` ``(n,)``.
        pool: the same of all configurations of all rounds.

    Returns:
        ``path``.
    """
    import matplotlib as mpl

    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.9, max(len(chosen), 1)))
    with style.panels(path, 1, 3, 9.2, 2.9, width_ratios=[1.3, 1, 1]) as (_, axes):
        scatter, time, torque = axes[0]
        scatter.plot(
            pool["step"], pool["torque"], ".", color="0.8", markersize=2, label="all", rasterized=True
        )
        for k, part in enumerate(chosen):
            look = {"color": colours[k], "markersize": 4, "markeredgecolor": "white", "markeredgewidth": 0.4}
            scatter.plot(part["step"], part["torque"], "o", label=f"round {1 + k}", **look)
        scatter.set(xlabel="step of the run", ylabel="rms torque $(t)$", yscale="log")
        _stacked(time, [p["step"] for p in chosen], pool["step"], colours, "step of the run", log=False)
        _stacked(torque, [p["torque"] for p in chosen], pool["torque"], colours, "rms torque $(t)$", log=True)
        scatter.legend(fontsize=7, markerscale=1.2, loc="best")
        for k, panel in enumerate(axes[0]):
            style.panel_letter(panel, k)
    return Path(path)


def _stacked(
    panel: Any, parts: Sequence[np.ndarray], pool: np.ndarray, colours: Any, label: str, log: bool
) -> None:
    """Choices of all rounds in bins, stacked, and the outline of what random choices would look like."""
    pool = np.asarray(pool, dtype=float)
    positive = pool[pool > 0] if log else pool
    if log:
        edges = np.geomspace(positive.min(), positive.max() * 1.0001, BINS + 1)
    else:  # the same number of recorded steps in each bin
        steps = np.unique(pool)
        width = -(-len(steps) // BINS)
        starts = np.append(steps[::width], steps[-1] + 1)
        edges = np.append(starts[:-1] - 0.5 * (steps[1] - steps[0] if len(steps) > 1 else 1), starts[-1])
    panel.hist(list(parts), edges, stacked=True, color=list(colours[: len(parts)]), linewidth=0)
    total = sum(len(part) for part in parts)
    height = np.histogram(pool, edges)[0] * total / max(len(pool), 1)
    panel.stairs(height, edges, color="black", linewidth=1.0, label="random choices")
    panel.set(xlabel=label, ylabel="configurations chosen", xscale="log" if log else "linear")
    panel.legend(fontsize=7)


def spread_map(
    path: str | Path, lattice: Lattice, spread: np.ndarray, error: np.ndarray, torque: np.ndarray
) -> Path:
    """One configuration: exact torque, spread of the committee and its true error on every site.

    Args:
        path: figure to write.
        lattice: two-dimensional.
        spread, error, torque: ``(N,)``, per Cartesian component.

    Returns:
        ``path``.
    """
    view = window(lattice)
    index, distance, extent = nearest_points(lattice, lattice.positions, view)
    with map_panels(path, view, 3) as (figure, axes):
        figure.set_size_inches(figure.get_figwidth() - 0.55, figure.get_figheight() + 0.85)
        limit = float(max(np.quantile(spread, 0.99), np.quantile(error, 0.99)))
        for panel, values, title, top in zip(
            axes,
            (torque, spread, error),
            ("exact torque", "spread of the committee", "error of its mean"),
            (float(torque.max()), limit, limit),
            strict=True,
        ):
            image = np.where(distance < 1.2, np.asarray(values)[index], np.nan)
            artist = panel.imshow(image, extent=extent, origin="lower", interpolation="antialiased")
            artist.set(cmap=style.INTENSITY, clim=(0, top))
            frame_panel(panel, view, title)
            bar = figure.colorbar(artist, ax=panel, location="bottom", shrink=0.8, aspect=28, pad=0.03)
            bar.set_label("per component $(t)$")
            bar.outline.set_linewidth(0.6)
    return Path(path)


def compared_curves(
    path: str | Path, groups: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]
) -> Path:
    """Error against labels of several strategies, a panel for the mean and for each class of states.

    Args:
        path: figure to write.
        groups: name -> labels ``(R,)`` and class -> errors ``(R, seeds)``; bands are standard errors of the
            mean over seeds.

    Returns:
        ``path``.
    """
    classes = list(next(iter(groups.values()))[1])
    with style.panels(path, 1, len(classes), 2.3 * len(classes) + 0.4, 2.9) as (figure, axes):
        for column, name in enumerate(classes):
            panel = axes[0, column]
            for index, (group, (labels, errors)) in enumerate(groups.items()):
                values = errors[name]
                mean = values.mean(axis=1)
                look = {"color": style.colour(index), "marker": style.MARKERS[index % len(style.MARKERS)]}
                panel.plot(labels, mean, label=group if not column else None, **look)
                if values.shape[1] > 1:
                    bar = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
                    band = {"color": style.colour(index), "alpha": 0.18, "linewidth": 0}
                    panel.fill_between(labels, mean - bar, mean + bar, **band)
            panel.set(xlabel="exact labels", title=name, yscale="log")
            if not column:
                panel.set_ylabel(ERROR)
        figure.legend(loc="outside upper center", ncols=len(groups))
    return Path(path)
