"""The report page of active learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.store import open_dataset
from magsim.report.active import choices, errors_by_labels, spread_map
from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import Run
from magsim.spins import transverse
from magsim.tasks.active_learning.choice import Chosen, read_choice
from magsim.tasks.active_learning.rounds import Result, ask, committee_of
from magsim.tasks.build import build_lattice
from magsim.tasks.pages import publish
from magsim.tasks.words import MODELS, system

STRATEGIES = {
    "committee": "those on which the committee disagrees most, {apart} steps apart or in different runs",
    "random": "at random among those of its runs, {apart} steps apart or in different runs",
    "fresh": "random spins, without any run",
}


def active_page(
    cfg: DictConfig, run: Run, results: Sequence[Result], dataset: SpinDataset, test: SpinDataset
) -> None:
    """Error against labels, what was chosen, and maps of one configuration."""
    folders = [run.folder / "rounds" / f"{k:02d}" for k in range(len(results))]
    pictures = [_errors(cfg, run, results)]
    chosen = [read_choice(f / "chosen.npz") for f in folders if (f / "chosen.npz").exists()]
    if chosen:
        pictures.append(_choices(run, chosen))
        if build_lattice(cfg).dim == 2:
            pictures.append(_maps(cfg, run, chosen))
    classes = list(results[0].errors)
    rows = [
        [r.number, r.labels, r.error, r.member_error, *(r.errors[c] for c in classes), r.seconds]
        for r in results
    ]
    columns = ("round", "labels", "mean", "mean of single members", *classes, "training (s)")
    how = STRATEGIES[str(cfg.task.strategy)].format(apart=cfg.task.separation)
    text = (
        f"{cfg.task.members} models that differ in their initial weights; in each round up to "
        f"{cfg.task.chosen} configurations were labelled: {how}.\n\n"
        f"Errors are rmse over rms of the transverse field on {len(test)} snapshots of which nothing was "
        f"learned (content {test.content_hash[:16]}), for the mean field of the committee; 'mean' counts "
        f"every class of states the same."
    )
    last = results[-1]
    publish(
        cfg,
        run,
        f"Active learning of the {system(cfg)} by {MODELS[cfg.model.name]}",
        [
            Section("Rounds", text, [Table(columns, rows)], pictures[:1]),
            Section("What was chosen", pictures=pictures[1:]),
        ],
        [
            Metric("torque error", last.error, "rmse / rms", *_target(cfg, last)),
            Metric("labels", len(dataset)),
        ],
        summary=run.metrics["active/stopped"].capitalize() + ".",
    )


def _target(cfg: DictConfig, last: Result) -> tuple[str, bool | None]:
    target = cfg.task.target
    return ("", None) if target is None else (f"≤ {target:g}", last.error <= target)


def _errors(cfg: DictConfig, run: Run, results: Sequence[Result]) -> Picture:
    classes = list(results[0].errors)
    errors = {name: [r.errors[name] for r in results] for name in classes}
    spreads = {name: [r.spreads[name] for r in results] for name in classes}
    path = errors_by_labels(
        run.folder / "errors.png",
        [r.labels for r in results],
        errors | {"mean": [r.error for r in results]},
        spreads,
        cfg.task.target,
    )
    run.image("errors", path)
    return Picture(
        path,
        "Left: error of the committee's mean on the test set. Right: its spread there, over that rms.",
    )


def _choices(run: Run, chosen: Sequence[Chosen]) -> Picture:
    pool = {
        "step": np.concatenate([c.pool_step for c in chosen]),
        "torque": np.concatenate([c.pool_torque for c in chosen]),
    }
    path = choices(run.folder / "chosen.png", [{"step": c.step, "torque": c.torque} for c in chosen], pool)
    run.image("chosen", path)
    return Picture(
        path,
        "Configurations that were labelled, by round; grey: all that could be chosen. Lines: what choices at "
        "random would look like.",
    )


def _maps(cfg: DictConfig, run: Run, chosen: Sequence[Chosen]) -> Picture:
    """The first choice of the last round: the committee that chose it, against its exact label."""
    last = chosen[-1]
    folder = last.path.parent
    labelled = open_dataset(folder / "labels.zarr", learnable=False)
    spins, exact = last.spins[0], transverse(labelled.field[0], labelled.spins[0])
    mean = ask(committee_of(cfg, folder), spins[None]).mean(0)[0]

    def size(vectors: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean(np.square(vectors), axis=-1))

    path = spread_map(
        run.folder / "spread.png", build_lattice(cfg), last.spread[0], size(mean - exact), size(exact)
    )
    run.image("spread", path)
    what = f"step {last.step[0]} of a run, score {last.score[0]:.3g}"
    return Picture(path, f"A configuration chosen in round {len(chosen)} ({what}), before it was learned.")
