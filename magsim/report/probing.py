"""The stochastic error of Chebyshev labels against the number of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from magsim.report import style


def probing_errors(
    path: str | Path,
    columns: Sequence[int],
    errors: Mapping[str, Sequence[float]],
    estimates: Mapping[str, Sequence[float]],
    torque: float,
) -> Path:
    """rms error of the torque, measured and as the labels state it, for each kind of probes.

    Args:
        path: figure to write.
        columns: S of every point.
        errors: kind -> rms error of a component of the transverse field.
        estimates: kind -> what the labels say of it.
        torque: rms transverse field, drawn as a line.

    Returns:
        ``path``.
    """
    x = np.asarray(columns, dtype=float)
    with style.panels(path, 1, 1, 4.0, 3.1) as (_, axes):
        panel = axes[0, 0]
        for index, (kind, values) in enumerate(errors.items()):
            measured = np.asarray(values)
            slope = np.polyfit(np.log(x), np.log(measured), 1)[0]
            look = {"color": style.colour(index), "marker": style.MARKERS[index]}
            panel.loglog(x, measured, label=f"{kind}, slope {slope:.2f}", **look)
            panel.loglog(x, estimates[kind], linestyle="none", fillstyle="none", markersize=8.0, **look)
            guide = -1.0 if kind.startswith("colour") else -0.5
            middle = len(x) // 2
            line = measured[middle] * (x / x[middle]) ** guide
            panel.loglog(x, line, color=style.GREY, linewidth=0.8, linestyle=":", zorder=1)
        panel.axhline(torque, color=style.GREY, linewidth=0.8)
        panel.annotate(
            "rms torque",
            (x[0], torque),
            xytext=(0, -10),
            textcoords="offset points",
            color=style.GREY,
            fontsize=8,
        )
        panel.loglog([], [], linestyle="none", marker="o", fillstyle="none", color=style.GREY, markersize=8.0,
                     label="as the labels state it")  # fmt: skip
        panel.loglog([], [], color=style.GREY, linewidth=0.8, linestyle=":", label=r"$S^{-1}$, $S^{-1/2}$")
        panel.set(xlabel="columns $S$ of one repeat", ylabel="rms error of a torque component $(t)$")
        panel.set_xticks(x, [f"{n:g}" for n in x])
        panel.minorticks_off()
        panel.legend(loc="lower left")
    return Path(path)
