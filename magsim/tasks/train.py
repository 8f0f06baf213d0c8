"""task=train: train a model on a dataset; errors on what was held out, report page."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from magsim.runs import Run
from magsim.tasks.build import plain
from magsim.tasks.data import dataset_for
from magsim.tasks.training.errors import evaluate
from magsim.tasks.training.floors import floor_metrics
from magsim.tasks.training.page import training_page
from magsim.tasks.training.trained import train


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=train``: dataset, training, errors on what was held out, figures, report page."""
    dataset = dataset_for(cfg, run)
    trained = train(cfg, run, dataset)
    result = evaluate(cfg, run, [trained.model], dataset, trained.split.test)
    training_page(cfg, run, trained, result)
    floors = floor_metrics(cfg, dataset, trained.model.lattice, plain(cfg.descriptor), plain(cfg.model))
    return trained.metrics | result.metrics | floors
