"""OVF 2.0, the vector field format of OOMMF: https://math.nist.gov/oommf/doc/userguide20a3/userguide/OVF_2.0_format.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magsim.exports.positions import cell_counts, first_axis_fastest, in_space, is_rectangular
from magsim.lattice import Lattice

CHECK = 123456789012345.0  # before binary data, so that readers see the byte order


def write_ovf(
    path: str | Path,
    lattice: Lattice,
    spins: np.ndarray,
    times: Sequence[float] | None = None,
    *,
    binary: bool = True,
    cells: bool = False,
) -> Path:
    """Write frames as segments of one OVF 2.0 file.

    A lattice that is no rectangular mesh (oblique axes, several sites in a cell) becomes an irregular mesh:
    every row holds the position of a site and its spin. ``cells`` writes what Spirit reads for any lattice
    instead: the spins alone, as if the cells were a rectangular mesh; Spirit knows the geometry from its own
    input.

    Args:
        path: file to write.
        lattice: of the spins.
        spins: ``(N, 3)`` or ``(frames, N, 3)``.
        times: of the frames, for their titles.
        binary: numbers of 8 bytes; else text, which is also exact.
        cells: see above.

    Returns:
        ``path``.
    """
    frames = np.asarray(spins, dtype=np.float64).reshape(-1, lattice.n_sites, 3)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(f"# OOMMF OVF 2.0\n#\n# Segment count: {len(frames)}\n".encode())
        for k, frame in enumerate(frames):
            title = "spins" if times is None else f"spins, t = {float(times[k]):.12g}"
            file.write(ovf_segment(lattice, frame, title, binary=binary, cells=cells))
    return path


def ovf_segment(
    lattice: Lattice, spins: np.ndarray, title: str, *, binary: bool = True, cells: bool = False
) -> bytes:
    """One segment, header and data, of spins ``(N, 3)``."""
    order = first_axis_fastest(lattice)
    rows = np.asarray(spins, dtype=np.float64)[order]
    if cells or is_rectangular(lattice):
        mesh = _rectangular(lattice, cells)
    else:
        positions = in_space(lattice.positions)[order]
        rows = np.concatenate([positions, rows], axis=1)
        mesh = _irregular(positions)
    header = [
        "# Begin: Segment",
        "# Begin: Header",
        f"# Title: {title}",
        f"# Desc: {lattice.name} {' x '.join(map(str, lattice.shape))}, lengths in bonds",
        "# meshunit: 1",
        "# valuedim: 3",
        "# valueunits: 1 1 1",
        "# valuelabels: spin_x spin_y spin_z",
        *mesh,
        "# End: Header",
    ]
    kind = "Binary 8" if binary else "Text"
    if binary:
        data = np.concatenate([[CHECK], rows.reshape(-1)]).astype("<f8").tobytes() + b"\n"
    else:
        data = "".join(" ".join(f"{x:.17g}" for x in row) + "\n" for row in rows).encode()
    head = "\n".join([*header, f"# Begin: Data {kind}"]) + "\n"
    return head.encode() + data + f"# End: Data {kind}\n# End: Segment\n".encode()


def _rectangular(lattice: Lattice, cells: bool) -> list[str]:
    """Lines of a rectangular mesh; nodes are the middles of its boxes."""
    counts = np.array(cell_counts(lattice))
    counts[0] *= lattice.n_basis
    step = np.ones(3)
    if not cells:
        step[: lattice.dim] = np.abs(np.diag(lattice.vectors))
    lines = ["# meshtype: rectangular"]
    for axis, count, size in zip("xyz", counts, step, strict=True):
        lines += [
            f"# {axis}base: 0",
            f"# {axis}nodes: {count}",
            f"# {axis}stepsize: {size:.17g}",
            f"# {axis}min: {-size / 2:.17g}",
            f"# {axis}max: {(count - 0.5) * size:.17g}",
        ]
    return lines


def _irregular(positions: np.ndarray) -> list[str]:
    """Lines of an irregular mesh."""
    lines = ["# meshtype: irregular", f"# pointcount: {len(positions)}"]
    for axis, low, high in zip("xyz", positions.min(axis=0), positions.max(axis=0), strict=True):
        lines += [f"# {axis}min: {low:.17g}", f"# {axis}max: {high:.17g}"]
    return lines
