"""The page of task=simulate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from magsim.dynamics import Drive, make_protocol
from magsim.lattice import Lattice
from magsim.report.page import Metric, Section, Table, metrics_table
from magsim.runs import Run
from magsim.tasks.build import build_labeler, plain
from magsim.tasks.pages import publish
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.trajectories.figures import draw
from magsim.tasks.trajectories.references import headline, metrics_of, reference_section, set_against
from magsim.tasks.trajectories.scene import Choice, replica_labels, solver


def simulation_page(
    cfg: DictConfig,
    run: Run,
    lattice: Lattice,
    result: Simulation,
    name: str,
    metrics: Mapping[str, Any],
    errors: Section,
) -> dict[str, Any]:
    """Draw the figures, set the run against its references, write the page.

    Args:
        name: of the field.
        metrics: of the run so far.
        errors: of a learned field, where they were watched.

    Returns:
        the metrics with those that are read off the figures and the differences from the references.
    """
    solve = None if cfg.hamiltonian.name == "none" else solver(lambda: build_labeler(cfg, lattice))
    pictures = draw(result, lattice, run, name, choice=Choice.of(cfg), solve=solve)
    metrics = {**metrics, **{f"simulate/{key}": value for key, value in pictures.metrics.items()}}
    references = set_against(cfg, result, metrics)
    metrics |= metrics_of(references)
    run.summary(metrics)
    ours = {
        key.removeprefix("simulate/"): value for key, value in metrics.items() if key.startswith("simulate/")
    }
    final = {
        key.removeprefix("final_").replace("_", " "): value
        for key, value in ours.items()
        if key.startswith("final_")
    }
    facts = {
        key.replace("_", " "): value
        for key, value in ours.items()
        if not key.startswith("final_") and key != "trajectory_hash"
    }
    sections = [
        reference_section(references),
        Section(
            "Observables",
            tables=(_final_table(cfg, result, final),),
            pictures=pictures.series,
        ),
        errors,
        Section("Configurations", tables=pictures.tables, pictures=pictures.maps),
        Section("The run", tables=(metrics_table(facts),)),
    ]
    publish(
        cfg,
        run,
        f"{cfg.protocol.name.capitalize()} on {lattice.name} {' × '.join(map(str, lattice.shape))}",
        sections,
        headline(references)
        or ([] if _apart(cfg) else [Metric(key, value) for key, value in list(final.items())[:6]]),
        f"{result.steps} steps of dS/dt = s S × F − α S × (S × F) with {_which_field(cfg)}.",
    )
    return metrics


def _apart(cfg: DictConfig) -> list[str] | None:
    """Words for the replicas of a drive with a voltage each; None for others."""
    protocol = make_protocol(**plain(cfg.protocol))
    return replica_labels(protocol) if isinstance(protocol, Drive) else None


def _final_table(cfg: DictConfig, result: Simulation, final: Mapping[str, float]) -> Table:
    """Observables of the last frame: means over replicas, or each at its voltage."""
    labels = _apart(cfg)
    if labels is None:
        return metrics_table(final, "last frame, mean over replicas")
    names = list(result.series)
    rows = [[label, *(result.series[name][-1, r] for name in names)] for r, label in enumerate(labels)]
    return Table(("bias", *(name.replace("_", " ") for name in names)), rows, "last frame")


def _which_field(cfg: DictConfig) -> str:
    if cfg.hamiltonian.name == "none":
        return "the field of the classical terms"
    return "the exact field" if cfg.checkpoint is None else f"the learned field of {cfg.checkpoint}"
