"""The page of task=agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.lattice import Lattice
from magsim.observables import extended_structure_factor
from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import Run
from magsim.tasks.build import plain
from magsim.tasks.pages import publish
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.trajectories.agreement_of_drives import Driven, draw_walls, table_of_curves
from magsim.tasks.words import capital, count, electrons, listed, quantity, size

FIELDS = ("exact", "learned")
PANELS = 3  # observables in one figure
SYMBOLS = {"spin_correlation": r"$C_S(r)$", "chirality_correlation": r"$C_\chi(r)$"}


@dataclass(frozen=True, eq=False)
class Compared:
    """One curve of both fields, over the same initial states.

    Attributes:
        name: of the quantity.
        x: ``(n,)`` time or distance; the number of the wavevector for S(q).
        exact, learned: ``(n, R)``, R initial states.
    """

    name: str
    x: np.ndarray
    exact: np.ndarray
    learned: np.ndarray

    @property
    def difference(self) -> float:
        """Largest difference between the means over initial states, anywhere on the curve."""
        return float(np.abs(self.exact.mean(1) - self.learned.mean(1)).max())

    @property
    def band(self) -> float:
        """Width of the band, the largest along the curve: standard deviation over initial states with the
        exact field; 0 for a single one."""
        return float(self.exact.std(1, ddof=1).max()) if self.exact.shape[1] > 1 else 0.0

    @property
    def words(self) -> str:
        """The name in words, with its unit."""
        words, unit = quantity(self.name)
        return f"{words} ({unit})" if unit else words

    def metrics(self) -> dict[str, float]:
        """``agreement/<name>/...``."""
        found = {"largest_difference": self.difference}
        if self.band > 0:
            found |= {"band": self.band, "difference_over_band": self.difference / self.band}
        return {f"agreement/{self.name}/{key}": value for key, value in found.items()}


def agreement_page(
    cfg: DictConfig,
    run: Run,
    lattice: Lattice,
    results: Mapping[str, Simulation],
    curves: Sequence[Compared],
    final: Sequence[Compared],
    metrics: Mapping[str, Any],
    driven: Driven | None = None,
) -> None:
    """Write the page.

    Args:
        results: by the name of the field.
        curves: observables against time.
        final: correlations and S(q) of the final states.
        metrics: of the task.
        driven: where each replica has its own voltage.
    """
    if driven is None:
        moving, ended = _draw_series(run, results), _draw_final(run, lattice, results, final)
        tables = [_differences(curves, final)]
    else:
        moving, ended = draw_walls(run, lattice, results, driven.labels)
        tables = [table_of_curves(curves, driven.labels), *driven.tables]
    sections = [
        Section("Against time", tables=tables, pictures=moving),
        Section("Final states", pictures=ended),
        Section("Time spent", tables=_costs(metrics)),
    ]
    shown = [
        Metric("torque error", metrics["agreement/torque_error"], "rmse / rms"),
        Metric("overlap of the final states", metrics["agreement/overlap"], "mean of S·S′"),
    ]
    if "agreement/speedup" in metrics:
        shown.append(Metric("learned field faster by", metrics["agreement/speedup"], "times per step"))
    node = plain(cfg.hamiltonian)
    if driven is not None:
        node.pop("voltage", None)  # each run has its own
    publish(
        cfg,
        run,
        f"Exact and learned {cfg.protocol.name} on the {lattice.name} lattice, {size(lattice.shape)}",
        sections,
        shown,
        f"{capital(electrons(node))} (energies in t). {results['exact'].steps} steps from "
        f"the same {count(len(results['exact'].spins), 'initial state')}, with the exact field and with the "
        f"learned field `{cfg.checkpoint}`. {_verdict(curves)}",
    )


def _verdict(curves: Sequence[Compared]) -> str:
    """Which curves of the learned field leave the band of the exact ones, as a sentence."""
    if all(c.band == 0 for c in curves):
        return ""
    apart = [quantity(c.name)[0] for c in curves if c.difference > c.band]
    if not apart:
        return f"The means of all {len(curves)} observables stay within the band of the initial states."
    return (
        f"The means of {len(curves) - len(apart)} of {len(curves)} observables stay within the band of the "
        f"initial states; these do not: {', '.join(apart)}."
    )


def _differences(curves: Sequence[Compared], final: Sequence[Compared]) -> Table:
    rows: list[list[Any]] = [
        [c.words, float(c.exact[-1].mean()), float(c.learned[-1].mean()), c.difference, c.band]
        for c in curves
    ]
    rows += [[c.words, None, None, c.difference, c.band] for c in final]
    return Table(
        ("quantity", "exact, at the end", "learned", "largest difference of the means", "band"),
        rows,
        "Means over the initial states. The band is the standard deviation over them with the exact field, "
        "where it is largest; S(q) is given in units of N.",
        digits=3,
    )


def _costs(metrics: Mapping[str, Any]) -> list[Table]:
    keys = {name: f"agreement/{name}_ms_per_step" for name in FIELDS}
    rows = [[name, metrics[key]] for name, key in keys.items() if key in metrics]
    caption = "Wall time of the field, median over the run."
    return [Table(("field", "ms per step of one replica"), rows, caption)] if rows else []


def _draw_series(run: Run, results: Mapping[str, Simulation]) -> list[Picture]:
    from magsim.report.figures import quench_curves

    names = list(results["exact"].series)
    pictures = []
    for number, first in enumerate(range(0, len(names), PANELS)):
        group = names[first : first + PANELS]
        runs = {label: {"time": r.time, **{n: r.series[n] for n in group}} for label, r in results.items()}
        file = quench_curves(run.folder / f"observables_{number + 1}.png", runs, group)
        words = f"{listed(group)}: mean and standard deviation over the initial states."
        pictures.append(_shown(run, file, words))
    return pictures


def _draw_final(
    run: Run, lattice: Lattice, results: Mapping[str, Simulation], final: Sequence[Compared]
) -> list[Picture]:
    from magsim.report.figures import overlay, structure_factor_map

    pictures = []
    for compared in final:
        if compared.name not in SYMBOLS:
            continue
        both = {"exact": (compared.x, compared.exact), "learned": (compared.x, compared.learned)}
        path = run.folder / f"{compared.name}.png"
        file = overlay(path, both, r"distance $r$ $(a)$", SYMBOLS[compared.name])
        caption = f"{compared.words.capitalize()} of the final states: mean and standard deviation over them."
        pictures.append(_shown(run, file, caption))
    maps = []
    for name in FIELDS:
        q, intensity = extended_structure_factor(lattice, results[name].spins)
        maps.append(intensity.mean(0))
    file = structure_factor_map(run.folder / "structure_factor.png", lattice, q, np.stack(maps), FIELDS)
    pictures.append(_shown(run, file, "Static structure factor of the final states, mean over them."))
    return pictures


def _shown(run: Run, file: Path, caption: str) -> Picture:
    run.image(file.stem, file, caption)
    return Picture(file, caption)
