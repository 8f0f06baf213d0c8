"""Figures of the learned torque: parity with the exact one, distribution in the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.report import style
from magsim.report.numbers import number


def torque_parity(path: str | Path, sources: Mapping[str, tuple[Any, Any]]) -> Path:
    """Predicted against exact transverse field, one panel per source of data, with its errors.

    All Cartesian components enter. Written into each panel: rmse = sqrt(<(F' - F)^2>), rms = sqrt(<F^2>)
    (both per component) and their ratio, the relative torque error.

    Args:
        path: figure to write.
        sources: name -> (exact, predicted), arrays ``(..., 3)`` of transverse fields.

    Returns:
        ``path``.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator

    n = len(sources)
    with style.panels(path, 1, n, 2.9 * n + 0.7, 3.1) as (figure, axes):
        artists = []
        for index, (name, (exact, predicted)) in enumerate(sources.items()):
            panel = axes[0, index]
            x, y = np.asarray(exact, dtype=float).reshape(-1), np.asarray(predicted, dtype=float).reshape(-1)
            limit = 1.05 * max(float(np.quantile(np.abs(np.concatenate([x, y])), 0.9998)), 1e-12)
            panel.plot([-limit, limit], [-limit, limit], color="black", linewidth=0.8, zorder=3, alpha=0.7)
            extent = (-limit, limit, -limit, limit)
            artists.append(panel.hexbin(x, y, gridsize=90, extent=extent, mincnt=1, linewidths=0.1))
            rmse, rms, relative = torque_errors(x, y)
            text = f"rmse {rmse:.3g} $t$\nrms {rms:.3g} $t$\nrmse / rms {relative:.3f}"
            panel.text(0.04, 0.96, text, transform=panel.transAxes, va="top", fontsize=8)
            panel.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", title=name)
            panel.set_xlabel(r"exact $F_\perp$ $(t)$")
            panel.grid(False)
            ticks = np.asarray(MaxNLocator(5, steps=[1, 2, 4, 5, 10]).tick_values(-limit, limit))
            ticks = ticks[np.abs(ticks) <= limit]
            panel.set(xticks=ticks, yticks=ticks)
        axes[0, 0].set_ylabel(r"predicted $F_\perp$ $(t)$")
        top = max(float(artist.get_array().max()) for artist in artists)
        for artist in artists:
            artist.set_norm(LogNorm(1, max(top, 2)))
        figure.colorbar(artists[0], ax=list(axes[0]), label="components per bin", shrink=0.85, pad=0.02)
    return Path(path)


def torque_errors(exact: Any, predicted: Any) -> tuple[float, float, float]:
    """rmse and rms per component of transverse fields ``(..., 3)``, and their ratio (NaN without torque)."""
    exact, predicted = np.asarray(exact, dtype=float), np.asarray(predicted, dtype=float)
    rmse = float(np.sqrt(np.mean((predicted - exact) ** 2)))
    rms = float(np.sqrt(np.mean(exact**2)))
    return rmse, rms, rmse / rms if rms > 0 else float("nan")


def dataset_overview(
    path: str | Path, sources: Mapping[str, Any], energies: Mapping[str, Any] | None = None
) -> Path:
    """What the data cover: distribution of torques and, where given, of energies per site, by source.

    Args:
        path: figure to write.
        sources: name -> ``|F_perp|`` in units of t, any shape.
        energies: name -> energy per site in units of t, any shape.

    Returns:
        ``path``.
    """
    groups: list[tuple[Mapping[str, Any], str, bool]] = [
        (sources, r"torque $|\mathbf{F}_\perp|$ $(t)$", True)
    ]
    if energies:
        groups.append((energies, r"energy per site $(t)$", False))
    with style.panels(path, 1, len(groups), 3.6 * len(groups), 2.9) as (_, axes):
        for column, (data, label, logarithmic) in enumerate(groups):
            panel = axes[0, column]
            flat = {name: np.asarray(values, dtype=float).reshape(-1) for name, values in data.items()}
            everything = np.concatenate(list(flat.values()))
            positive = everything[everything > 0]
            if logarithmic and len(positive) > 0:
                low = max(float(np.quantile(positive, 0.001)), 1e-6 * float(positive.max()))
                bins = np.geomspace(low, float(positive.max()), 60)
                panel.set_xscale("log")
            else:
                bins = np.linspace(float(everything.min()), float(everything.max()) + 1e-12, 40)
            for index, (name, values) in enumerate(flat.items()):
                weights = np.full(len(values), 1 / len(values))
                look = {"bins": bins, "weights": weights, "color": style.colour(index)}
                panel.hist(values, histtype="stepfilled", alpha=0.2, **look)
                panel.hist(
                    values,
                    histtype="step",
                    linewidth=1.4,
                    label=f"{name} (n = {number(len(values))})",
                    **look,
                )
            panel.set(xlabel=label, ylabel="fraction per bin")
            panel.legend(loc="upper left")
            low_y, high_y = panel.get_ylim()
            panel.set_ylim(low_y, high_y * (1.1 + 0.09 * len(flat)))
            if len(groups) > 1:
                style.panel_letter(panel, column)
    return Path(path)
