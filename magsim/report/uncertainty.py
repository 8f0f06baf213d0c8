"""Figures of what a model knows about its own errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.report import style


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
        style.log_ticks(panel.yaxis, low, high)
        panel.legend(loc="best")
    return Path(path)
