"""What the benchmark shows: tables in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from magsim.runs import Run
from magsim.tasks.benchmark.console_table import print_table
from magsim.tasks.benchmark.part import Part
from magsim.tasks.pages import publish


def describe(machine: Mapping[str, Any]) -> list[str]:
    """The machine in two lines."""
    gpu = machine["gpu"] or "none"
    first = f"{machine['processor']}, {machine['cores']} cores, {machine['torch_threads']} threads, GPU {gpu}"
    load = "unknown" if machine["load_before"] is None else f"{machine['load_before']:g}"
    return [first, f"load of the machine before the run {load} (0: idle)"]


def show(
    cfg: DictConfig,
    run: Run,
    machine: Mapping[str, Any],
    parts: Mapping[str, Part],
    found: Mapping[str, Any],
) -> None:
    """Print the tables, draw the figures, write the page; ``found`` by name of the part."""
    sections = [parts[name].section(cfg, run, result) for name, result in found.items()]
    for section in sections:
        for table in section.tables:
            print_table(table)
    cards = [card for name, result in found.items() for card in parts[name].cards(result)]
    publish(cfg, run, "Benchmark", sections, cards, ". ".join(describe(machine)) + ".")
