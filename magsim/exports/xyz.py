"""Extended XYZ, which OVITO and ASE read: https://github.com/libAtoms/extxyz."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magsim.exports.positions import in_space
from magsim.lattice import Lattice


def write_xyz(
    path: str | Path, lattice: Lattice, spins: np.ndarray, times: Sequence[float] | None = None
) -> Path:
    """Write frames one after the other into one file.

    Every line is a site: its species (X, of no element), its position, its spin in the columns ``spin``, its
    number in the cell in the column ``sublattice``. The cell of the finite lattice is in ``Lattice``; axes
    that the lattice does not have are one unit long and not periodic.

    Args:
        path: file to write.
        lattice: of the spins.
        spins: ``(N, 3)`` or ``(frames, N, 3)``.
        times: of the frames, written as ``Time``.

    Returns:
        ``path``.
    """
    frames = np.asarray(spins, dtype=np.float64).reshape(-1, lattice.n_sites, 3)
    sites = [f"X {x:.17g} {y:.17g} {z:.17g}" for x, y, z in in_space(lattice.positions)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as file:
        for k, frame in enumerate(frames):
            file.write(f"{lattice.n_sites}\n{_comment(lattice, None if times is None else times[k])}\n")
            for site, (x, y, z), b in zip(sites, frame, lattice.sublattice, strict=True):
                file.write(f"{site} {x:.17g} {y:.17g} {z:.17g} {b}\n")
    return path


def _comment(lattice: Lattice, time: float | None) -> str:
    box = np.eye(3)
    box[: lattice.dim, : lattice.dim] = np.array(lattice.shape)[:, None] * lattice.vectors
    periodic = ["T" if p else "F" for p in lattice.periodic] + ["F"] * (3 - lattice.dim)
    parts = [
        'Lattice="' + " ".join(f"{x:.17g}" for x in box.reshape(-1)) + '"',
        "Properties=species:S:1:pos:R:3:spin:R:3:sublattice:I:1",
        'pbc="' + " ".join(periodic) + '"',
    ]
    if time is not None:
        parts.append(f"Time={float(time):.12g}")
    return " ".join(parts)
