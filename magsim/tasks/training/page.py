"""Pages of task=train and task=evaluate, and their sections, which other pages show, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.lattice import Lattice
from magsim.report.figures import training_curves
from magsim.report.numbers import number
from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import Run, read_series
from magsim.tasks.build import plain
from magsim.tasks.pages import publish
from magsim.tasks.training.errors import Evaluation
from magsim.tasks.training.floors import floor_section
from magsim.tasks.training.trained import Trained
from magsim.tasks.words import MODELS, capital, count, system

# caption of a table -> metric -> heading
ERRORS = {
    "Transverse field (torque), per Cartesian component.": {
        "torque_rmse": "rmse (t)",
        "torque_rms": "rms (t)",
        "torque_error": "rmse / rms",
        "torque_r2": "R²",
    },
    "Whole field, per component; its part along the spin turns nothing (learned with trainer.gamma < 1).": {
        "field_rmse": "rmse (t)",
        "field_rms": "rms (t)",
    },
    "Energy per site.": {
        "energy_rmse": "rmse (t)",
        "energy_rmse_centred": "without its mean (t)",
        "energy_std": "spread of the exact ones (t)",
    },
}


def training_page(cfg: DictConfig, run: Run, trained: Trained, result: Evaluation) -> None:
    """Page of ``task=train``."""
    node = plain(cfg.descriptor), plain(cfg.model)
    sections = [
        errors_section(result),
        training_section(run, trained),
        data_section(run, trained.dataset, trained.split.description),
        floor_section(cfg, trained.dataset, trained.model.lattice, *node, result.metrics),
    ]
    publish(
        cfg,
        run,
        f"{capital(system(cfg))}, learned by {MODELS[cfg.model.name]}",
        sections,
        headline(result),
        trained_on(trained, trained.dataset),
    )


def evaluation_page(
    cfg: DictConfig,
    run: Run,
    dataset: SpinDataset,
    result: Evaluation,
    lattice: Lattice,
    facts: Mapping[str, Any],
    more: Sequence[Section] = (),
) -> None:
    """Page of ``task=evaluate``; ``facts`` are those of the checkpoint."""
    kind = facts.get("descriptor", {}), facts.get("model", {})
    floor = floor_section(cfg, dataset, lattice, *kind, result.metrics)
    sections = [errors_section(result), *more, data_section(run, dataset), floor]
    summary = f"{count(len(result.index), 'snapshot')} of `{dataset.path}`, part: {cfg.task.split}."
    publish(cfg, run, f"Errors of {Path(str(cfg.checkpoint)).name}", sections, headline(result), summary)


def headline(result: Evaluation) -> list[Metric]:
    """The relative torque errors, large at the top."""
    names = [key.split("/")[1] for key in result.metrics if key.endswith("/torque_error")]
    chosen = [n for n in names if n != "all"] or names
    return [
        Metric(f"torque error, {n}", result.metrics[f"test/{n}/torque_error"], "rmse / rms") for n in chosen
    ]


def trained_on(trained: Trained, dataset: SpinDataset) -> str:
    """How much was learned from, how large the model is, as a sentence."""
    return (
        f"{number(trained.metrics['train/weights'])} weights, learned from {len(trained.split.train)} of "
        f"{len(dataset)} snapshots of {dataset.n_sites} spins, tested on {len(trained.split.test)}."
    )


def data_section(run: Run, dataset: SpinDataset, split: str = "") -> Section:
    """What the model learned from."""
    text = (
        f"{len(dataset)} snapshots of {dataset.n_sites} spins from `{'/'.join(dataset.path.parts[-2:])}`, "
        f"content {dataset.content_hash[:16]}."
    )
    figure = run.folder / "dataset.png"
    pictures = (
        [Picture(figure, "Torques and energies of the exact labels, by source.")] if figure.exists() else []
    )
    return Section("Data", text + ("\n\n" + split.replace("\n", "\n\n") if split else ""), pictures=pictures)


def training_section(run: Run, trained: Trained) -> Section:
    """How the training went."""
    table = Table(
        ("quantity", "value"),
        [
            ["invariants per site", trained.metrics["train/invariants"]],
            ["weights", trained.metrics["train/weights"]],
        ],
        f"Hash of the model {trained.hash[:16]}.",
    )
    figure = draw_training(run)
    pictures = (
        [Picture(figure, "Loss, validation error of the torque and learning rate by epoch.")]
        if figure
        else []
    )
    return Section("Training", tables=[table], pictures=pictures)


def draw_training(run: Run) -> Path | None:
    """Figure of the series in ``metrics.csv``; None for a model without epochs."""
    series = read_series(run.folder / "metrics.csv")
    if "train/lr" not in series:
        return None
    epochs = len(series["train/loss"][1])
    epoch = np.arange(1, epochs + 1)

    def column(name: str) -> np.ndarray:
        values = np.full(epochs, np.nan)
        found = series[name][1][:epochs]
        values[: len(found)] = found
        return values

    errors = {
        name.rpartition("/")[2]: column(name) for name in series if name.startswith("val/torque_error/")
    }
    losses = {"training": column("train/loss")}
    best = None
    if errors:
        losses["validation"] = column("val/loss")
        best = int(np.nanargmin(column("val/torque_error"))) + 1
    path = training_curves(
        run.folder / "training.png",
        epoch,
        losses,
        errors,
        column("train/lr"),
        best,
    )
    run.image("training", path)
    return path


def errors_section(result: Evaluation) -> Section:
    """Errors on what was held out."""
    title = "Errors on held-out trajectories"
    if not len(result.index):
        return Section(title, "Nothing was held out (trainer.test_fraction=0): no test errors.")
    sources: dict[str, dict[str, Any]] = {}
    for key, value in result.metrics.items():
        if key.startswith("test/"):
            _, source, name = key.split("/")
            sources.setdefault(source, {})[name] = value
    tables = []
    for caption, labels in ERRORS.items():
        known = [name for name in labels if name in next(iter(sources.values()))]
        rows = [[source, *(values[name] for name in known)] for source, values in sources.items()]
        if known:
            tables.append(Table(("source or state", *(labels[name] for name in known)), rows, caption))
    picture = Picture(
        result.figures["torque_parity"], "Predicted against exact transverse field on held-out trajectories."
    )
    return Section(title, tables=tables, pictures=[picture])
