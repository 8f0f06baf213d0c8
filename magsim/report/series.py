"""Curves against time or any other variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.observables import OBSERVABLES
from magsim.report import style

LINES = ("-", "--", "-.", ":")


def quench_curves(
    path: str | Path,
    runs: Mapping[str, Mapping[str, Any]],
    observables: Sequence[str] = ("mean_abs_chirality", "nn_correlation"),
    references: bool | Mapping[str, Mapping[str, float]] = False,
    points: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Path:
    """Observables of several runs (exact and learned fields) against time, one panel per observable.

    Args:
        path: figure to write.
        runs: label -> {"time": ``(T,)``, observable: ``(T,)`` or ``(T, replicas)``}; replicas give mean and
            band of one standard deviation.
        observables: what to draw; names of :data:`magsim.observables.OBSERVABLES` get their symbols.
        references: lines to compare with. True for the values of tetrahedral order from the registry
            (triangular lattice), or observable -> {label: value}; False for none.
        points: observable -> [(time, value), ...] known from elsewhere, marked; those beyond the curves are
            left out.

    Returns:
        ``path``.
    """
    n = len(observables)
    with style.panels(path, 1, n, 3.3 * n, 2.8) as (_, axes):
        for column, name in enumerate(observables):
            panel = axes[0, column]
            ends = [float(np.mean(np.asarray(run[name])[-1])) for run in runs.values() if name in run]
            for label, value in _references(name, references).items():
                _reference_line(panel, label, value, below=bool(ends) and float(np.mean(ends)) > value)
            for index, (label, run) in enumerate(runs.items()):
                if name not in run:
                    continue
                time = np.asarray(run["time"], dtype=float)
                values = np.asarray(run[name])
                style.band(panel, time, values, label, index, linestyle=LINES[index % len(LINES)])
            _reference_points(panel, (points or {}).get(name, ()))
            known = OBSERVABLES.get(name)
            panel.set(xlabel=r"time $(\hbar/t)$", ylabel=known.label if known else name)
            panel.margins(x=0.01, y=0.1)
            if n > 1:
                style.panel_letter(panel, column)
        if len(runs) > 1 or points:
            axes[0, 0].legend(loc="best")
    return Path(path)


def _reference_line(axes: Any, label: str, value: float, below: bool) -> None:
    """A dashed line with its name at the right end, on the side where no curve ends."""
    axes.axhline(value, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    axes.annotate(
        label,
        (1, value),
        xytext=(-2, -2.5 if below else 2.5),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="top" if below else "bottom",
        color=style.GREY,
        fontsize=7.5,
    )


def _reference_points(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    """Open marks at (time, value), within the times that the curves cover."""
    ends = [line.get_xdata()[-1] for line in axes.get_lines() if len(line.get_xdata()) > 2]
    shown = [point for point in points if point[0] <= max(ends, default=np.inf)]
    if shown:
        time, value = np.array(shown).T
        look = {"marker": "D", "linestyle": "none", "markerfacecolor": "white", "color": style.GREY}
        axes.plot(time, value, label="reference", zorder=4, **look)


def _references(name: str, references: bool | Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    if isinstance(references, Mapping):
        return dict(references.get(name, {}))
    if references and name in OBSERVABLES:
        return dict(OBSERVABLES[name].references)
    return {}


def overlay(
    path: str | Path,
    curves: Mapping[str, tuple[Any, Any]],
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
) -> Path:
    """Any curves on one panel.

    Args:
        path: figure to write.
        curves: label -> (x ``(T,)``, y ``(T,)`` or ``(T, replicas)``).
        xlabel, ylabel: axis labels with units.
        xscale, yscale: "linear" or "log".

    Returns:
        ``path``.
    """
    many = len(curves) > 6
    with style.panels(path, 1, 1, 6.0 if many else 4.4, 3.1) as (_, axes):
        panel = axes[0, 0]
        for index, (label, (x, y)) in enumerate(curves.items()):
            # a single value is no line
            look = {"marker": style.MARKERS[index % len(style.MARKERS)]} if np.size(x) == 1 else {}
            cycle = LINES[(index // len(style.PALETTE)) % len(LINES)]
            if len(curves) == 2:  # two that agree are both seen
                cycle = LINES[index]
            style.band(panel, np.asarray(x, dtype=float), y, label, index, linestyle=cycle, **look)
        panel.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
        if curves:
            panel.legend(**({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {}))
    return Path(path)
