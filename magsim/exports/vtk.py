"""Legacy VTK files, which ParaView reads: https://docs.vtk.org/en/latest/vtk_file_formats/vtk_legacy_file_format.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magsim.exports.positions import in_space
from magsim.lattice import Lattice
from magsim.observables import topological_charge_density
from magsim.observables.chirality import triple_product

VERTEX, TRIANGLE = 1, 5  # cell types of VTK
REACH = 2.5  # nearest-neighbour distances; a triangle with a longer side crosses a periodic boundary


def write_vtk(path: str | Path, lattice: Lattice, spins: np.ndarray, *, binary: bool = True) -> Path:
    """Write one frame as an unstructured grid.

    Points are the sites at their positions, with the vectors ``spin``. A two-dimensional lattice is covered
    with the triangles of ``lattice.triangulation()`` that do not cross a periodic boundary, each with its
    ``chirality`` S_i . (S_j x S_k) and its ``topological_charge``; others have a vertex for each site.

    Args:
        path: file to write.
        lattice: of the spins.
        spins: ``(N, 3)``.
        binary: numbers of 8 bytes, big-endian as the format wants; else text.

    Returns:
        ``path``.
    """
    spins = np.asarray(spins, dtype=np.float64).reshape(lattice.n_sites, 3)
    cells, kind, fields = _cells(lattice, spins)
    size, corners = cells.shape
    parts: list[tuple[str, np.ndarray]] = [
        (f"DATASET UNSTRUCTURED_GRID\nPOINTS {lattice.n_sites} double", in_space(lattice.positions)),
        (
            f"CELLS {size} {size * (corners + 1)}",
            np.concatenate([np.full((size, 1), corners), cells], axis=1).astype(np.int32),
        ),
        (f"CELL_TYPES {size}", np.full((size, 1), kind, dtype=np.int32)),
        (f"POINT_DATA {lattice.n_sites}\nVECTORS spin double", spins),
    ]
    for number, (name, values) in enumerate(fields.items()):
        head = f"CELL_DATA {size}\n" if number == 0 else ""
        parts.append((f"{head}SCALARS {name} double 1\nLOOKUP_TABLE default", values[:, None]))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"spins on {lattice.name} {' x '.join(map(str, lattice.shape))}"
    with path.open("wb") as file:
        file.write(f"# vtk DataFile Version 3.0\n{title}\n{'BINARY' if binary else 'ASCII'}\n".encode())
        for head, array in parts:
            file.write(head.encode() + b"\n" + _numbers(array, binary) + b"\n")
    return path


def write_vtk_series(path: str | Path, files: Sequence[Path], times: Sequence[float]) -> Path:
    """Write the index that makes ParaView play files of one folder as a series in time (``.vtk.series``)."""
    entries = [{"name": file.name, "time": float(t)} for file, t in zip(files, times, strict=True)]
    path = Path(path)
    path.write_text(json.dumps({"file-series-version": "1.0", "files": entries}, indent=1))
    return path


def _cells(lattice: Lattice, spins: np.ndarray) -> tuple[np.ndarray, int, dict[str, np.ndarray]]:
    """Corners, type and data of the cells."""
    if lattice.dim != 2 or min(lattice.shape) < 2:
        return np.arange(lattice.n_sites)[:, None], VERTEX, {}
    triangles = lattice.triangulation()
    corners = lattice.positions[triangles]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
    inside = sides.max(axis=1) < REACH
    a, b, c = (spins[triangles[:, k]] for k in range(3))
    fields = {
        "chirality": triple_product(a, b, c)[inside],
        "topological_charge": topological_charge_density(lattice, spins)[inside],
    }
    return triangles[inside], TRIANGLE, fields


def _numbers(array: np.ndarray, binary: bool) -> bytes:
    if binary:
        return array.astype(array.dtype.newbyteorder(">")).tobytes()
    text = "%d" if np.issubdtype(array.dtype, np.integer) else "%.17g"
    return "\n".join(" ".join(text % x for x in row) for row in array).encode()
