"""Figure of the error floor that a finite radius sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from magsim.report import style


def locality_figure(path: str | Path, states: Mapping[str, tuple[float, Sequence[Any]]]) -> Path:
    """Floor against radius, absolute and over the rms torque.

    Args:
        path: figure to write.
        states: kind -> (rms torque, floors with ``radius``, ``floor`` and ``error``, by radius).

    Returns:
        ``path``.
    """
    with style.panels(path, 1, 2, 6.8, 3.0) as (_, axes):
        left, right = axes[0]
        for index, (kind, (rms, floors)) in enumerate(states.items()):
            radius, floor, error = (
                np.array([getattr(f, name) for f in floors]) for name in ("radius", "floor", "error")
            )
            look = {"color": style.colour(index), "marker": style.MARKERS[index], "capsize": 2.0}
            left.errorbar(radius, floor, error, label=kind, elinewidth=1.0, **look)
            left.axhline(rms, color=style.colour(index), linewidth=1.0, linestyle=":")
            right.errorbar(radius, floor / rms, error / rms, label=kind, elinewidth=1.0, **look)
        right.axhline(1.0, color=style.GREY, linewidth=1.0, linestyle=":")
        left.set(ylabel=r"floor of $F_\perp$ per component $(t)$")
        right.set(ylabel="floor / rms torque")
        for position, panel in enumerate((left, right)):
            panel.set(yscale="log", xlabel=r"radius $R$ $(a)$")
            panel.set_xlim(left=-0.15)
            style.panel_letter(panel, position)
        left.plot([], [], color=style.GREY, linewidth=1.0, linestyle=":", label="rms torque")
        left.legend(handles=left.lines[-1:], loc="lower left")
        right.legend()
    return Path(path)
