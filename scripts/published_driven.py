"""Label the published snapshots of a driven strip anew and compare with the fields of their authors.

usage: python scripts/published_driven.py driven_negf_32x24.npz [tolerance]

Where the file comes from and the parameters of the strip are written in tests/data/README.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import magsim
from magsim.config import check, compose
from magsim.spins import transverse
from magsim.tasks.build import build_labeler

STRIP = (
    "lattice=square",
    "lattice.shape=[32,24]",
    "lattice.boundary=[open,periodic]",
    "hamiltonian=driven",
    "labeler=negf",
    "compute=cpu",
    "hamiltonian.J=3.8",
    "hamiltonian.gamma=2",
    "hamiltonian.gamma_bath=0.02",
    "hamiltonian.mu=-3.2",
    "hamiltonian.mu_L=-3.1",
    "hamiltonian.mu_R=-3.3",
    "hamiltonian.T=0.02",
    "hamiltonian.cut=-8.5",
)


def main(path: str, tolerance: str = "1e-5") -> None:
    cfg = compose([*STRIP, f"labeler.tolerance={tolerance}"])
    check(cfg)
    labeler = build_labeler(cfg)
    data = magsim.open_dataset(path)
    assert data.density is not None
    for k, step in enumerate(data.step):
        spins = data.spins[k : k + 1]
        labeler.label(spins)  # compiles
        wall, cpu = time.perf_counter(), time.process_time()
        labels = labeler.label(spins)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"step {step}: transverse field {rms(transverse(labels.field - data.field[k], spins)):.3g} "
            f"(published rms {rms(transverse(data.field[k], spins[0])):.3g}), "
            f"density {rms(labels.density - data.density[k]):.3g}, stated error {labels.error[0]:.2g}, "
            f"{labels.extra['nodes'][0]} energies, {wall:.2f} s ({cpu:.2f} s of CPU)"
        )


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    main(*sys.argv[1:])
