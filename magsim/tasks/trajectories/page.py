"""The page of task=simulate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from magsim.dynamics import Drive, make_protocol
from magsim.lattice import Lattice
from magsim.observables import OBSERVABLES
from magsim.report.numbers import number
from magsim.report.page import Metric, Section, Table, metrics_table
from magsim.runs import Run
from magsim.tasks.build import build_labeler, plain
from magsim.tasks.pages import publish
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.trajectories.figures import draw
from magsim.tasks.trajectories.references import headline, metrics_of, reference_section, set_against, verdict
from magsim.tasks.trajectories.scene import Choice, replica_labels, solver
from magsim.tasks.words import (
    capital,
    classical_terms,
    count,
    electrons,
    number_text,
    quantities,
    quantity,
    size,
)


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
    facts = {
        key.removeprefix("simulate/"): value
        for key, value in metrics.items()
        if key.startswith("simulate/") and "/final_" not in key and key != "simulate/trajectory_hash"
    }
    sections = [
        reference_section(references),
        Section("Observables", pictures=pictures.series),
        errors,
        Section("Configurations", tables=pictures.tables, pictures=pictures.maps),
        Section("Last frame", tables=(_final_table(cfg, result),)),
        Section("The run", tables=(metrics_table(quantities(facts)),)),
    ]
    found = [
        Metric(quantity(key)[0], facts[key], quantity(key)[1]) for key in ("coercive_field",) if key in facts
    ]
    publish(
        cfg,
        run,
        f"{_protocol(cfg)} on the {lattice.name} lattice, {size(lattice.shape)}",
        sections,
        [*found, *(headline(references) or ([] if _apart(cfg) else last_values(result)))][:6],
        " ".join(filter(None, (_what(cfg, result, float(facts["dt"])), verdict(references)))),
    )
    return metrics


def _protocol(cfg: DictConfig) -> str:
    return str(cfg.protocol.name).replace("_", " ").capitalize()


def last_values(
    result: Simulation, names: tuple[str, ...] = (), prefix: str = "", known: bool = False
) -> list[Metric]:
    """Observables of the last frame, mean over replicas, large at the top of a page; the first six.

    Args:
        known: beside the values of perfect orders.
    """
    chosen = [name for name in names or result.series if name in result.series][:6]
    orders = {
        name: "; ".join(f"{order} order {number(value, 3)}" for order, value in OBSERVABLES[name].references)
        for name in chosen
        if known
    }
    return [
        Metric(
            prefix + quantity(name)[0],
            float(result.series[name][-1].mean()),
            quantity(name)[1],
            orders.get(name, ""),
        )
        for name in chosen
    ]


def final_table(result: Simulation) -> Table:
    """Observables of the last frame, mean over replicas."""
    values = {name: float(series[-1].mean()) for name, series in result.series.items()}
    replicas = len(result.spins)
    whose = f", mean over {replicas} replicas" if replicas > 1 else ""
    return metrics_table(quantities(values), f"At t = {number_text(result.time[-1])} ħ/t{whose}.")


def _apart(cfg: DictConfig) -> list[str] | None:
    """Words for the replicas of a drive with a voltage each; None for others."""
    protocol = make_protocol(**plain(cfg.protocol))
    return replica_labels(protocol) if isinstance(protocol, Drive) else None


def _final_table(cfg: DictConfig, result: Simulation) -> Table:
    """Observables of the last frame: means over replicas, or each at its voltage."""
    labels = _apart(cfg)
    if labels is None:
        return final_table(result)
    names = list(result.series)
    headings = [words + (f" ({unit})" if unit else "") for words, unit in map(quantity, names)]
    rows = [
        [label.replace("$", "").replace(r"\to", "→"), *(result.series[name][-1, r] for name in names)]
        for r, label in enumerate(labels)
    ]
    return Table(("bias (t)", *headings), rows, f"At t = {number_text(result.time[-1])} ħ/t.")


def _what(cfg: DictConfig, result: Simulation, dt: float) -> str:
    """The run in two sentences."""
    start = "random spins" if cfg.protocol.initial == "random" else f"`{cfg.protocol.initial}`"
    node = plain(cfg.hamiltonian)
    if _apart(cfg):
        node.pop("voltage", None)  # each run has its own
    how = f"{count(len(result.spins), 'run')} from {start}, {count(result.steps, 'step')}"
    method = cfg.protocol.get("method", "llg")
    if method != "llg":
        how += f" of the minimiser {method}"
    else:
        bath = f", bath at T = {number_text(cfg.integrator.T)} t" if cfg.integrator.T else ""
        how += (
            f" of {number_text(dt)} ħ/t of dS/dt = s S × F − α S × (S × F), "
            f"α = {number_text(cfg.integrator.alpha)}{bath}"
        )
    terms = classical_terms(plain(cfg.classical))
    if cfg.hamiltonian.name == "none":
        return f"Classical spins, {terms or 'no field'} (energies in t). {how}."
    terms = f"; classical terms: {terms}" if terms else ""
    return f"{capital(electrons(node))}{terms} (energies in t), {_which_field(cfg)}. {how}."


def _which_field(cfg: DictConfig) -> str:
    return "exact field" if cfg.checkpoint is None else f"learned field `{cfg.checkpoint}`"
