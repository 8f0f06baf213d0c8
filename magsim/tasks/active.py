"""task=active: a committee runs the dynamics, what it disagrees on is labelled, and it learns again."""

from __future__ import annotations

import os
import shutil
import time
from itertools import count
from typing import Any

from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.pool import stored_pool
from magsim.dynamics import CommitteeField
from magsim.errors import ConfigError
from magsim.learning.checkpoint import MODEL_FILE, stored_hash
from magsim.runs import Run, seconds
from magsim.tasks.active_learning.choice import choose
from magsim.tasks.active_learning.page import active_page
from magsim.tasks.active_learning.rounds import (
    Result,
    enlarge,
    examine,
    member_file,
    starting_set,
    test_set,
    train_committee,
)

DATASET = "dataset.zarr"


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """Rounds of train, examine, run and choose, label, until target, budget, rounds or time are reached.

    Every round has a folder ``rounds/<number>`` with its ``dataset.zarr`` (all labels so far), its members,
    ``result.json``, ``trajectory.zarr`` and ``chosen.npz``. ``resume=`` goes on with the stage that was cut.
    ``model.safetensors`` is the first member of the last round.

    Returns:
        final metrics.

    Raises:
        ConfigError: the start does not fit the budget or the lattice.
    """
    began = time.monotonic()
    run.headline("Start")
    dataset = stored_pool(run.folder / "rounds" / "00" / DATASET, [starting_set(cfg, run)])
    run.headline("Test set")
    test = test_set(cfg, run)
    dt = cfg.integrator.dt or test.dt
    if dt is None:
        raise ConfigError("integrator.dt", None, "a number: the test set does not tell its time step.")
    results: list[Result] = []
    for number in count():
        stage = run.part(f"rounds/{number:02d}")
        run.headline(f"Round {number}: {len(dataset)} labels")
        committee, result = _learn(cfg, run, stage, number, dataset, test)
        results.append(result)
        stopped = _reason_to_stop(cfg, result, len(dataset), time.monotonic() - began)
        if stopped:
            run.say(f"  {stopped}")
            break
        chosen = choose(cfg, stage, number, committee, dataset, float(dt))
        run.say(f"  {len(chosen)} configurations chosen, steps {sorted(chosen.step.tolist())}")
        place = run.part(f"rounds/{number + 1:02d}").folder / DATASET
        dataset = enlarge(cfg, stage, dataset, chosen.path, place)
    _publish_model(run, stage, dataset)
    metrics = {
        **{key: value for key, value in results[-1].series.items() if not key.endswith("seconds")},
        "active/stopped": stopped,
        "active/dataset_hash": dataset.content_hash,
        "active/test_labels": len(test),
        "active/test_hash": test.content_hash,
    }
    run.summary(metrics)
    active_page(cfg, run, results, dataset, test)
    return metrics


def _learn(
    cfg: DictConfig, run: Run, stage: Run, number: int, dataset: SpinDataset, test: SpinDataset
) -> tuple[CommitteeField, Result]:
    """Train the committee of a round and tell how good it is."""
    began, known = time.monotonic(), (stage.folder / "result.json").exists()
    warm = cfg.task.warm_start and number > 0
    before = stage.folder.with_name(f"{number - 1:02d}") if warm else None
    committee = train_committee(cfg, stage, dataset, before)
    result = examine(stage, number, len(dataset), committee, test, began)
    if not known:
        run.log(result.series, result.labels)
    told = ", ".join(f"{name} {value:.3f}" for name, value in result.errors.items())
    run.say(f"  torque error on the test set {result.error:.3f} ({told}), {seconds(result.seconds)}")
    return committee, result


def _reason_to_stop(cfg: DictConfig, result: Result, labels: int, elapsed: float) -> str:
    """Empty: go on."""
    task = cfg.task
    if task.target is not None and result.error <= task.target:
        return f"target reached: {result.error:.4g} <= {task.target:g}"
    if labels >= task.budget:
        return f"budget spent: {labels} labels"
    if result.number >= task.rounds:
        return f"all {task.rounds} rounds done"
    if task.max_minutes is not None and elapsed > 60 * task.max_minutes:
        return f"time spent: {seconds(elapsed)}"
    return ""


def _publish_model(run: Run, stage: Run, dataset: SpinDataset) -> None:
    """The first member of the last round stands for the run wherever a checkpoint is asked for."""
    path = run.folder / MODEL_FILE
    partial = path.with_name(f"{MODEL_FILE}.partial")
    shutil.copyfile(member_file(stage.folder, 0), partial)
    os.replace(partial, path)
    run.artifact("model", path, stored_hash(path))
    run.artifact("dataset", dataset.path, dataset.content_hash)
