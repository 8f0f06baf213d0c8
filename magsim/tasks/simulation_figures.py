"""The figures of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magsim.dynamics import open_trajectory
from magsim.lattice import Lattice
from magsim.observables import extended_structure_factor, scalar_chirality
from magsim.report.page import Picture
from magsim.runs import Run
from magsim.tasks.simulation import Simulation

PANELS = 3  # observables in one figure
LARGEST_MAP = 300_000  # sites; larger spin maps say nothing at the resolution of a page


@dataclass(frozen=True)
class Pictures:
    """Figures against time, and maps of configurations."""

    series: tuple[Picture, ...]
    maps: tuple[Picture, ...]


def draw(result: Simulation, lattice: Lattice, run: Run, label: str, prefix: str = "") -> Pictures:
    """Observables against time, domain growth, maps of chirality, spins and S(q), for run folder and logger.

    Args:
        result: what to draw; maps show its first replica.
        lattice: of the run.
        run: figures go into its folder.
        label: name of the curve, e.g. of the field.
        prefix: of the file names.
    """
    return Pictures(
        tuple(_series(result, run, label, prefix)),
        tuple(_maps(result, lattice, run, prefix)),
    )


def _series(result: Simulation, run: Run, label: str, prefix: str) -> list[Picture]:
    from magsim.report.figures import domain_growth, quench_curves

    pictures = []
    names = list(result.series)
    replicas = result.spins.shape[0]
    spread = f" Mean and standard deviation of {replicas} replicas." if replicas > 1 else ""
    for number, first in enumerate(range(0, len(names), PANELS)):
        group = names[first : first + PANELS]
        curves = {label: {"time": result.time, **{name: result.series[name] for name in group}}}
        file = quench_curves(run.folder / f"{prefix}observables_{number + 1}.png", curves, group)
        pictures.append(_shown(run, file, ", ".join(group).replace("_", " ") + f" against time.{spread}"))
    size = result.series.get("chirality_domain_size")
    if size is not None and (result.time > 0).sum() > 2:
        file = domain_growth(run.folder / f"{prefix}domain_growth.png", {label: (result.time, size)})
        pictures.append(
            _shown(run, file, "Size of the chiral domains from the first moment of their structure factor.")
        )
    return pictures


def _maps(result: Simulation, lattice: Lattice, run: Run, prefix: str) -> list[Picture]:
    from magsim.report.figures import chirality_map, spin_map, structure_factor_map

    pictures = []
    spins = result.spins[0]
    when = f"t = {result.time[-1]:.4g}"
    if lattice.dim == 2:
        if len(lattice.triangles()):
            times, frames = _snapshots(result)
            file = chirality_map(
                run.folder / f"{prefix}chirality_map.png",
                lattice,
                scalar_chirality(lattice, frames),
                [f"t = {time:.4g}" for time in times],
            )
            pictures.append(
                _shown(run, file, "Scalar chirality of every triangle: domains of opposite sign.")
            )
        if lattice.n_sites <= LARGEST_MAP:
            file = spin_map(run.folder / f"{prefix}spin_map.png", lattice, spins, when)
            pictures.append(
                _shown(run, file, f"Spin directions at {when}: hue for the azimuth, lightness for z.")
            )
    q, intensity = extended_structure_factor(lattice, spins)
    file = structure_factor_map(run.folder / f"{prefix}structure_factor.png", lattice, q, intensity, when)
    pictures.append(_shown(run, file, f"Static structure factor at {when}."))
    return pictures


def _snapshots(result: Simulation) -> tuple[np.ndarray, np.ndarray]:
    """Times and spins ``(n, N, 3)`` of the first replica: early, halfway on a logarithmic scale, and last."""
    trajectory = open_trajectory(result.path)
    last = len(trajectory) - 1
    chosen = sorted({round(last / 16), round(last / 4), last} - ({0} if last else set()))
    return trajectory.time[chosen], np.stack([trajectory.spins(k)[0] for k in chosen])


def _shown(run: Run, file: Path, caption: str) -> Picture:
    run.image(file.stem, file, caption)
    return Picture(file, caption)
