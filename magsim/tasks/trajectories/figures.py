"""The figures of a trajectory, by name: drawn at the end of a simulation and by ``task=analyze`` alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from magsim.dynamics import open_trajectory
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.report.page import Picture, Table
from magsim.runs import Run
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.trajectories import figures_of_drives as drives
from magsim.tasks.trajectories import figures_of_loops as loops
from magsim.tasks.trajectories import figures_of_maps as maps
from magsim.tasks.trajectories import figures_of_series as series
from magsim.tasks.trajectories.scene import Choice, Drawn, Scene, Solve


@dataclass(frozen=True)
class Figure:
    """One kind of figure.

    Attributes:
        draw: makes it.
        obstacle: why a scene cannot have it, empty if it can.
        usual: drawn without being asked for.
        on_map: belongs to the maps of configurations rather than to the curves.
    """

    draw: Callable[[Scene], Drawn]
    obstacle: Callable[[Scene], str]
    usual: bool = True
    on_map: bool = False


FIGURES: dict[str, Figure] = {
    "hysteresis": Figure(loops.hysteresis, loops.needs_loop),
    "series": Figure(series.observables, series.anything),
    "growth": Figure(series.growth, series.needs_growth),
    "collapse": Figure(series.collapse, series.needs_chirality, usual=False),
    "binder": Figure(series.binder, series.needs_replicas, usual=False),
    "aging": Figure(series.aging, series.needs_waiting, usual=False),
    "excitations": Figure(series.excitations, series.needs_equal_intervals, usual=False),
    "wall_motion": Figure(drives.wall_motion, drives.needs_wall),
    "transport": Figure(drives.transport, drives.needs_labels),
    "space_time": Figure(drives.space_time, drives.needs_drive, on_map=True),
    "strips": Figure(drives.strips, drives.needs_square_drive, on_map=True),
    "chirality": Figure(maps.chirality, maps.needs_triangles, on_map=True),
    "charge": Figure(maps.charge, maps.needs_plane, usual=False, on_map=True),
    "spins": Figure(maps.spins, maps.needs_small_plane, on_map=True),
    "density": Figure(maps.density, maps.needs_electrons, usual=False, on_map=True),
    "structure_factor": Figure(maps.structure_factor, series.anything, on_map=True),
    "walls": Figure(maps.walls, maps.needs_periodic_triangles, on_map=True),
}
"""Every figure that ``observables.figures`` can name."""


@dataclass(frozen=True)
class Pictures:
    """Figures against time, and maps of configurations.

    Attributes:
        series, maps: pictures of the two kinds.
        tables: of peaks, densities and the like.
        metrics: numbers read off the figures, flat, without the prefix of the task.
    """

    series: tuple[Picture, ...]
    maps: tuple[Picture, ...]
    tables: tuple[Table, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)


def draw(
    result: Simulation,
    lattice: Lattice,
    run: Run,
    label: str,
    prefix: str = "",
    choice: Choice | None = None,
    solve: Solve | None = None,
    frames: tuple[int, ...] | None = None,
    strict: bool = False,
) -> Pictures:
    """Figures of a trajectory, for run folder and logger.

    Args:
        result: what was measured; maps show its first replica.
        lattice: of the run.
        run: figures go into its folder.
        label: name of the curve, e.g. of the field.
        prefix: of the file names.
        choice: which figures, and what they need to know; None: the usual ones.
        solve: exact labels of frames, for the electron density.
        frames: of the trajectory that count; None: all.
        strict: a figure that was asked for and cannot be drawn is an error; else a warning, at the end of a
            run that need not fail for it.

    Raises:
        ConfigError: a figure that was asked for cannot be drawn of this trajectory.
    """
    choice = choice or Choice()
    trajectory = open_trajectory(result.path)
    frames = tuple(range(len(trajectory))) if frames is None else frames
    scene = Scene(trajectory, lattice, frames, result.time, result.series, label, run, prefix, choice, solve)
    curves: list[Picture] = []
    on_maps: list[Picture] = []
    tables: list[Table] = []
    metrics: dict[str, Any] = {}
    for name in chosen(scene, strict):
        drawn = FIGURES[name].draw(scene)
        (on_maps if FIGURES[name].on_map else curves).extend(drawn.pictures)
        tables += drawn.tables
        metrics |= drawn.metrics
    return Pictures(tuple(curves), tuple(on_maps), tuple(tables), metrics)


def chosen(scene: Scene, strict: bool = False) -> list[str]:
    """Names of the figures to draw.

    Raises:
        ConfigError: one that was asked for cannot be drawn.
    """
    obstacles = {name: figure.obstacle(scene) for name, figure in FIGURES.items()}
    if scene.choice.figures is None:
        return [name for name, figure in FIGURES.items() if figure.usual and not obstacles[name]]
    for name in scene.choice.figures:
        if obstacles[name] and strict:
            raise ConfigError("observables.figures", name, f"cannot be drawn here: {obstacles[name]}.")
        if obstacles[name]:
            scene.run.warn(f"no figure {name}: {obstacles[name]}")
    return [name for name in scene.choice.figures if not obstacles[name]]
