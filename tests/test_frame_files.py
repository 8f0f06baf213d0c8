"""Exported files say to other programs what the arrays are: read back by readers that are not ours."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from reference_lattices import ALL_LATTICES, name

from magsim import observables as obs
from magsim.config import compose
from magsim.config.checks.job import check_job
from magsim.dynamics import open_trajectory
from magsim.errors import ConfigError
from magsim.exports import write_ovf, write_vtk, write_xyz
from magsim.lattice import Lattice, make_lattice
from magsim.report.film import write_film
from magsim.spins import random_spins
from magsim.tasks.dispatch import execute

RECTANGULAR = [make_lattice("chain", [5]), make_lattice("square", [3, 4]), make_lattice("cubic", [2, 3, 4])]


def spins_on(lattice: Lattice, *leading: int) -> np.ndarray:
    return random_spins(lattice.n_sites, np.random.default_rng(8), leading)


def read_ovf(path: Path, sites: int, segment: int = 0, numbers: int = 3) -> tuple[dict, np.ndarray]:
    """Header and data, so many numbers a record, by the library that Spirit reads OVF with."""
    ovf = pytest.importorskip("ovf.ovf")
    header, data = ovf.ovf_segment(), np.zeros((sites, numbers))
    with ovf.ovf_file(str(path)) as file:
        assert file.read_segment_header(segment, header) == ovf.OK, file.get_latest_message()
        facts = {"points": header.pointcount, "dimension": header.valuedim}
        header.valuedim = numbers
        assert file.read_segment_data(segment, header, data) == ovf.OK, file.get_latest_message()
        facts |= {"segments": file.n_segments, "nodes": list(header.n_cells), "step": list(header.step_size)}
    return facts | {"title": header.title.decode(), "mesh": header.meshtype.decode()}, data


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize("lattice", RECTANGULAR, ids=name)
def test_ovf_of_a_rectangular_lattice_has_x_fastest(lattice: Lattice, binary: bool, tmp_path: Path) -> None:
    spins = spins_on(lattice, 2)
    path = write_ovf(tmp_path / "spins.ovf", lattice, spins, [0, 1.5], binary=binary)
    for k in range(2):
        facts, data = read_ovf(path, lattice.n_sites, k)
        assert facts["segments"] == 2
        assert facts["nodes"] == [*lattice.shape, *[1] * (3 - lattice.dim)]
        assert facts["title"] == f"spins, t = {(0, 1.5)[k]:g}"
        cells = lattice.cells
        strides = np.cumprod([1, *lattice.shape[:-1]])
        np.testing.assert_array_equal(data[cells @ strides], spins[k])  # row (z*Ly + y)*Lx + x


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_spirit_reads_every_lattice_in_its_own_order(lattice: Lattice, tmp_path: Path) -> None:
    spins = spins_on(lattice)
    _, data = read_ovf(write_ovf(tmp_path / "s.ovf", lattice, spins, cells=True), lattice.n_sites)
    strides = np.cumprod([1, *lattice.shape[:-1]])
    row = np.repeat(lattice.cells @ strides, lattice.n_basis) * lattice.n_basis + lattice.sublattice
    np.testing.assert_array_equal(data[row], spins)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize("shape", ["triangular", "honeycomb", "kagome"])
def test_the_reader_of_spirit_finds_every_spin_at_its_place_on_an_oblique_lattice(
    shape: str, binary: bool, tmp_path: Path
) -> None:
    """A record of an irregular mesh is a position and a value, by the definition of OVF 2.0. The library
    finds header, check value and numbers, but takes as many of them for a record as a value has."""
    lattice = make_lattice(shape, [3, 4])
    spins = spins_on(lattice)
    path = write_ovf(tmp_path / "s.ovf", lattice, spins, binary=binary)
    facts, rows = read_ovf(path, lattice.n_sites, numbers=6)
    assert (facts["mesh"], facts["points"], facts["dimension"]) == ("irregular", lattice.n_sites, 3)
    found = {tuple(row[:3]): row[3:] for row in rows}
    assert len(found) == lattice.n_sites
    for (x, y), spin in zip(lattice.positions, spins, strict=True):
        np.testing.assert_array_equal(found[x, y, 0.0], spin)


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_ase_reads_positions_cell_and_spins_of_extended_xyz(lattice: Lattice, tmp_path: Path) -> None:
    io = pytest.importorskip("ase.io")
    spins = spins_on(lattice, 2)
    frames = io.read(write_xyz(tmp_path / "s.xyz", lattice, spins, [0, 2.5]), index=":", format="extxyz")
    assert [frame.info["Time"] for frame in frames] == [0, 2.5]
    for frame, expected in zip(frames, spins, strict=True):
        np.testing.assert_array_equal(frame.arrays["spin"], expected)
        np.testing.assert_allclose(frame.positions[:, : lattice.dim], lattice.positions, atol=1e-15)
        assert list(frame.pbc[: lattice.dim]) == list(lattice.periodic)
        # the cell is that of the lattice: its nearest neighbours across the boundary are neighbours
        shell = lattice.shells(1)[0]
        distance = frame.get_distance(int(shell.i[-1]), int(shell.j[-1]), mic=True)
        assert distance == pytest.approx(1)
        np.testing.assert_array_equal(frame.arrays["sublattice"], lattice.sublattice)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_meshio_reads_points_spins_and_triangles_of_vtk(
    lattice: Lattice, binary: bool, tmp_path: Path
) -> None:
    meshio = pytest.importorskip("meshio")
    spins = spins_on(lattice)
    mesh = meshio.read(write_vtk(tmp_path / "s.vtk", lattice, spins, binary=binary))
    np.testing.assert_array_equal(mesh.points[:, : lattice.dim], lattice.positions)
    np.testing.assert_array_equal(mesh.point_data["spin"], spins)
    if lattice.dim != 2:
        return
    triangles = mesh.cells_dict["triangle"]
    chirality = mesh.cell_data["chirality"][0][:, 0]
    a, b, c = (spins[triangles[:, k]] for k in range(3))
    np.testing.assert_allclose(np.linalg.det(np.stack([a, b, c], axis=1)), chirality, atol=1e-12)
    p, q, r = (mesh.points[triangles[:, k], :2] for k in range(3))
    area = 0.5 * np.linalg.det(np.stack([q - p, r - p], axis=1))
    assert (area > 0).all()
    assert area.max() < abs(np.linalg.det(lattice.vectors))  # none across the boundary
    whole = make_lattice(lattice.name, lattice.shape, "open").triangulation()
    assert len(triangles) == len(whole)
    charge = obs.topological_charge_density(make_lattice(lattice.name, lattice.shape, "open"), spins)
    assert mesh.cell_data["topological_charge"][0].sum() == pytest.approx(charge.sum())


def test_the_task_writes_frames_for_other_programs_and_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io = pytest.importorskip("ase.io")
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    job = ["logger=csv", "compute=cpu", "observables.names=[magnetisation]", "observables.figures=[]"]
    system = ["lattice.shape=[4,6]", "protocol.steps=4", "protocol.record_every=2", "protocol.replicas=2"]
    execute(compose(["task=simulate", *job, *system, "labeler=ed", f"output={tmp_path / 'run'}"]))
    asked = ["task.export=[ovf,spirit,xyz,vtk]", "task.film=gif", "task.replica=1"]
    folder = tmp_path / "analysis"
    metrics = execute(
        compose(["task=analyze", f"task.path={tmp_path / 'run'}", *job, *asked, f"output={folder}"])
    )
    trajectory = open_trajectory(tmp_path / "run" / "trajectory.zarr")
    frames = io.read(folder / "exports" / "spins.xyz", index=":")
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[-1].arrays["spin"], trajectory.spins(-1)[1])
    series = json.loads((folder / "exports" / "vtk" / "spins.vtk.series").read_text())["files"]
    assert [entry["time"] for entry in series] == list(trajectory.time)
    assert all((folder / "exports" / "vtk" / entry["name"]).is_file() for entry in series)
    assert len(list((folder / "exports" / "ovf").iterdir())) == 3
    assert (folder / "exports" / "spirit.ovf").stat().st_size == metrics["analyze/spirit_bytes"]
    from PIL import Image

    with Image.open(folder / "film.gif") as film:
        assert film.n_frames == 3
    assert "data:image/gif" in (folder / "report.html").read_text()


@pytest.mark.parametrize("of", ["spins", "chirality", "charge"])
def test_a_film_shows_each_state_once(of: str, tmp_path: Path) -> None:
    from PIL import Image, ImageSequence

    lattice = make_lattice("triangular", [6, 6])
    states = spins_on(lattice, 3)
    path = write_film(tmp_path / "film.gif", lattice, zip([0.0, 1.0, 2.0], states, strict=True), of)
    with Image.open(path) as film:
        frames = [np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == 3
    for before, after in pairwise(frames):
        assert (np.abs(before - after).sum(-1) > 30).mean() > 0.2


@pytest.fixture
def ffmpeg():
    """The package that finds or carries ffmpeg, and reads films with it."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        pytest.skip("no ffmpeg on this machine")
    return imageio_ffmpeg


def test_an_mp4_film_is_read_back_frame_by_frame(tmp_path: Path, ffmpeg, monkeypatch) -> None:
    """As many frames as states, at the pace that is set, each the picture of its state: that of the
    gif, which is of the same size to the pixel, but for what a lossy codec takes."""
    from PIL import Image, ImageSequence

    lattice = make_lattice("triangular", [6, 6])
    states = [*spins_on(lattice, 3), *spins_on(lattice, 1)]  # the last is the first again
    monkeypatch.setattr("magsim.report.film.FRAMES_PER_SECOND", 5)
    films = {}
    for kind in ("gif", "mp4"):
        frames = zip(np.arange(4.0), states, strict=True)
        films[kind] = write_film(tmp_path / f"film.{kind}", lattice, frames)
    reader = ffmpeg.read_frames(str(films["mp4"]))
    facts = next(reader)
    assert (facts["codec"], facts["fps"], facts["duration"]) == ("h264", 5.0, 0.8)
    width, height = facts["size"]
    frames = [np.frombuffer(frame, np.uint8).reshape(height, width, 3).astype(int) for frame in reader]
    with Image.open(films["gif"]) as film:
        assert film.size == (width, height)
        pictures = [np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == len(pictures) == 4
    distance = [[np.abs(frame - picture).mean() for picture in pictures[:3]] for frame in frames]
    assert np.argmin(distance, axis=1).tolist() == [0, 1, 2, 0]
    assert np.min(distance, axis=1).max() < 0.3 * np.sort(distance, axis=1)[:, 1].min()


def test_mp4_without_ffmpeg_is_refused_with_a_sentence_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "trajectory.zarr").mkdir()
    job = ["task=analyze", f"task.path={tmp_path}", "task.film=mp4"]
    with pytest.raises(
        ConfigError, match=r"^task\.film=mp4: needs ffmpeg on the path or the package imageio-ff"
    ):
        check_job(compose(job))
    check_job(compose([*job[:-1], "task.film=gif"]))
    with pytest.raises(ConfigError, match=r"^task\.film=mp4: needs ffmpeg"):
        write_film(tmp_path / "film.mp4", make_lattice("square", [4, 4]), [])
