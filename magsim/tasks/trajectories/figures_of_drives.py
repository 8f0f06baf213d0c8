"""Figures of strips under a bias."""

from __future__ import annotations

import numpy as np

from magsim.arrays import to_numpy
from magsim.labelers.labels import Labels, joined
from magsim.lattice import Lattice
from magsim.observables import correlation_profile, fit_velocity, profile
from magsim.report import drives
from magsim.report.page import Picture, Table
from magsim.tasks.trajectories.frame_files import LARGEST_PICTURE
from magsim.tasks.trajectories.scene import Drawn, Scene, in_text

POSITIONS = ("afm_fm_wall_position", "domain_wall_position")
FILM_FRAMES = 150


def needs_drive(scene: Scene) -> str:
    """A bias."""
    return "" if scene.drive is not None else "it needs protocol=drive"


def needs_square_drive(scene: Scene) -> str:
    """A bias, and rows of sites to draw."""
    return needs_drive(scene) or ("" if scene.lattice.name == "square" else "it needs lattice=square")


def needs_wall(scene: Scene) -> str:
    """A bias, and a wall that somebody measures."""
    if position_of(scene) is None:
        return f"it needs {' or '.join(POSITIONS)} in observables.names"
    return needs_drive(scene)


def needs_labels(scene: Scene) -> str:
    """A bias, and electrons to solve."""
    if scene.solve is None:
        return "it needs electrons, and this trajectory has none"
    return needs_drive(scene) or ("" if scene.choice.transport else "it needs observables.transport")


def position_of(scene: Scene) -> str | None:
    """The first position of a wall that was measured and is there in the first frame."""
    found = (name for name in POSITIONS if name in scene.series)
    return next((name for name in found if np.isfinite(scene.series[name][0]).all()), None)


def wall_motion(scene: Scene) -> Drawn:
    """The wall against time, its velocity."""
    name = position_of(scene)
    assert name is not None
    where = scene.series[name]
    file = drives.wall_motion(
        scene.file("wall_motion"),
        {scene.label: (scene.time, where)},
        scene.voltage_labels,
        scene.choice.points.get(name, ()),
    )
    window = scene.choice.fit or (float(scene.time[-1]) / 2, float(scene.time[-1]))
    velocities = [fit_velocity(scene.time, column, window) for column in where.T]
    metrics = {f"wall_velocity_{r}": v for r, v in enumerate(velocities)}
    metrics |= {f"wall_position_{r}": float(x) for r, x in enumerate(where[-1])}
    biases = map(in_text, scene.voltage_labels)
    rows = [[*row] for row in zip(biases, where[0], where[-1], velocities, strict=True)]
    caption = f"Velocity fitted from t = {window[0]:.4g} to {window[1]:.4g}, in lattice constants."
    table = Table(("bias", "wall at first", "wall at last", "velocity"), rows, caption)
    words = "Position of the wall against time for every bias eV."
    return Drawn([scene.shown(file, words)], [table], metrics)


def transport(scene: Scene) -> Drawn:
    """Currents and density along the run, solved exactly at some of its frames."""
    chosen = sorted({round(k) for k in np.linspace(0, len(scene.frames) - 1, scene.choice.transport)})
    frames = [scene.frames[k] for k in chosen]
    time = scene.trajectory.time[frames]
    labels = [_solved(scene, frame) for frame in frames]
    density = np.stack([profile(scene.lattice, to_numpy(part.density)) for part in labels])
    current = np.stack([to_numpy(part.extra["terminal_current"]) for part in labels])
    torque = np.stack([_injected(part) for part in labels])
    expected = np.stack([spin_current_velocity(scene.lattice, part) for part in labels])
    drawn = Drawn()
    file = drives.currents(scene.file("currents"), time, current[..., :2], density[-1], scene.voltage_labels)
    words = "(a) Currents from the leads into the strip against time. (b) Density of each column at the end."
    drawn.pictures.append(scene.shown(file, words))
    file = drives.space_time(
        scene.file("density_space_time"), time, density, scene.voltage_labels, "electrons per site"
    )
    drawn.pictures.append(scene.shown(file, "Density of the electrons against x and time."))
    np.savez_compressed(
        scene.run.folder / f"{scene.prefix}transport.npz",
        time=time,
        voltage=np.array([scene.bias(frame) for frame in frames]),
        terminal_current=current,
        injected_spin_current=torque,
        density=density,
    )
    for r in range(scene.replicas):
        drawn.metrics[f"current_left_{r}"], drawn.metrics[f"current_right_{r}"] = map(
            float, current[-1, r, :2]
        )
    drawn.metrics |= _spin_transfer(scene, time, expected)
    return drawn


def _solved(scene: Scene, frame: int) -> Labels:
    """Of all replicas, one by one: the memory of a batch is that of one."""
    assert scene.solve is not None
    bias, spins = scene.bias(frame), scene.trajectory.spins(frame)
    assert bias is not None
    return joined([scene.solve(s[None], V[None]) for s, V in zip(spins, bias, strict=True)])


def _injected(labels: Labels) -> np.ndarray:
    """``(R, 3)`` spin current into the spins from all terminals, ``sum_i S_i x F_i``."""
    return to_numpy(labels.extra["terminal_spin_current"]).sum(axis=1)


def spin_current_velocity(lattice: Lattice, labels: Labels) -> np.ndarray:
    """``(R,)`` velocity ``I_z/(2 L_y)`` of a 180-degree wall that takes up all the injected spin.

    Moved by dx, the wall changes the total S_z by ``2 L_y dx`` (up on the left).
    """
    return _injected(labels)[:, 2] / (2 * lattice.n_sites / lattice.shape[0])


def _spin_transfer(scene: Scene, time: np.ndarray, of_current: np.ndarray) -> dict[str, float]:
    """Velocity of a 180-degree wall over that of all the injected spin turning into motion."""
    if position_of(scene) != "domain_wall_position":
        return {}
    start, end = scene.choice.fit or (float(time[-1]) / 2, float(time[-1]))
    inside = (time >= start) & (time <= end)
    found = {}
    for r, where in enumerate(scene.series["domain_wall_position"].T):
        expected = float(of_current[inside, r].mean())
        velocity = fit_velocity(scene.time, where, (start, end))
        found[f"spin_current_velocity_{r}"] = expected
        if expected:
            found[f"spin_transfer_{r}"] = velocity / expected
    return found


def space_time(scene: Scene) -> Drawn:
    """Correlations or S_z of each column against time."""
    frames = list(scene.frames)
    time, spins = scene.trajectory.time[frames], [scene.trajectory.spins(k) for k in frames]
    if position_of(scene) == "domain_wall_position":
        values = np.stack([profile(scene.lattice, s[..., 2]) for s in spins])
        label, words = r"$\langle S_z\rangle$ of the column", "Mean S_z of every column"
    else:
        values = np.stack([correlation_profile(scene.lattice, s) for s in spins])
        label = r"$\langle\mathbf{S}_i\cdot\mathbf{S}_j\rangle_\mathrm{nn}$ of the column"
        words = "Nearest-neighbour correlation of every column (−1 antiferromagnet, 1 ferromagnet)"
    file = drives.space_time(
        scene.file("space_time"), time, values, scene.voltage_labels, label, limits=(-1, 1)
    )
    return Drawn([scene.shown(file, f"{words} against time.")])


def strips(scene: Scene) -> Drawn:
    """All strips at the end, and a film of them."""
    file = drives.strips(scene.file("strips"), scene.lattice, scene.last, scene.voltage_labels)
    drawn = Drawn([scene.shown(file, f"Spin directions at {scene.when}: white up, black down.")])
    frames = list(scene.frames)[:: -(-len(scene.frames) // FILM_FRAMES)]
    film = drives.strip_film(
        scene.run.folder / f"{scene.prefix}strips.gif",
        scene.lattice,
        ((float(scene.trajectory.time[k]), scene.trajectory.spins(k)) for k in frames),
        scene.voltage_labels,
    )
    if film.stat().st_size < LARGEST_PICTURE:
        drawn.pictures.append(Picture(film, f"The same as a film of {len(frames)} frames."))
    return drawn
