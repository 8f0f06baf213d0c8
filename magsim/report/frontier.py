"""Cost against accuracy, and accuracy against the amount of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magsim.report import style

FONT = 7.0  # of the labels at points, in points
# where a label may go, from the point: across and up in points, and which end of the text lies there
# (above and to the right first, where the line of the front is not)
PLACES: tuple[tuple[float, float, str], ...] = (
    (3, 8, "left"),
    (0, 8, "center"),
    (6, 0, "left"),
    (-6, 0, "right"),
    (-3, -8, "right"),
    (0, -8, "center"),
    (3, -8, "left"),
    (-3, 8, "right"),
)
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """One model.

    Attributes:
        cost: microseconds per site.
        error: relative error of the torque (mean over seeds).
        spread: its standard deviation over seeds; 0: one seed.
        label: what tells it from the others of its kind.
        kind: colour and marker.
    """

    cost: float
    error: float
    spread: float = 0.0
    label: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Curve:
    """Errors by the number of training snapshots, ascending; ``spread`` over seeds."""

    snapshots: Sequence[float]
    error: Sequence[float]
    spread: Sequence[float]


def pareto(cost: Sequence[float], error: Sequence[float]) -> list[int]:
    """Indices of the Pareto front by ascending cost: no other point is at most as dear and at most as wrong,
    and better in one of the two."""
    front: list[int] = []
    for index in sorted(range(len(cost)), key=lambda k: (cost[k], error[k])):
        if not front or error[index] < error[front[-1]]:
            front.append(index)
    return front


def frontier(path: str | Path, panels: Mapping[str, Sequence[Point]]) -> Path:
    """Relative torque error against microseconds per site, log-log, one panel for each class of state.

    A step line joins the models that no other one beats in both. Labels of the others are left out where
    they would cover something.

    Args:
        path: figure to write.
        panels: class of state -> its models.

    Returns:
        ``path``.
    """
    kinds = list(dict.fromkeys(point.kind for points in panels.values() for point in points))
    rows, columns = _grid(len(panels))
    with style.panels(path, rows, columns, 3.6 * columns, 2.9 * rows + 0.3) as (figure, axes):
        for index, (name, points) in enumerate(panels.items()):
            panel = axes.flat[index]
            front = pareto([p.cost for p in points], [p.error for p in points])
            x, y = ([getattr(points[k], what) for k in front] for what in ("cost", "error"))
            panel.step(x, y, where="post", color=style.GREY, linewidth=1.0, zorder=1)
            for k, kind in enumerate(kinds):
                _scatter(panel, [p for p in points if p.kind == kind], k, kind)
            _finish(panel, index, len(panels), name)
            _name_axes(panel, index, columns, len(panels), "energy and field (µs per site)")
            panel.margins(0.14, 0.16)
        if len(kinds) > 1:
            figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
        style.log_ticks(figure)
        figure.draw_without_rendering()  # places are known after the layout
        for panel, points in zip(axes.flat, panels.values(), strict=False):
            _write_labels(panel, points)
    return Path(path)


def learning_curves(
    path: str | Path, panels: Mapping[str, Mapping[str, Curve]], floors: Mapping[str, float] | None = None
) -> Path:
    """Relative torque error against the number of training snapshots, log-log, bars over seeds.

    Args:
        path: figure to write.
        panels: class of state -> label -> curve.
        floors: class of state -> relative error that nearsightedness does not let a model get below.

    Returns:
        ``path``.
    """
    floors = floors or {}
    rows, columns = _grid(len(panels))
    with style.panels(path, rows, columns, 3.3 * columns, 2.8 * rows + 0.3) as (figure, axes):
        for index, (name, curves) in enumerate(panels.items()):
            panel = axes.flat[index]
            for k, (label, curve) in enumerate(curves.items()):
                panel.errorbar(
                    curve.snapshots,
                    curve.error,
                    yerr=curve.spread if np.any(curve.spread) else None,
                    color=style.colour(k),
                    marker=style.MARKERS[k % len(style.MARKERS)],
                    capsize=2,
                    elinewidth=1.0,
                    label=label,
                )
            if name in floors:
                panel.axhline(
                    floors[name],
                    color=style.GREY,
                    linewidth=1.0,
                    linestyle=(0, (4, 2)),
                    zorder=1,
                    label="locality floor",
                )
            _finish(panel, index, len(panels), name)
            _name_axes(panel, index, columns, len(panels), "training snapshots")
            ticks = sorted({n for curve in curves.values() for n in curve.snapshots})
            panel.set_xticks(ticks, [f"{n:g}" for n in ticks])
            panel.set_xticks([], minor=True)
        handles: dict[str, Any] = {}
        for panel in axes.flat[: len(panels)]:
            handles |= {label: h for h, label in zip(*panel.get_legend_handles_labels(), strict=True)}
        if len(handles) > 1:
            figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    return Path(path)


def _grid(n: int) -> tuple[int, int]:
    """Rows and columns of n panels."""
    columns = n if n <= 3 else 2
    return -(-n // columns), columns


def _finish(panel: Any, index: int, count: int, name: str) -> None:
    panel.set(xscale="log", yscale="log")
    panel.set_title(name, fontsize=9)
    if count > 1:
        style.panel_letter(panel, index)


def _name_axes(panel: Any, index: int, columns: int, count: int, xlabel: str) -> None:
    """Once for each row and column of panels, all of which have the same axes."""
    panel.set_ylabel("torque error, rmse / rms" if index % columns == 0 else "")
    panel.set_xlabel(xlabel if index + columns >= count else "")


def _scatter(panel: Any, points: Sequence[Point], index: int, kind: str) -> None:
    """Models of one kind; an empty series keeps its colour and its entry in the legend."""
    look = {"color": style.colour(index), "linestyle": ""}
    x, y, spread = ([getattr(p, what) for p in points] for what in ("cost", "error", "spread"))
    if any(spread):
        panel.errorbar(x, y, yerr=spread, capsize=2, elinewidth=1.0, **look)
    panel.plot(x, y, marker=style.MARKERS[index % len(style.MARKERS)], markersize=5, label=kind, **look)


def _write_labels(panel: Any, points: Sequence[Point]) -> None:
    """Labels beside their points, those of the front first, where they cover no point and no other label."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.0, foreground="white")]
    scale = panel.figure.dpi / 72  # pixels of one point
    inside = panel.get_window_extent()
    centres = panel.transData.transform([(p.cost, p.error) for p in points])
    taken: list[Box] = [(x - 3 * scale, y - 3 * scale, x + 3 * scale, y + 3 * scale) for x, y in centres]
    front = pareto([p.cost for p in points], [p.error for p in points])
    for k in [*front, *(k for k in range(len(points)) if k not in front)]:
        for dx, dy, align in PLACES:
            box = _box(centres[k], dx, dy, align, points[k].label, scale)
            if _fits(box, inside) and not any(_overlap(box, other) for other in taken):
                panel.annotate(
                    points[k].label,
                    (points[k].cost, points[k].error),
                    xytext=(dx, dy),
                    textcoords="offset points",
                    ha=align,
                    va="center",
                    fontsize=FONT,
                    path_effects=halo,
                )
                taken.append(box)
                break


def _box(centre: Any, dx: float, dy: float, align: str, text: str, scale: float) -> Box:
    """Where a label would lie, in pixels, from the average width of a letter."""
    width, height = 0.56 * FONT * len(text) * scale, 1.15 * FONT * scale
    left = centre[0] + dx * scale - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * width
    bottom = centre[1] + dy * scale - height / 2
    return left, bottom, left + width, bottom + height


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _fits(box: Box, inside: Any) -> bool:
    return box[0] > inside.x0 and box[2] < inside.x1 and box[1] > inside.y0 and box[3] < inside.y1
