"""How many holes the magnetic droplets of a double-exchange quench hold, from exact electrons in its states.

usage: python scripts/droplets.py quench/trajectory.zarr --times 100 240 380 1000 --filling 0.485 0.475
       python scripts/droplets.py double_exchange_30x30.npz --times 8000 14000 40000
       python scripts/droplets.py c1540.dat

A droplet is a spin that is turned along its four neighbours, a site with sum_j S_i . S_j > 3; its holes are
those of the five sites. Times of an ``.npz`` file are its steps; a ``.dat`` file is one state as the authors
of arXiv:2105.08221 publish it, rows of x, y, density of one spin direction, spin and field. The electrons are
those of the experiment ``double_exchange_arrest``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from magsim.config import compose
from magsim.dynamics import open_trajectory
from magsim.labelers import Labeler
from magsim.lattice import Lattice, make_lattice
from magsim.observables import ferromagnetic_fraction, nn_correlation
from magsim.observables.clusters import neighbour_sum
from magsim.spins import normalise
from magsim.tasks.build import build_labeler, build_lattice

DROPLET = 3.0


def main() -> None:
    """Print a line for each state and filling."""
    given = arguments()
    print("   time  filling       mu   <S.S>  ferromagnetic  droplets  holes in each  lowest density")
    for time, spins in states(given.file, given.times):
        side = round(len(spins) ** 0.5)
        lattice = make_lattice("square", [side, side])
        order = f"{nn_correlation(lattice, spins):7.3f} {ferromagnetic_fraction(lattice, spins):14.4f}"
        for filling in given.filling:
            labels = solver(side, filling).label(spins[None])
            density = np.asarray(labels.density[0])
            count, holes = droplets(lattice, spins, density)
            mu, lowest = float(np.ravel(labels.mu)[0]), density.min()
            print(
                f"{time:7g} {filling:8g} {mu:8.3f} {order} {count:9d} {holes:14.3f} {lowest:15.4f}",
                flush=True,
            )


def states(file: Path, times: list[float]) -> Iterator[tuple[float, np.ndarray]]:
    """Time and spins ``(N, 3)`` of the frames nearest to some times, of the first replica."""
    if file.suffix == ".dat":
        rows = np.loadtxt(file)
        yield np.nan, normalise(rows[np.lexsort((rows[:, 1], rows[:, 0])), 3:6])
        return
    if file.suffix == ".npz":
        with np.load(file) as data:
            known, spins = data["step"], data["spins"]
        for time in times:
            k = int(np.abs(known - time).argmin())
            yield float(known[k]), spins[k]
        return
    trajectory = open_trajectory(file)
    for time in times:
        k = int(np.abs(np.asarray(trajectory.time) - time).argmin())
        yield float(trajectory.time[k]), np.asarray(trajectory.spins(k)[0])


def solver(side: int, filling: float) -> Labeler:
    """The exact electrons of the experiment, at a filling."""
    system = ["experiment=double_exchange_arrest", "task=label", f"lattice.shape=[{side},{side}]"]
    cfg = compose([*system, f"hamiltonian.filling={filling}", "labeler.tolerance=1e-5"])
    return build_labeler(cfg, build_lattice(cfg))


def droplets(lattice: Lattice, spins: np.ndarray, density: np.ndarray) -> tuple[int, float]:
    """Number of droplets, and the mean number of holes 1 - n in each."""
    bonds = lattice.shells(1)[0]  # in both directions
    near = 1 - density
    np.add.at(near, bonds.i, (1 - density)[bonds.j])
    inside = neighbour_sum(lattice, spins) > DROPLET
    return int(inside.sum()), float(near[inside].mean()) if inside.any() else float("nan")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=float, nargs="+", default=[np.inf], help="default: the last")
    parser.add_argument("--filling", type=float, nargs="+", default=[0.485])
    return parser.parse_args()


if __name__ == "__main__":
    main()
