"""What task=agreement compares where each replica has its own voltage: walls, their velocities, strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.dynamics import Drive, open_trajectory
from magsim.labelers.labels import joined
from magsim.lattice import Lattice
from magsim.observables import fit_velocity
from magsim.report import drives
from magsim.report.page import Picture, Table
from magsim.runs import Run
from magsim.tasks.build import build_labeler
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.simulation.setup import build_protocol
from magsim.tasks.trajectories.figures_of_drives import POSITIONS, spin_current_velocity
from magsim.tasks.trajectories.scene import in_text, replica_labels, solver
from magsim.tasks.words import quantity

WORDS = {"exact": "exact field", "learned": "learned field"}


@dataclass(frozen=True)
class Driven:
    """Walls of both fields.

    Attributes:
        labels: voltages of the replicas.
        tables, metrics: their motion.
    """

    labels: list[str]
    tables: list[Table] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


def compare_walls(
    cfg: DictConfig, run: Run, lattice: Lattice, results: Mapping[str, Simulation]
) -> Driven | None:
    """Velocities of the walls of both fields, and for a 180-degree wall that of the injected spin current,
    solved exactly in the states of either run; None where the replicas have one voltage.

    Args:
        results: by the name of the field.
    """
    protocol = build_protocol(cfg)
    labels = replica_labels(protocol) if isinstance(protocol, Drive) else None
    if labels is None:
        return None
    driven, name = Driven(labels), _position(results)
    if name is None:
        return driven
    window = cfg.observables.fit or (results["exact"].time[-1] / 2, results["exact"].time[-1])
    columns = ["bias"]
    cells: list[list[Any]] = [[in_text(label)] for label in labels]
    for run_of, result in results.items():
        where = np.asarray(result.series[name], dtype=float)
        found = {"wall_velocity": [fit_velocity(result.time, column, window) for column in where.T]}
        columns.append(f"velocity, {run_of}")
        if name == "domain_wall_position" and cfg.observables.transport:
            expected = _injected(cfg, run, lattice, run_of, window)
            pairs = zip(found["wall_velocity"], expected, strict=True)
            found |= {
                "spin_current_velocity": list(expected),
                "spin_transfer": [v / u if u else float("nan") for v, u in pairs],
            }
            columns += [f"of the spin current, {run_of}", "ratio"]
        for r, row in enumerate(cells):
            row += [values[r] for values in found.values()]
        for key, values in found.items():
            flat = {f"agreement/{run_of}_{key}_{r}": float(v) for r, v in enumerate(values)}
            driven.metrics.update(flat)
    caption = f"Velocities fitted from t = {window[0]:.4g} to {window[1]:.4g}, in lattice constants."
    if len(columns) > 3:
        caption += " Of the spin current I: I/(2 L_y), by exact labels of states of either run."
    driven.tables.append(Table(columns, cells, caption, digits=4))
    return driven


def _position(results: Mapping[str, Simulation]) -> str | None:
    """The first position of a wall that both have."""
    series = [result.series for result in results.values()]
    return next((name for name in POSITIONS if all(name in known for known in series)), None)


def _injected(
    cfg: DictConfig, run: Run, lattice: Lattice, run_of: str, window: Sequence[float]
) -> np.ndarray:
    """``(R,)`` velocity of a wall that takes up all the injected spin, mean over frames in the window."""
    trajectory = open_trajectory(run.folder / f"{run_of}.zarr")
    inside = np.flatnonzero((trajectory.time >= window[0]) & (trajectory.time <= window[1]))
    chosen = np.unique(np.linspace(inside[0], inside[-1], int(cfg.observables.transport)).round().astype(int))
    protocol = build_protocol(cfg).timed(float(trajectory.attributes["config"]["dt"]))
    solve, found = solver(lambda: build_labeler(cfg)), []
    for k in chosen:
        bias = protocol.voltage(int(trajectory.step[k]))
        spins = np.asarray(trajectory.spins(k))
        parts = [solve(s[None], V[None]) for s, V in zip(spins, np.asarray(bias), strict=True)]
        found.append(spin_current_velocity(lattice, joined(parts)))
    return np.mean(found, axis=0)


def draw_walls(
    run: Run, lattice: Lattice, results: Mapping[str, Simulation], labels: Sequence[str]
) -> tuple[list[Picture], list[Picture]]:
    """Pictures against time, and of the final states."""
    name, moving = _position(results), []
    if name is not None:
        runs = {key: (r.time, r.series[name]) for key, r in results.items()}
        file = drives.wall_motion(run.folder / f"{name}.png", runs, labels)
        moving.append(
            _shown(
                run, file, "Wall against time for every bias eV, and by how much the learned one is ahead."
            )
        )
    titles = [f"{label}, {WORDS[key]}" for label in labels for key in results]
    spins = np.stack([r.spins for r in results.values()], axis=1).reshape(-1, lattice.n_sites, 3)
    if lattice.name != "square":
        return moving, []
    file = drives.strips(run.folder / "strips.png", lattice, spins, titles)
    return moving, [_shown(run, file, "Spin directions at the end: white up, black down.")]


def table_of_curves(curves: Sequence[Any], labels: Sequence[str]) -> Table:
    """Largest differences of :class:`Compared` curves ``name_r`` of the replicas."""
    rows: list[list[Any]] = []
    for curve in curves:
        name, _, replica = curve.name.rpartition("_")
        words, unit = quantity(name)
        end = [float(values[-1].mean()) for values in (curve.exact, curve.learned)]
        words = f"{words} ({unit})" if unit else words
        rows.append([words, in_text(labels[int(replica)]), *end, curve.difference])
    columns = ("quantity", "bias", "exact, at the end", "learned", "largest difference in the run")
    return Table(columns, rows, "Every replica has its own voltage; both fields start from the same state.")


def _shown(run: Run, file: Any, caption: str) -> Picture:
    run.image(file.stem, file, caption)
    return Picture(file, caption)
