"""Amplitudes of spin waves, sampled more often than frames are stored.

A spectrum needs hundreds of states of a large lattice; along the lines through the Brillouin zone they are a
few hundred complex numbers each. They are computed where the spins live and written with the next stored
frame, in a file named after its first step below ``samples`` beside the trajectory: a killed run that goes on
from its last frame writes the same files again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magsim.arrays import to_numpy
from magsim.dynamics import Frame, Protocol
from magsim.lattice import Lattice
from magsim.observables import amplitudes, route

FOLDER = "samples"


@dataclass(frozen=True, eq=False)
class Sampled:
    """All samples of a run.

    Attributes:
        step, time: ``(F,)``.
        amplitudes: complex ``(F, R, n, 3)`` on :func:`magsim.observables.route`.
    """

    step: np.ndarray
    time: np.ndarray
    amplitudes: np.ndarray


class Samples:
    """Takes samples of a run as its frames pass.

    Args:
        trajectory: the store beside which the samples lie.
        lattice: of the spins.
        stride: steps between samples.
    """

    def __init__(self, trajectory: Path, lattice: Lattice, stride: int) -> None:
        self.stride = stride
        self._folder, self._lattice, self._route = trajectory.parent / FOLDER, lattice, route(lattice)
        self._taken: list[tuple[int, float, Any]] = []

    def passing(self, frames: Iterator[Frame], protocol: Protocol) -> Iterator[Frame]:
        """Sample every frame, and let through those that are to be stored: at multiples of
        ``protocol.record_every``, and the last one."""
        held = None
        for frame in frames:
            if frame.step % self.stride == 0:
                values = amplitudes(self._lattice, frame.spins, self._route)
                self._taken.append((frame.step, frame.time, values))
            held = frame
            if frame.step % protocol.record_every == 0:
                self._write()
                yield frame
                held = None
        if held is not None:
            self._write()
            yield held

    def _write(self) -> None:
        if not self._taken:
            return
        steps, times, values = zip(*self._taken, strict=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{steps[0]:012d}.npz"
        partial = path.with_suffix(".partial")
        stacked = np.stack([to_numpy(v) for v in values]).astype(np.complex64)
        with partial.open("wb") as file:
            np.savez(file, step=np.array(steps), time=np.array(times), amplitudes=stacked)
        os.replace(partial, path)
        self._taken = []


def read_samples(trajectory: Path) -> Sampled | None:
    """Samples that lie beside a trajectory; None if there are none."""
    files = sorted((trajectory.parent / FOLDER).glob("*.npz"))
    if not files:
        return None
    parts: dict[str, list[np.ndarray]] = {"step": [], "time": [], "amplitudes": []}
    for path in files:
        with np.load(path) as stored:
            for name, column in parts.items():
                column.append(stored[name])
    arrays = {name: np.concatenate(column) for name, column in parts.items()}
    _, first = np.unique(arrays["step"], return_index=True)
    return Sampled(**{name: array[first] for name, array in arrays.items()})
