"""Time of exact labels against the size of the system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magsim.report import style


def label_times(
    path: str | Path, points: Sequence[tuple[int, float, float, float | None]], exponent: float
) -> Path:
    """Seconds of a label by Green's functions and by diagonalisation, log-log.

    Args:
        path: of the PNG.
        points: states, seconds in complex128, in complex64, of the eigensolver (None: not measured).
        exponent: fitted to the complex128 times; NaN: too few lattices for a fit.
    """
    table = np.array([[np.nan if x is None else x for x in point] for point in points], dtype=float)
    law = f", $N^{{{exponent:.2f}}}$" if np.isfinite(exponent) else ""
    labels = (f"Green's functions{law}", "the same, complex64", "eigenvalues and vectors")
    with style.panels(path, 1, 1, 4.0, 3.1) as (_, axes):
        panel = axes[0, 0]
        for index, label in enumerate(labels):
            shown = np.isfinite(table[:, index + 1])
            if shown.any():
                panel.loglog(
                    table[shown, 0] / 2,
                    table[shown, index + 1],
                    color=style.colour(index),
                    marker=style.MARKERS[index],
                    label=label,
                )
        panel.set(xlabel="half the number of states", ylabel="seconds of one label")
        panel.legend()
    return Path(path)
