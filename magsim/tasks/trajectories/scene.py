"""What the figures of a trajectory are drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from magsim.dynamics import Drive, ExactField, make_protocol
from magsim.dynamics.trajectory import Trajectory
from magsim.labelers import Labeler, Labels
from magsim.lattice import Lattice
from magsim.report.page import Picture, Table
from magsim.runs import Run

Solve = Callable[[np.ndarray, np.ndarray | None], Labels]
"""Exact labels of spins ``(B, N, 3)`` at the biases ``(B,)``; None: that of the Hamiltonian."""


def references_of(cfg: DictConfig) -> list[Any]:
    """The references of a configuration whose replica the run has, at the voltage that they are of."""
    node: Any = OmegaConf.to_container(cfg.protocol, resolve=True)
    voltages = [math.nan] * int(node["replicas"])
    if node["name"] == "drive":
        drive = Drive(V=node["V"], replicas=node["replicas"])
        voltages = np.broadcast_to(drive.V[-1][1:], (drive.replicas,)).tolist()

    def there(reference: Any) -> bool:
        if not reference.replica.isdigit():
            return True
        own = voltages[int(reference.replica) :][:1]
        return bool(own) and (
            reference.voltage is None or math.isclose(own[0], reference.voltage, abs_tol=1e-9)
        )

    return [reference for reference in cfg.references if there(reference)]


def solver(make: Callable[[], Labeler]) -> Solve:
    """The solver of a labeler, which is made when it is first needed."""
    known: list[ExactField] = []

    def solve(spins: np.ndarray, voltages: np.ndarray | None = None) -> Labels:
        if not known:
            known.append(ExactField(make()))
        if voltages is not None:
            known[0].set_voltage(voltages)
        return known[0].label(spins)

    return solve


@dataclass(frozen=True)
class Choice:
    """What ``observables`` says about figures.

    Attributes:
        figures: names; None: those that fit the lattice and what was measured.
        fit: first and last time of growth laws; None: no fit.
        waiting: times whose states two-time correlations refer to.
        lines: observable -> {label: value} known of its end, and
        points: observable -> [(time, value), ...], from ``cfg.references``.
        lowest: maps show the replica that ends with the lowest energy, not the first.
        transport: number of frames whose currents are solved exactly.
    """

    figures: tuple[str, ...] | None = None
    fit: tuple[float, float] | None = None
    waiting: tuple[float, ...] = ()
    lines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    points: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    lowest: bool = False
    transport: int = 0

    @classmethod
    def of(cls, cfg: DictConfig) -> Choice:
        """That of ``cfg.observables`` and ``cfg.references``."""
        node = cfg.observables
        lines: dict[str, dict[str, float]] = {}
        points: dict[str, list[tuple[float, float]]] = {}
        for known in references_of(cfg):
            if known.time is None:
                lines.setdefault(known.quantity, {})[known.label] = known.value
            else:
                points.setdefault(known.quantity, []).append((known.time, known.value))
        return cls(
            None if node.figures is None else tuple(node.figures),
            None if node.fit is None else (float(node.fit[0]), float(node.fit[1])),
            tuple(float(t) for t in node.waiting),
            lines,
            points,
            any(known.replica == "lowest" for known in cfg.references),
            int(node.transport),
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """A trajectory, what was measured on it, and where its figures go.

    Attributes:
        trajectory: on disk.
        lattice: of it.
        frames: numbers of the frames that count, in order.
        time: ``(F,)`` and
        series: observable -> ``(F, R)`` of the measured frames.
        label: of the curves, e.g. the name of the field.
        run: whose folder and logger get the figures.
        prefix: of the file names.
        choice: fit window, waiting times.
        solve: exact labels of frames, where the Hamiltonian is known.
    """

    trajectory: Trajectory
    lattice: Lattice
    frames: tuple[int, ...]
    time: np.ndarray
    series: dict[str, np.ndarray]
    label: str
    run: Run
    prefix: str
    choice: Choice
    solve: Solve | None = None

    def file(self, name: str) -> Path:
        """Where the figure ``name`` goes."""
        return self.run.folder / f"{self.prefix}{name}.png"

    def shown(self, file: Path, caption: str) -> Picture:
        """A figure that has been written, for page and logger."""
        self.run.image(file.stem, file, caption)
        return Picture(file, caption)

    @property
    def replicas(self) -> int:
        return self.trajectory.shape[1]

    @cached_property
    def drive(self) -> Drive | None:
        """The bias of the run, its table in steps; None without."""
        config = self.trajectory.attributes["config"]
        recipe = config.get("protocol", {})
        if recipe.get("name") != Drive.name:
            return None
        protocol = make_protocol(**recipe).timed(float(config["dt"]))
        assert isinstance(protocol, Drive)
        return protocol

    def bias(self, frame: int) -> np.ndarray | None:
        """``(R,)`` eV of the replicas in a frame; None where there is no drive."""
        if self.drive is None:
            return None
        value = self.drive.voltage(int(self.trajectory.step[frame]))
        return np.broadcast_to(np.asarray(value, dtype=float), (self.replicas,))

    @cached_property
    def voltage_labels(self) -> list[str]:
        """What tells the replicas of a drive apart."""
        assert self.drive is not None
        return replica_labels(self.drive) or [f"replica {r}" for r in range(self.replicas)]

    @cached_property
    def triangles(self) -> bool:
        """Whether there are triangles with a chirality."""
        return self.lattice.dim == 2 and len(self.lattice.triangles()) > 0

    @cached_property
    def replica(self) -> int:
        """The one that maps show."""
        return lowest_replica(self.trajectory) if self.choice.lowest else 0

    @cached_property
    def last(self) -> np.ndarray:
        """``(R, N, 3)`` of the last frame."""
        return self.trajectory.spins(self.frames[-1])

    @property
    def when(self) -> str:
        """Time of the last frame, for titles."""
        return f"t = {self.trajectory.time[self.frames[-1]]:.4g}"

    @property
    def snapshot_frames(self) -> list[int]:
        """Early, halfway on a logarithmic scale, last."""
        end = len(self.frames) - 1
        numbers = sorted({round(end / 16), round(end / 4), end} - ({0} if end else set()))
        return [self.frames[k] for k in numbers]

    @cached_property
    def snapshots(self) -> tuple[list[str], np.ndarray]:
        """Titles that tell the time, and spins ``(n, N, 3)`` of one replica in these frames."""
        chosen = self.snapshot_frames
        titles = [f"t = {time:.4g}" for time in self.trajectory.time[chosen]]
        return titles, np.stack([self.trajectory.spins(k)[self.replica] for k in chosen])


def replica_labels(drive: Drive) -> list[str] | None:
    """The voltages of the replicas in words, of a table its first and last; None where all have the same."""
    if not drive.biased_apart:
        return None
    first, last = drive.V[0][1:], drive.V[-1][1:]
    return [
        f"$eV = {a:g}$" if a == b else f"$eV = {a:g} \\to {b:g}$" for a, b in zip(first, last, strict=True)
    ]


def in_text(label: str) -> str:
    """The same outside of figures, which alone know how to set mathematics."""
    return label.replace("$", "").replace("\\to", "→")


def lowest_replica(trajectory: Trajectory) -> int:
    """The replica that ends with the lowest energy; the first where the field has no energy."""
    energy = np.asarray(trajectory.energy[-1])
    return int(np.nanargmin(energy)) if np.isfinite(energy).any() else 0


@dataclass
class Drawn:
    """What a figure gives to the page.

    Attributes:
        pictures: in order.
        tables: beside them.
        metrics: numbers read off, flat.
    """

    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
