"""Loops of the magnetisation in a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from magsim.report import style


def hysteresis_loop(path: str | Path, field: Any, along: Any, label: str) -> Path:
    """Magnetisation along a field that goes down and up again.

    Args:
        path: figure to write.
        field: ``(K,)`` values B in the order of the loop, times the moment.
        along: ``(K, R)`` mean spin of each replica along the field; replicas give mean and band of one
            standard deviation.
        label: of the loop, e.g. the name of the effective field.

    Returns:
        ``path``.
    """
    field, along = np.asarray(field, dtype=float), np.asarray(along, dtype=float)
    turn = int(field.argmin()) + 1
    with style.panels(path, 1, 1, 4.2, 3.2) as (_, axes):
        panel = axes[0, 0]
        panel.axhline(0.0, color=style.GREY, linewidth=0.7)
        panel.axvline(0.0, color=style.GREY, linewidth=0.7)
        style.band(panel, field[:turn], along[:turn], f"{label}, down", 0, marker=style.MARKERS[0])
        if len(field) > turn:
            branch = slice(turn - 1, None)
            style.band(panel, field[branch], along[branch], f"{label}, up", 1, marker=style.MARKERS[1])
        panel.set(xlabel=r"field $B$ $(t)$", ylabel=r"magnetisation along the field $m_B$")
        panel.margins(x=0.03, y=0.06)
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return Path(path)


def coercivity(field: Any, along: Any) -> float:
    """Half the distance between the two fields at which the magnetisation ``(K,)`` along the field passes
    through zero, by linear interpolation; NaN where one of them is missing."""
    field, along = np.asarray(field, dtype=float), np.asarray(along, dtype=float)
    turn = int(field.argmin())
    crossings = []
    for branch in (slice(0, turn + 1), slice(turn, None)):
        B, m = field[branch], along[branch]
        sign_changes = np.flatnonzero(m[:-1] * m[1:] < 0)
        if not len(sign_changes):
            return float("nan")
        k = int(sign_changes[0])
        crossings.append(B[k] - m[k] * (B[k + 1] - B[k]) / (m[k + 1] - m[k]))
    return float((crossings[1] - crossings[0]) / 2)
