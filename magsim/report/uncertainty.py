"""Figures of what a model knows about its own errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.learning.calibration import Calibration
from magsim.report import style

BINS, LEAST = 8, 50  # bins of sites with similar spreads, at most; sites of a bin, at least


def error_along_trajectory(
    path: str | Path,
    audit: tuple[Any, Any, Any] | None,
    curves: Mapping[str, tuple[Any, Any]],
    test_rmse: float | None = None,
    factor: float = 0.0,
) -> Path:
    """Torque error against time on a logarithmic scale.

    Args:
        path: figure to write.
        audit: (time, rmse, rms) ``(n,)`` by exact labels: the true error and the torque itself.
        curves: label -> (time, error) known at more times.
        test_rmse: error on held-out data, drawn as a line; from ``factor`` times it on the panel is shaded.
        factor: see there.

    Returns:
        ``path``.
    """
    with style.panels(path, 1, 1, 4.8, 3.2) as (_, axes):
        panel = axes[0, 0]
        for index, (label, (time, error)) in enumerate(curves.items()):
            panel.plot(time, error, label=label, color=style.colour(index + 1))
        if audit is not None:
            time, rmse, rms = (np.asarray(values, dtype=float) for values in audit)
            look = {"marker": "o", "color": style.colour(0), "zorder": 3}
            panel.plot(time, rmse, label="true error (audit)", linestyle="", **look)
            panel.plot(time, rms, label="exact torque, rms", color=style.GREY, linestyle="--", linewidth=1.1)
        panel.set_yscale("log")
        panel.margins(x=0.02, y=0.1)
        low, high = panel.get_ylim()
        if test_rmse is not None:
            line = {"color": style.GREY, "linestyle": ":", "linewidth": 1.2}
            panel.axhline(test_rmse, label="error in the test", **line)
            low, high = min(low, test_rmse / 1.2), max(high, test_rmse * 1.2)
            if factor * test_rmse < high:
                panel.axhspan(factor * test_rmse, high, color=style.colour(1), alpha=0.10, linewidth=0)
        panel.set_ylim(low, high)
        panel.set(xlabel=r"time $(\hbar/t)$", ylabel=r"torque per component $(t)$")
        panel.legend(loc="best")
    return Path(path)


def calibration_figure(
    path: str | Path,
    states: Mapping[str, tuple[Any, Any]],
    fit: Calibration,
    coverage: Mapping[str, Callable[[float], float]],
    gaussian: Callable[[float], float],
) -> Path:
    """Spread of a committee against the true error of its mean, and how often its intervals hold.

    Args:
        path: figure to write.
        states: class of state -> (spread, error) of its sites.
        fit: the calibration, drawn as a line.
        coverage: label -> measured share as a function of the nominal one; the first is that of all sites.
        gaussian: the same of the uncalibrated spread.

    Returns:
        ``path``.
    """
    with style.panels(path, 1, 2, 7.2, 3.3, gridspec_kw={"width_ratios": [1.15, 1]}) as (_, axes):
        _scatter(axes[0, 0], states, fit)
        panel = axes[0, 1]
        nominal = np.linspace(0.02, 0.99, 60)
        panel.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.9)
        plain = {"linestyle": "--", "color": style.GREY, "label": r"$s/\sqrt{M}$, Gaussian"}
        panel.plot(nominal, [gaussian(p) for p in nominal], **plain)
        for index, (label, share) in enumerate(coverage.items()):
            look = {"color": "black", "linewidth": 2.0} if index == 0 else {"color": style.colour(index - 1)}
            panel.plot(nominal, [share(p) for p in nominal], label=label, zorder=4 - min(index, 1), **look)
        panel.set(xlabel="nominal coverage", ylabel="share of errors inside")
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.legend(loc="upper left")
        for column in range(2):
            style.panel_letter(axes[0, column], column)
    return Path(path)


def _scatter(panel: Any, states: Mapping[str, tuple[Any, Any]], fit: Calibration) -> None:
    """All sites as density, rms errors of every class in bins of the spread, and the map."""
    from matplotlib.colors import LogNorm

    spread = np.concatenate([np.ravel(s) for s, _ in states.values()])
    error = np.concatenate([np.ravel(e) for _, e in states.values()])
    low, high = (float(np.quantile(spread[spread > 0], q)) for q in (0.0005, 0.9999))
    bottom, top = float(np.quantile(error, 0.005)), float(error.max())
    seen = (spread >= low) & (error >= bottom)
    extent = (np.log10(low), np.log10(high), np.log10(bottom), np.log10(top))
    panel.hexbin(
        spread[seen], error[seen], xscale="log", yscale="log", gridsize=45, extent=extent, mincnt=1,
        cmap="Greys", norm=LogNorm(1), linewidths=0.1, alpha=0.55,
    )  # fmt: skip
    for index, (name, (s, e)) in enumerate(states.items()):
        centres, rms = binned_rms(np.ravel(s), np.ravel(e))
        look = {"marker": style.MARKERS[index], "color": style.colour(index), "markeredgecolor": "white"}
        panel.plot(
            centres, rms, linestyle="", markeredgewidth=0.5, markersize=5, label=name, zorder=3, **look
        )
    x = np.geomspace(low, high, 50)
    panel.plot(x, fit.expected(x), color="black", linewidth=1.5, label="calibration", zorder=2)
    panel.plot(x, x / np.sqrt(fit.members), "--", color=style.GREY, linewidth=1.2, label=r"$s/\sqrt{M}$")
    panel.set(xlabel=r"spread $s$ $(t)$", ylabel=r"error $e$ of the mean $(t)$")
    panel.set(xlim=(low, high), ylim=(bottom, top))
    panel.grid(False)
    panel.legend(loc="lower right", fontsize=7.5)


def binned_rms(spread: np.ndarray, error: np.ndarray) -> tuple[Any, Any]:
    """rms error in bins of equal numbers of sites along the spread: geometric means of the spread ``(k,)``
    and errors ``(k,)``; fewer bins where there are few sites."""
    known = spread > 0
    order = np.argsort(spread[known])
    parts = np.array_split(order, max(1, min(BINS, len(order) // LEAST)))
    centres = [np.exp(np.mean(np.log(spread[known][part]))) for part in parts if len(part)]
    rms = [np.sqrt(np.mean(error[known][part] ** 2)) for part in parts if len(part)]
    return np.array(centres), np.array(rms)
