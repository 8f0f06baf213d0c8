"""Bars over runs, methods or machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from magsim.report import style
from magsim.report.numbers import number


def bars(
    path: str | Path,
    groups: Sequence[str],
    values: Mapping[str, Sequence[float]],
    label: str,
    log: bool = False,
) -> Path:
    """Horizontal bars with their numbers, one group per row and one colour per series.

    Args:
        path: figure to write.
        groups: names of the rows, drawn from top to bottom (runs, lattice sizes, ...).
        values: series -> one value per row; NaN leaves a gap.
        label: what the bars measure, with unit.
        log: logarithmic axis.

    Returns:
        ``path``.
    """
    from matplotlib.patheffects import withStroke

    rows, series = len(groups), len(values)
    thick = 0.8 / max(series, 1)
    height = 0.9 + rows * max(0.32, 0.2 * series) + (0.25 if series > 1 else 0)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    with style.panels(path, 1, 1, 5.6, height) as (figure, axes):
        panel = axes[0, 0]
        for index, (name, row) in enumerate(values.items()):
            y = np.arange(rows) + (index - (series - 1) / 2) * thick
            lengths = np.asarray(row, dtype=float)
            drawn = panel.barh(y, lengths, height=0.9 * thick, color=style.colour(index), label=name)
            texts = [number(v, 3) if np.isfinite(v) else "" for v in lengths]
            panel.bar_label(drawn, labels=texts, padding=3, fontsize=7.5, path_effects=halo)
        panel.set(yticks=np.arange(rows), yticklabels=list(groups), xlabel=label)
        panel.set_xscale("log" if log else "linear")
        panel.invert_yaxis()
        panel.margins(x=0.14)
        if log:
            # a bar on a log axis has no natural foot: a decade below the shortest keeps the ratios visible
            known = np.array([v for row in values.values() for v in row if np.isfinite(v) and v > 0])
            if len(known):
                low, high = known.min() / 10, known.max() * (10 * known.max() / known.min()) ** 0.14
                panel.set_xlim(low, high)
        panel.grid(axis="y", visible=False)
        panel.tick_params(axis="y", length=0)
        if series > 1:
            figure.legend(loc="outside upper center", ncols=min(series, 4))
    return Path(path)
