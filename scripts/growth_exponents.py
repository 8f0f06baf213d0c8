"""How fast chiral domains grow, by three lengths: which exponent depends on what is called their size?

usage: python scripts/growth_exponents.py RUN [RUN ...] --windows 60 120 120 360 [--figure growth.png]

RUN is the folder of a simulation, as ``experiment=tetrahedral_coarsening`` leaves it. The lengths are the
first moment of the structure factor of the chirality, its correlation length, and the inverse density of
walls, which alone does not notice how strong the chirality within the domains is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from magsim.dynamics import open_trajectory
from magsim.lattice import make_lattice
from magsim.observables import measure
from magsim.observables.growth import effective_exponent, fit_growth

LENGTHS = {
    "first moment": "chirality_domain_size",
    "correlation length": "chirality_correlation_length",
    "inverse wall density": "wall_density",
}
Series = dict[str, np.ndarray]  # "time" (T,), "chirality" (T, R) and each of LENGTHS (T, R)


def main() -> None:
    """Print exponents for each run and window; draw the lengths."""
    given = arguments()
    runs = {str(path): series(path) for path in given.runs}
    windows = list(zip(given.windows[::2], given.windows[1::2], strict=True))
    for name, run in runs.items():
        print(name)
        for window in windows:
            fits = "   ".join(
                f"{length} {fit_growth(run['time'], run[length], window).text}" for length in LENGTHS
            )
            first, last = (np.interp(t, run["time"], run["chirality"].mean(1)) for t in window)
            print(
                f"  t = {window[0]:g} to {window[1]:g}: {fits}   mean |chirality| {first:.3f} to {last:.3f}"
            )
    if given.figure is not None:
        draw(given.figure, runs)


def series(run: Path) -> Series:
    """The lengths along a run."""
    trajectory = open_trajectory(run / "trajectory.zarr")
    kind = trajectory.attributes["lattice"]
    lattice = make_lattice(kind["name"], kind["shape"], kind["boundary"])
    names = [*LENGTHS.values(), "mean_abs_chirality"]
    frames = [measure(names, lattice, np.asarray(trajectory.spins(k))) for k in range(len(trajectory))]
    found = {name: np.array([frame[name] for frame in frames]) for name in names}
    lengths = {length: found[name] for length, name in LENGTHS.items()}
    lengths["inverse wall density"] = 1 / lengths["inverse wall density"]
    return {"time": np.asarray(trajectory.time), "chirality": found["mean_abs_chirality"], **lengths}


def draw(path: Path, runs: dict[str, Series]) -> None:
    """Lengths of the first run beside the strength of its chirality; local exponents of all runs."""
    from magsim.report.style import GREY, PALETTE, panels

    with panels(path, 1, 2, width=9.5, height=3.8) as (_, axes):
        (left, right), first = axes[0], next(iter(runs.values()))
        later = first["time"] > 0
        time = first["time"][later]
        for length, color in zip(LENGTHS, PALETTE, strict=False):
            left.loglog(time, first[length][later].mean(1), color=color, label=length)
        strength = 10 * first["chirality"][later].mean(1)
        left.loglog(time, strength, ":", color=GREY, label="10 × mean |chirality|")
        left.set(xlabel=r"time ($\hbar/t$)", ylabel="length ($a$)")
        left.legend(loc="upper left")
        for color, (name, run) in zip(PALETTE, runs.items(), strict=False):
            for length, dashes, label in (("first moment", "--", None), ("inverse wall density", "-", name)):
                slope = effective_exponent(run["time"], run[length])
                right.semilogx(run["time"][slope > 0], slope[slope > 0], dashes, color=color, label=label)
        for value in (0.5, 1.0):
            right.axhline(value, color=GREY, linewidth=0.8)
        right.set(xlabel=r"time ($\hbar/t$)", ylabel="local exponent", ylim=(0, 1.75))
        right.legend(title="inverse wall density\n(dashed: first moment)", loc="upper right")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--windows", type=float, nargs="+", default=[60, 120, 120, 360])
    parser.add_argument("--figure", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
