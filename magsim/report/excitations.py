"""Spin waves: the dynamic structure factor along a path through the Brillouin zone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.observables import Route
from magsim.report import style

DECADES = 4.0  # of intensity that the colours span


def excitation_map(
    path: str | Path,
    along: Route,
    omega: Any,
    spectrum: Any,
    laws: Mapping[str, Any] | None = None,
) -> Path:
    """S(q, omega) along the lines between symmetry points, logarithmic colours, omega >= 0.

    Args:
        path: figure to write.
        along: wavevectors, see :func:`magsim.observables.route`.
        omega: ``(F,)``.
        spectrum: ``(n, F)``, see :func:`magsim.observables.dynamic_structure_factor`.
        laws: label -> omega ``(n,)`` of dispersions to compare with.

    Returns:
        ``path``.
    """
    from matplotlib.colors import LogNorm

    omega, spectrum = np.asarray(omega, dtype=float), np.asarray(spectrum, dtype=float)
    keep = omega >= 0
    omega, spectrum = omega[keep], spectrum[:, keep]
    share = np.cumsum(spectrum.sum(axis=0)) / max(float(spectrum.sum()), 1e-300)
    top = 1.15 * float(omega[min(int(np.searchsorted(share, 0.999)), len(omega) - 1)])
    high = max(float(spectrum.max()), 1e-300)
    with style.panels(path, 1, 1, 5.2, 3.6) as (figure, axes):
        panel = axes[0, 0]
        artist = panel.pcolormesh(
            along.distance,
            omega,
            np.maximum(spectrum.T, high * 10**-DECADES),
            shading="nearest",
            cmap=style.INTENSITY,
            norm=LogNorm(high * 10**-DECADES, high),
            rasterized=True,
        )
        for number, (label, law) in enumerate((laws or {}).items()):
            look = {"color": "white", "linewidth": 0.9, "linestyle": ("--", ":", "-.")[number % 3]}
            panel.plot(along.distance, law, label=label, **look)
        for tick in along.ticks:
            panel.axvline(tick, color="white", linewidth=0.5, alpha=0.6)
        panel.set(xlim=(0, along.ticks[-1]), ylim=(0, min(top, omega[-1])))
        panel.set_xticks(along.ticks, labels=list(along.names))
        panel.tick_params(axis="x", length=0)
        panel.set_ylabel(r"$\omega$ $(t/\hbar)$")
        panel.grid(False)
        if laws:
            panel.legend(loc="upper right", labelcolor="white")
        bar = figure.colorbar(artist, ax=panel, pad=0.02, extend="min")
        bar.set_label(r"$S(\mathbf{q}, \omega)$ $(\hbar/t)$")
        bar.outline.set_linewidth(0.6)
    return Path(path)
