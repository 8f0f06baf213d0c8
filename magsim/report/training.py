"""How the training went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.report import style


def training_curves(
    path: str | Path,
    epoch: Any,
    losses: Mapping[str, Any],
    torque_errors: Mapping[str, Any] | None = None,
    learning_rate: Any = None,
    best_epoch: float | None = None,
) -> Path:
    """Loss, relative torque error and learning rate against the epoch.

    Args:
        path: figure to write.
        epoch: ``(E,)``.
        losses: name (training, validation) -> ``(E,)``.
        torque_errors: source (random, quench) -> rmse / rms of the transverse field in validation, ``(E,)``.
        learning_rate: ``(E,)``.
        best_epoch: epoch whose weights were kept, marked by a line.

    Returns:
        ``path``.
    """
    groups: list[tuple[str, Mapping[str, Any]]] = [("loss", losses)]
    if torque_errors:
        groups.append(("torque error, rmse / rms", torque_errors))
    if learning_rate is not None:
        groups.append(("learning rate", {"": learning_rate}))
    epoch = np.asarray(epoch, dtype=float)
    with style.panels(path, 1, len(groups), 3.1 * len(groups), 2.7) as (_, axes):
        for column, (label, curves) in enumerate(groups):
            panel = axes[0, column]
            for index, (name, values) in enumerate(curves.items()):
                values = np.asarray(values, dtype=float)
                known = np.isfinite(values)  # validation may skip epochs
                mark = "o" if known.sum() < 12 else ""
                panel.plot(
                    epoch[known], values[known], color=style.colour(index), label=name or None, marker=mark
                )
            panel.set(xlabel="epoch", ylabel=label, yscale="log")
            if best_epoch is not None:
                panel.axvline(best_epoch, color=style.GREY, linewidth=0.9, linestyle=":", zorder=1)
            if any(curves):
                panel.legend()
            if len(groups) > 1:
                style.panel_letter(panel, column)
    return Path(path)
