"""task=analyze: observables, figures and files of a stored trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.dynamics import open_trajectory
from magsim.dynamics.trajectory import Trajectory
from magsim.errors import ConfigError
from magsim.labelers import LABELERS, Labeler
from magsim.lattice import Lattice, make_lattice
from magsim.observables import select
from magsim.report.page import Picture, Section, metrics_table
from magsim.runs import Run
from magsim.tasks.build import labeler_device, make_hamiltonian, plain, torch_device
from magsim.tasks.costs import load_costs
from magsim.tasks.pages import publish
from magsim.tasks.simulation.recording import Simulation
from magsim.tasks.simulation.series import Recorder
from magsim.tasks.trajectories.figures import Pictures, draw
from magsim.tasks.trajectories.frame_files import check_frames, write_frames
from magsim.tasks.trajectories.page import final_table, last_values
from magsim.tasks.trajectories.scene import Choice, Solve, solver
from magsim.tasks.words import count, number_text, quantities, size


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=analyze task.path=RUN``: what a simulation measures and draws, of a trajectory that is there.

    Lattice and Hamiltonian are those that the trajectory was made with.

    Returns:
        observables of the last frame, and numbers read off the figures.

    Raises:
        ConfigError: no frame between ``task.times``, an observable or figure that the lattice lacks, or files
            that cannot be made.
        DataError: no trajectory, or one that was altered.
    """
    path = Path(cfg.task.path).expanduser()
    trajectory = open_trajectory(path if (path / "zarr.json").is_file() else path / "trajectory.zarr")
    lattice = lattice_of(trajectory)
    frames = _frames(cfg, trajectory)
    check_frames(cfg, trajectory, lattice)
    run.headline(f"Analysis of {trajectory.path}")
    size = " x ".join(map(str, lattice.shape))
    run.say(f"  {len(frames)} of {len(trajectory)} frames of {trajectory.shape[1]} x {lattice.name} {size}")
    digest = str(trajectory.attributes.get("content_hash") or trajectory.attributes["chain"])
    run.parent("trajectory", trajectory.path, digest)
    result = _measured(cfg, run, trajectory, lattice, frames, digest)
    metrics: dict[str, Any] = {
        f"analyze/final_{name}": float(values[-1].mean()) for name, values in result.series.items()
    }
    run.summary(metrics)
    pictures = draw(
        result,
        lattice,
        run,
        "replicas" if trajectory.shape[1] > 1 else "run",
        choice=Choice.of(cfg),
        solve=_solver(cfg, trajectory, lattice),
        frames=frames,
        strict=True,
    )
    metrics |= {f"analyze/{name}": value for name, value in pictures.metrics.items()}
    written, film = write_frames(cfg, run, trajectory, lattice, frames)
    _page(cfg, run, lattice, result, pictures, film)
    metrics |= written
    return metrics


def lattice_of(trajectory: Trajectory) -> Lattice:
    """The lattice that a trajectory says it is on."""
    node: Mapping[str, Any] = trajectory.attributes["lattice"]
    return make_lattice(node["name"], node["shape"], node["boundary"])


def _frames(cfg: DictConfig, trajectory: Trajectory) -> tuple[int, ...]:
    """Every ``observables.every``-th frame between ``task.times``, and the last one there."""
    low, high = cfg.task.times or (0.0, np.inf)
    inside = np.nonzero((trajectory.time >= low - 1e-9) & (trajectory.time <= high + 1e-9))[0]
    if not len(inside):
        known = "it is empty"
        if len(trajectory):
            known = f"its frames are from {trajectory.time[0]:g} to {trajectory.time[-1]:g}"
        asked = list(cfg.task.times or [])
        raise ConfigError("task.times", asked, f"holds no frame of the trajectory: {known}.")
    return tuple(int(k) for k in sorted({*inside[:: int(cfg.observables.every)], inside[-1]}))


def _measured(
    cfg: DictConfig, run: Run, trajectory: Trajectory, lattice: Lattice, frames: tuple[int, ...], digest: str
) -> Simulation:
    """Observables of the frames, by the recorder of a simulation."""
    names = None if cfg.observables.names is None else list(cfg.observables.names)
    chosen = select(names, lattice)
    if not trajectory.attributes.get("conservative", True):
        chosen = tuple(name for name in chosen if name != "energy")
    recorder = Recorder(lattice, chosen, run, "analyze", 1, torch_device(cfg))
    with run.progress("measuring", len(frames), "frames") as bar:
        for k in frames:
            at, when = int(trajectory.step[k]), float(trajectory.time[k])
            recorder.add(at, when, trajectory.spins(k), trajectory.energy[k])
            bar.advance(1)
    step, times, series = recorder.series()
    spins = trajectory.spins(frames[-1])
    return Simulation(trajectory.path, digest, step, times, series, spins, int(step[-1]), 0, 1.0)


def _solver(cfg: DictConfig, trajectory: Trajectory, lattice: Lattice) -> Solve | None:
    """Exact labels by ``cfg.labeler`` of the Hamiltonian that the trajectory was made with; those of a driven
    strip by that of the run, unless another ``labeler=negf`` is asked for."""
    made = trajectory.attributes["config"]
    node = made.get("hamiltonian")
    if not node or node.get("name") == "none":
        return None

    def labeler() -> Labeler:
        options = plain(cfg.labeler)
        if node["name"] == "driven" and options["name"] != "negf":
            options = dict(made["labeler"])
        name, device = options.pop("name"), labeler_device(cfg)
        if name == "auto":
            options["costs"] = load_costs(device)
        return LABELERS[name](make_hamiltonian(node, lattice), device=device, **options)

    return solver(labeler)


def _page(
    cfg: DictConfig,
    run: Run,
    lattice: Lattice,
    result: Simulation,
    pictures: Pictures,
    film: list[Picture],
) -> None:
    read_off = metrics_table(quantities(pictures.metrics), "Read off the figures.")
    sections = [
        Section("Observables", pictures=pictures.series),
        Section("Configurations", tables=pictures.tables, pictures=pictures.maps),
        Section("Film", pictures=film),
        Section("Last frame", tables=(final_table(result), read_off)),
    ]
    publish(
        cfg,
        run,
        f"Trajectory on the {lattice.name} lattice, {size(lattice.shape)}",
        sections,
        last_values(result),
        f"{count(len(result.time), 'frame')} of `{cfg.task.path}`, t = {number_text(result.time[0])} to "
        f"{number_text(result.time[-1])} ħ/t.",
    )
