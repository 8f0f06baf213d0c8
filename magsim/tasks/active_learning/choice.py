"""Which states of a round of active learning are labelled: runs with its committee, and a score."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.dynamics import CommitteeField, open_trajectory
from magsim.dynamics.committee import spread_of
from magsim.lattice import Lattice
from magsim.learning.selection import disagreement, spread_out
from magsim.runs import Run
from magsim.spins import random_spins, rng
from magsim.tasks.active_learning.rounds import CHUNK, PER_COMPONENT, ask, rms, seed_of
from magsim.tasks.build import build_classical, build_lattice, plain, torch_device
from magsim.tasks.simulation.recording import simulate
from magsim.tasks.simulation.setup import build_integrator, build_protocol


@dataclass(frozen=True, eq=False)
class Chosen:
    """The configurations that a round chose.

    Attributes:
        path: the file.
        spins: ``(n, N, 3)``.
        trajectory, step: ``(n,)`` run of the round, and step in it.
        score: ``(n,)`` what it was chosen for, see :func:`magsim.learning.selection.disagreement`.
        torque: ``(n,)`` rms transverse field of the committee per component.
        spread: ``(n, N)`` of the committee on every site, per component.
        pool_step, pool_torque: ``(m,)`` of all that could be chosen.
    """

    path: Path
    spins: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    score: np.ndarray
    torque: np.ndarray
    spread: np.ndarray
    pool_step: np.ndarray
    pool_torque: np.ndarray

    def __len__(self) -> int:
        return len(self.spins)


def choose(
    cfg: DictConfig, run: Run, number: int, committee: CommitteeField, dataset: SpinDataset, dt: float
) -> Chosen:
    """Run the dynamics and choose what to label; kept as ``chosen.npz``.

    Args:
        dataset: what was learned from, which tells the budget that is left.
        dt: time step of the runs.
    """
    path = run.folder / "chosen.npz"
    if not path.exists():
        count = min(int(cfg.task.chosen), int(cfg.task.budget) - len(dataset))
        seed, lattice = int(cfg.seed), build_lattice(cfg)
        if cfg.task.strategy == "fresh":
            streams = (rng(seed, "active", "fresh", number, k) for k in range(count))
            spins = np.stack([random_spins(lattice.n_sites, stream) for stream in streams])
            trajectory, step = np.arange(count), np.zeros(count, dtype=int)
        else:
            spins, trajectory, step = explore(cfg, run, number, committee, lattice, dt)
        _write_choice(path, cfg, number, committee, lattice, count, (spins, trajectory, step))
    return read_choice(path)


def read_choice(path: Path) -> Chosen:
    """What a round chose, from its ``chosen.npz``."""
    with np.load(path) as file:
        return Chosen(path, **{name: file[name] for name in file.files if name != "shape"})


def _write_choice(
    path: Path,
    cfg: DictConfig,
    number: int,
    committee: CommitteeField,
    lattice: Lattice,
    count: int,
    candidates: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    spins, trajectory, step = candidates
    spread, torque = _spread_and_torque(committee, spins)
    stage = step // int(cfg.task.separation)
    score = disagreement(rms(spread, axis=1), torque, stage, cfg.task.relative_floor)
    order = score
    if cfg.task.strategy != "committee":
        order = rng(int(cfg.seed), "active", "random", number).random(len(score))
    fresh = cfg.task.strategy == "fresh"  # all of them at step 0
    most = count if fresh else math.ceil(cfg.task.window_share * count)
    k = spread_out(order, trajectory, step, count, int(cfg.task.separation), most)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            spins=spins[k],
            trajectory=trajectory[k],
            step=step[k],
            shape=np.array(lattice.shape),
            score=score[k],
            torque=torque[k],
            spread=spread[k],
            pool_step=step,
            pool_torque=torque,
        )
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def explore(
    cfg: DictConfig, run: Run, number: int, committee: CommitteeField, lattice: Lattice, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The protocol of the configuration with the committee's mean field, from other random spins in every
    round; the trajectory stays in the folder of the round.

    Returns:
        all recorded spins ``(n, N, 3)``, run and step of each ``(n,)``.
    """
    classical = build_classical(cfg, lattice)
    path = run.folder / "trajectory.zarr"
    simulate(
        committee if classical is None else committee + classical,
        lattice,
        replace(build_integrator(cfg), dt=dt),
        replace(build_protocol(cfg), replicas=int(cfg.task.trajectories)),
        [],
        seed_of(int(cfg.seed), "active", "explore", number),
        run,
        path,
        identity={"round": number, "strategy": str(cfg.task.strategy)},
        config=plain(cfg),
        device=str(torch_device(cfg)),
        label="explore",
        prefix="explore",
    )
    trajectory = open_trajectory(path)
    frames, replicas = trajectory.shape[:2]
    spins = trajectory.all_spins().reshape(-1, lattice.n_sites, 3)
    return spins, np.tile(np.arange(replicas), frames), np.repeat(trajectory.step, replicas)


def _spread_and_torque(committee: CommitteeField, spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spread on every site ``(n, N)`` and rms torque ``(n,)``, both per Cartesian component."""
    spreads, torques = [], []
    for k in range(0, len(spins), CHUNK):
        fields = ask(committee, spins[k : k + CHUNK])
        spreads.append(PER_COMPONENT * spread_of(fields))
        torques.append(rms(fields.mean(0), axis=(1, 2)))
    return np.concatenate(spreads), np.concatenate(torques)
