"""task=label: exact labels for the configurations of a sampler, in a dataset that is made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from magsim.runs import Run
from magsim.tasks.labelling.dataset import label
from magsim.tasks.labelling.report import describe, draw, table


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=label``: make the dataset (or find that it exists) and describe it.

    Returns:
        final metrics, see :func:`describe`.
    """
    path = Path(cfg.output).expanduser() if cfg.output else None
    dataset = label(cfg, run, path, learnable=False)  # energies of ordered states are wanted too
    metrics = describe(dataset)
    for line in table(metrics, dataset.sources):
        run.say(line)
    draw(dataset, run)
    run.artifact("dataset", dataset.path, dataset.content_hash)
    return metrics
