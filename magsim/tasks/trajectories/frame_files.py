"""Frames of a trajectory as files for other programs, and as a film."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.dynamics.trajectory import Trajectory
from magsim.errors import ConfigError
from magsim.exports import write_ovf, write_vtk, write_vtk_series, write_xyz
from magsim.lattice import Lattice
from magsim.report.geometry import planar
from magsim.report.page import Picture
from magsim.runs import Run

LARGEST_PICTURE = 20_000_000  # bytes of a film in the page


@dataclass(frozen=True, eq=False)
class Frames:
    """Some frames of one replica.

    Attributes:
        trajectory, lattice: where they are from.
        numbers: of the frames in the trajectory.
        replica: whose.
        binary: numbers of 8 bytes instead of text, where the format knows both.
        folder: for the files.
    """

    trajectory: Trajectory
    lattice: Lattice
    numbers: tuple[int, ...]
    replica: int
    binary: bool
    folder: Path

    @property
    def times(self) -> list[float]:
        return [float(self.trajectory.time[k]) for k in self.numbers]

    def __iter__(self) -> Iterator[tuple[str, float, np.ndarray]]:
        """Name, time and spins ``(N, 3)`` of each."""
        for k, time in zip(self.numbers, self.times, strict=True):
            yield f"spins_{self.trajectory.step[k]:08d}", time, self.trajectory.spins(k)[self.replica]

    @property
    def spins(self) -> np.ndarray:
        """``(frames, N, 3)``."""
        return np.stack([spins for _, _, spins in self])


def check_frames(cfg: DictConfig, trajectory: Trajectory, lattice: Lattice) -> None:
    """Whether these files and this film can be made of the trajectory.

    Raises:
        ConfigError: no such replica, or a film of a lattice that is no plane.
    """
    replica = int(cfg.task.replica)
    if replica >= trajectory.shape[1]:
        raise ConfigError("task.replica", replica, f"the trajectory has {trajectory.shape[1]}, from 0 on.")
    if cfg.task.film is not None:
        planar(lattice, "a film")


def write_frames(
    cfg: DictConfig, run: Run, trajectory: Trajectory, lattice: Lattice, numbers: tuple[int, ...]
) -> tuple[dict[str, Any], list[Picture]]:
    """What ``task.export`` and ``task.film`` ask for; files for other programs lie below ``exports``.

    Returns:
        ``analyze/<kind>_bytes`` of every kind; the film for the page, if it is a gif that a page can carry.

    Raises:
        ConfigError: see :func:`check_frames`; mp4 without ffmpeg.
    """
    check_frames(cfg, trajectory, lattice)
    replica = int(cfg.task.replica)
    folder, binary = run.folder / "exports", cfg.task.precision == "binary"
    frames = Frames(trajectory, lattice, numbers, replica, binary, folder)
    written = {kind: WRITERS[kind](frames) for kind in cfg.task.export}
    if cfg.task.film is not None:
        from magsim.report.film import write_film

        path = run.folder / f"film.{cfg.task.film}"
        written["film"] = [write_film(path, lattice, ((t, s) for _, t, s in frames), str(cfg.task.film_of))]
    metrics = {}
    for kind, files in written.items():
        size = sum(file.stat().st_size for file in files)
        where = files[0] if len(files) == 1 else files[0].parent
        run.say(f"  {kind}: {where} ({len(numbers)} frames, {size / 1e6:.3g} MB)")
        metrics[f"analyze/{kind}_bytes"] = size
    film = [file for file in written.get("film", []) if file.suffix == ".gif"]
    words = f"{cfg.task.film_of.capitalize()} of replica {replica}, {len(numbers)} frames."
    return metrics, [Picture(file, words) for file in film if file.stat().st_size < LARGEST_PICTURE]


def _ovf(frames: Frames) -> list[Path]:
    return [
        write_ovf(frames.folder / "ovf" / f"{name}.ovf", frames.lattice, spins, [time], binary=frames.binary)
        for name, time, spins in frames
    ]


def _spirit(frames: Frames) -> list[Path]:
    path = frames.folder / "spirit.ovf"
    return [write_ovf(path, frames.lattice, frames.spins, frames.times, binary=frames.binary, cells=True)]


def _xyz(frames: Frames) -> list[Path]:
    return [write_xyz(frames.folder / "spins.xyz", frames.lattice, frames.spins, frames.times)]


def _vtk(frames: Frames) -> list[Path]:
    folder = frames.folder / "vtk"
    files = [
        write_vtk(folder / f"{name}.vtk", frames.lattice, spins, binary=frames.binary)
        for name, _, spins in frames
    ]
    return [*files, write_vtk_series(folder / "spins.vtk.series", files, frames.times)]


WRITERS: dict[str, Callable[[Frames], list[Path]]] = {
    "ovf": _ovf,
    "spirit": _spirit,
    "xyz": _xyz,
    "vtk": _vtk,
}
"""What ``task.export`` can name."""
