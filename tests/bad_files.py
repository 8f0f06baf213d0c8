"""Files with data that cannot be trusted, and the words in which each is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

from magsim.datasets.dataset import ARRAYS
from magsim.datasets.writer import open_writer
from magsim.spins import random_spins

N = 16
Arrays = dict[str, np.ndarray]


def good() -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "spins": random_spins(N, rng, batch=(5,)),
        "field": rng.normal(size=(5, N, 3)),
        "energy": rng.normal(size=5),
        "density": rng.uniform(0.1, 1.9, size=(5, N)),
        "step": np.arange(5),
        "shape": np.array([4, 4]),
    }


def change(**edits: Callable[[np.ndarray], np.ndarray] | None) -> Callable[[Path], Path]:
    """An ``.npz`` file with some arrays replaced (None: left out)."""

    def write(folder: Path) -> Path:
        arrays = good()
        for name, edit in edits.items():
            if edit is None:
                del arrays[name]
            else:
                arrays[name] = edit(arrays[name].copy())
        np.savez(folder / "bad.npz", **arrays)
        return folder / "bad.npz"

    return write


def put(index: tuple[int, ...] | int | slice, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def edit(array: np.ndarray) -> np.ndarray:
        array[index] = value
        return array

    return edit


def along(scale: float, dtype: str = "f8") -> Callable[[Path], Path]:
    """Fields along the spins everywhere: zero torque."""

    def write(folder: Path) -> Path:
        arrays = good()
        spins = arrays["spins"]
        arrays["field"] = scale * (1 + np.arange(5))[:, None, None] * spins
        np.savez(folder / "bad.npz", spins=spins.astype(dtype), field=arrays["field"].astype(dtype))
        return folder / "bad.npz"

    return write


def repeated(rows: list[int], **labels: np.ndarray) -> Callable[[Path], Path]:
    """Snapshots of the good data in this order."""

    def write(folder: Path) -> Path:
        arrays = {name: a[rows] for name, a in good().items() if name in ("spins", "field")}
        np.savez(folder / "bad.npz", **arrays, **labels)
        return folder / "bad.npz"

    return write


def truncated_npz(folder: Path) -> Path:
    whole = change()(folder).read_bytes()
    (folder / "bad.npz").write_bytes(whole[: len(whole) // 2])
    return folder / "bad.npz"


def flipped_byte_npz(folder: Path) -> Path:
    path = change()(folder)
    content = bytearray(path.read_bytes())
    content[600] ^= 0xFF  # within the numbers of the first array
    path.write_bytes(bytes(content))
    return path


def empty_file(folder: Path) -> Path:
    (folder / "bad.npz").touch()
    return folder / "bad.npz"


def text_file(folder: Path) -> Path:
    (folder / "bad.npz").write_text("x y z\n0 0 1\n")
    return folder / "bad.npz"


def pickled_objects(folder: Path) -> Path:
    np.savez(folder / "bad.npz", spins=np.array([{"no": "array"}]), field=good()["field"])
    return folder / "bad.npz"


def single_npy(folder: Path) -> Path:
    np.save(folder / "bad.npy", good()["spins"])
    (folder / "bad.npy").rename(folder / "bad.npz")
    return folder / "bad.npz"


def nothing_there(folder: Path) -> Path:
    return folder / "bad.npz"


def unknown_kind(folder: Path) -> Path:
    (folder / "bad.csv").write_text("0,0,1\n")
    return folder / "bad.csv"


def empty_folder(folder: Path) -> Path:
    (folder / "bad").mkdir()
    return folder / "bad"


def make_store(folder: Path) -> Path:
    path = folder / "bad.zarr"
    lattice = {"name": "square", "shape": [4, 4], "boundary": ["periodic", "periodic"]}
    writer = open_writer(path, key="k", n_sites=N, lattice=lattice, sources=["random"], config={})
    arrays = {name: array for name, array in good().items() if name in ARRAYS}
    fill = {name: np.zeros(5) for name in ARRAYS if name not in arrays}
    writer.append(**arrays, **fill)
    writer.finish()
    return path


def lost_chunk(folder: Path) -> Path:
    path = make_store(folder)
    shutil.rmtree(path / "field" / "c")
    return path


def truncated_chunk(folder: Path) -> Path:
    path = make_store(folder)
    chunk = next(file for file in (path / "spins" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:100])
    return path


def altered_numbers(folder: Path) -> Path:
    path = make_store(folder)
    zarr.open_group(path, mode="r+")["field"][2, 3, 0] += 1e-9
    return path


def lost_array(folder: Path) -> Path:
    path = make_store(folder)
    shutil.rmtree(path / "spins")
    return path


def lost_energy(folder: Path) -> Path:
    path = make_store(folder)
    shutil.rmtree(path / "energy")
    return path


def edit_attributes(**edits: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = make_store(folder)
        zarr.open_group(path, mode="r+").update_attributes(edits)
        return path

    return write


def broken_metadata(folder: Path) -> Path:
    path = make_store(folder)
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": ')
    return path


def other_zarr(folder: Path) -> Path:
    zarr.create_group(folder / "bad.zarr", zarr_format=3)
    return folder / "bad.zarr"


# what is wrong -> (writes the file, words that the message must contain)
BAD: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "no such file": (nothing_there, ("no such file",)),
    "empty file": (empty_file, ("empty",)),
    "text instead of npz": (text_file, ("not a readable .npz", "no zip archive")),
    "truncated npz": (truncated_npz, ("truncated",)),
    "npz with a flipped byte": (flipped_byte_npz, ("array 'spins'", "cannot be read")),
    "pickled objects": (pickled_objects, ("array 'spins'",)),
    "one .npy array": (single_npy, ("single .npy",)),
    "unknown kind of file": (unknown_kind, ("not a known format",)),
    "folder without data": (empty_folder, ("neither a Zarr store",)),
    "spins missing": (change(spins=None), ("array 'spins' is missing",)),
    "field missing": (change(field=None), ("array 'field' is missing",)),
    "spins without components": (change(spins=lambda a: a[..., 0]), ("array 'spins'", "(5, 16)")),
    "no snapshots": (
        change(**{k: lambda a: a[:0] for k in ("spins", "field", "energy", "density", "step")}),
        ("empty",),
    ),
    "field of other sites": (change(field=lambda a: a[:, :9]), ("array 'field'", "(5, 9, 3)", "(5, 16, 3)")),
    "energy of other snapshots": (change(energy=lambda a: a[:3]), ("array 'energy'", "(3,)")),
    "complex field": (change(field=lambda a: a + 0j), ("array 'field'", "complex128")),
    "steps that are not whole": (change(step=lambda a: a + 0.5), ("array 'step'", "whole")),
    "sites do not fill the shape": (change(shape=lambda a: np.array([3, 7])), ("16 sites", "[3, 7]")),
    "shape is no list": (change(shape=lambda a: np.array(4.0)), ("array 'shape'",)),
    "NaN in spins": (
        change(spins=put((3, 7, 1), np.nan)),
        ("array 'spins'", "snapshot 3, site 7, component 1"),
    ),
    "infinite field": (
        change(field=put((2, 5, 0), np.inf)),
        ("array 'field'", "snapshot 2, site 5, component 0"),
    ),
    "NaN energy": (change(energy=put(4, np.nan)), ("array 'energy'", "snapshot 4")),
    "spins not of unit length": (
        change(spins=put((1, 2), 0.9)),
        ("array 'spins'", "snapshot 1, site 2", "largest"),
    ),
    "zero field": (change(field=put(3, 0.0)), ("array 'field'", "snapshot 3", "zero")),
    "constant field": (change(field=put(slice(None), 0.5)), ("array 'field'", "snapshot 0", "constant")),
    "copied field": (change(field=lambda a: a[[0, 1, 1, 3, 4]]), ("array 'field'", "snapshot 2")),
    "constant energy": (change(energy=put(slice(None), -1.0)), ("array 'energy'", "constant", "snapshot 0")),
    "field along the spins": (along(2.0), ("array 'field'", "snapshot 0", "no torque")),
    "field along the spins in float32": (along(2.0, "f4"), ("array 'field'", "no torque")),
    "fields too small to square": (change(field=lambda a: 1e-30 * a), ("array 'field'", "no torque")),
    "fields of no model": (
        change(field=put((2, 5, 0), -1e300)),
        ("array 'field'", "snapshot 2, site 5, component 0", "units"),
    ),
    "energies of no model": (change(energy=put(3, 1e12)), ("array 'energy'", "snapshot 3", "units")),
    "eight times the same": (repeated([0] * 8), ("snapshot 1", "snapshot 0", "another trajectory")),
    "a copy among others": (repeated([0, 1, 2, 1, 3]), ("snapshot 3", "snapshot 1", "another trajectory")),
    "two trajectories with a common state": (
        repeated([0, 1, 2, 3, 1], trajectory=np.array([0, 0, 0, 1, 1])),
        ("snapshot 4", "snapshot 1", "(1, not 0)"),
    ),
    "negative density": (change(density=put((1, 9), -0.2)), ("array 'density'", "snapshot 1, site 9")),
    "more than two electrons": (change(density=put((0, 3), 2.5)), ("array 'density'", "snapshot 0, site 3")),
    "store with a lost chunk": (lost_chunk, ("array 'field'", "snapshot 0")),
    "store with a truncated chunk": (truncated_chunk, ("array 'spins'", "corrupt chunk")),
    "store altered after it was written": (altered_numbers, ("content_hash",)),
    "store without an array": (lost_array, ("array 'spins'", "missing")),
    "store without an array that it lists": (lost_energy, ("array 'energy'", "missing")),
    "store of another version": (edit_attributes(format_version=99), ("format_version is 99",)),
    "store of another lattice": (
        edit_attributes(lattice={"name": "kagome", "shape": [4, 4], "boundary": None}),
        ("16 sites", "kagome"),
    ),
    "store with broken metadata": (broken_metadata, ("Zarr v3",)),
    "another program's Zarr store": (other_zarr, ("not a magsim dataset",)),
}
