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
    references: bool | Mapping[str, Mapping[str, float]] = True,
    log_time: bool = False,
) -> Path:
    """Observables of several runs (exact and learned fields) against time, one panel per observable.

    Args:
        path: figure to write.
        runs: label -> {"time": ``(T,)``, observable: ``(T,)`` or ``(T, replicas)``}; replicas give mean and
            band of
            one standard deviation.
        observables: what to draw; names of :data:`magsim.observables.OBSERVABLES` get their symbols.
        references: True draws the values of perfect order that the registry knows, a mapping
            observable -> {label: value} these, False none.
        log_time: logarithmic time axis (t = 0 is left out).

    Returns:
        ``path``.
    """
    n = len(observables)
    with style.panels(path, 1, n, 3.3 * n, 2.8) as (_, axes):
        for column, name in enumerate(observables):
            panel = axes[0, column]
            for label, value in _references(name, references).items():
                panel.axhline(value, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
                place = {
                    "xy": (1, value),
                    "xycoords": ("axes fraction", "data"),
                    "textcoords": "offset points",
                }
                panel.annotate(label, xytext=(-2, 2.5), ha="right", color=style.GREY, fontsize=7.5, **place)
            for index, (label, run) in enumerate(runs.items()):
                if name not in run:
                    continue
                time = np.asarray(run["time"], dtype=float)
                start = 1 if log_time and time[0] == 0 else 0
                values = np.asarray(run[name])
                style.band(
                    panel, time[start:], values[start:], label, index, linestyle=LINES[index % len(LINES)]
                )
            known = OBSERVABLES.get(name)
            panel.set(xlabel=r"time $(\hbar/t)$", ylabel=known.label if known else name)
            panel.set_xscale("log" if log_time else "linear")
            panel.margins(x=0.01, y=0.1)
            if n > 1:
                style.panel_letter(panel, column)
        axes[0, 0].legend(loc="best")
    return Path(path)


def _references(name: str, references: bool | Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    if isinstance(references, Mapping):
        return dict(references.get(name, {}))
    if references and name in OBSERVABLES:
        return dict(OBSERVABLES[name].references)
    return {}


def domain_growth(
    path: str | Path,
    runs: Mapping[str, tuple[Any, Any]],
    guides: Mapping[str, float] | None = None,
    fit: tuple[float, float] | None = None,
) -> Path:
    """Domain size L(t) on logarithmic axes, with power laws to compare.

    Args:
        path: figure to write.
        runs: label -> (time ``(T,)``, L ``(T,)`` or ``(T, replicas)`` in lattice constants).
        guides: label -> exponent of guiding lines; default t^1/2 (Allen-Cahn) and t (chiral domains,
            arXiv:2403.11705).
        fit: time window of a straight-line fit, whose exponent is added to the legend.

    Returns:
        ``path``.
    """
    guides = {r"$\propto t^{1/2}$": 0.5, r"$\propto t$": 1.0} if guides is None else guides
    with style.panels(path, 1, 1, 4.2, 3.2) as (_, axes):
        panel = axes[0, 0]
        end = anchor = 0.0
        start = np.inf
        for index, (label, (time, size)) in enumerate(runs.items()):
            time = np.asarray(time, dtype=float)
            size = np.asarray(size, dtype=float).reshape(len(time), -1)
            late = time > 0
            time, size = time[late], size[late]
            if fit is not None:
                label = f"{label} ($t^{{{growth_exponent(time, size.mean(1), fit):.2f}}}$)"
            style.band(panel, time, size, label, index)
            start, end = min(start, time[0]), max(end, time[-1])
            anchor = max(anchor, float(size[-1].mean()))
        panel.set(xscale="log", yscale="log", xlabel=r"time $(\hbar/t)$", ylabel=r"domain size $L$ $(a)$")
        low, high = panel.get_ylim()
        begin = max(start, end / 12)
        for index, (label, exponent) in enumerate(guides.items()):
            t = np.array([begin, end])
            line = 1.25 * anchor * (t / end) ** exponent
            panel.plot(t, line, color=style.GREY, linewidth=1.0, linestyle=LINES[1 + index % 3], label=label)
        panel.set_ylim(low, max(high, 1.5 * anchor))
        panel.legend(loc="upper left")
        _few_log_ticks(panel)
    return Path(path)


def growth_exponent(time: Any, size: Any, fit: tuple[float, float]) -> float:
    """Exponent n of L ~ t^n by least squares on logarithms within a time window; NaN below two points."""
    time, size = np.asarray(time, dtype=float), np.asarray(size, dtype=float)
    inside = (time >= fit[0]) & (time <= fit[1]) & (time > 0) & (size > 0)
    if inside.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(time[inside]), np.log(size[inside]), 1)[0])


def _few_log_ticks(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axes.get_ylim()
    if high / low < 200:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def overlay(
    path: str | Path,
    curves: Mapping[str, tuple[Any, Any]],
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
    markers: bool = False,
    title: str = "",
) -> Path:
    """Any curves on one panel.

    Args:
        path: figure to write.
        curves: label -> (x ``(T,)``, y ``(T,)`` or ``(T, replicas)``).
        xlabel, ylabel: axis labels with units.
        xscale, yscale: "linear" or "log".
        markers: mark the points, for few measured values.
        title: above the panel.

    Returns:
        ``path``.
    """
    many = len(curves) > 6
    with style.panels(path, 1, 1, 6.0 if many else 4.4, 3.1) as (_, axes):
        panel = axes[0, 0]
        for index, (label, (x, y)) in enumerate(curves.items()):
            look = {"marker": style.MARKERS[index % len(style.MARKERS)]} if markers else {}
            cycle = LINES[(index // len(style.PALETTE)) % len(LINES)]
            style.band(panel, np.asarray(x, dtype=float), y, label, index, linestyle=cycle, **look)
        panel.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale, title=title)
        if curves:
            panel.legend(**({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {}))
    return Path(path)
