"""Which time step and damping the published double-exchange quench was run with.

usage: python scripts/published_time.py double_exchange_30x30.npz [--from 9000] [--alpha 0.03 0.05 0.08]

From one published snapshot the spins move on with the exact field (or that of ``--checkpoint``), at several
dampings and with s = -1. Where they come closest to the next published snapshot, the time passed belongs to
the steps between the two, and the closest damping is theirs: the distance left is what neither explains.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import magsim
from magsim.config import compose
from magsim.dynamics import Heun, Quench, evolve

SYSTEM = ["lattice=square", "lattice.shape=[30,30]", "hamiltonian=double_exchange", "hamiltonian.T=0.01"]
SOLVER = ["labeler=greens", "labeler.tolerance=1e-5"]


def main() -> None:
    """Print a table: damping, closest time, distance."""
    given = arguments()
    with np.load(given.file) as data:
        steps, spins = data["step"], data["spins"]
    start = int(np.flatnonzero(steps == given.start)[0])
    target = torch.from_numpy(spins[start + 1])
    length = int(steps[start + 1] - steps[start])
    if given.checkpoint is None:
        field = magsim.effective_field(compose([*SYSTEM, *SOLVER]))
    else:
        field = magsim.load_field(given.checkpoint)
    first = torch.from_numpy(spins[start])[None]
    print(f"steps {steps[start]} to {steps[start + 1]}, rms distance {distance(first, target):.4f}")
    print("alpha   closest t   per step   rms distance")
    protocol = Quench(steps=round(given.until / given.dt), record_every=1)
    for alpha in given.alpha:
        frames = evolve(field, first, Heun(dt=given.dt, alpha=alpha, sense=-1), protocol, seed=0)
        time, rms = np.array([(frame.time, distance(frame.spins, target)) for frame in frames]).T
        t, least = vertex(time, rms**2)
        print(f"{alpha:<7g} {t:9.3f}   {t / length:.5f}   {max(least, 0) ** 0.5:.4f}", flush=True)


def distance(spins: torch.Tensor, target: torch.Tensor) -> float:
    """Rms over sites of |S_i - S'_i|."""
    return float((spins[0] - target).square().sum(-1).mean().sqrt())


def vertex(time: np.ndarray, square: np.ndarray) -> tuple[float, float]:
    """Minimum of the parabola through the lowest point and its neighbours."""
    k = int(np.clip(np.argmin(square), 1, len(time) - 2))
    a, b, c = np.polyfit(time[k - 1 : k + 2] - time[k], square[k - 1 : k + 2], 2)
    return float(time[k] - b / (2 * a)), float(c - b * b / (4 * a))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--from", dest="start", type=int, default=9000, help="step of the first snapshot")
    parser.add_argument("--until", type=float, default=15.0, help="time to integrate")
    parser.add_argument("--dt", type=float, default=0.5)
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.03, 0.05, 0.08])
    parser.add_argument("--checkpoint", default=None, help="a learned field instead of the exact one")
    return parser.parse_args()


if __name__ == "__main__":
    main()
