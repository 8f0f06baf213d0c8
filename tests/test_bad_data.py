"""Data that cannot be trusted: each file is refused with one sentence that names file, array and index."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bad_files import BAD, N, change, good, make_store, repeated

from magsim.datasets.store import open_dataset
from magsim.errors import DataError
from magsim.lattice import make_lattice
from magsim.spins import tetrahedral

RUN = Path(__file__).resolve().parents[1] / "run.py"


def test_the_good_data_that_the_bad_are_made_from_are_accepted(tmp_path: Path) -> None:
    assert len(open_dataset(change()(tmp_path))) == 5
    assert len(open_dataset(make_store(tmp_path))) == 5


@pytest.mark.parametrize("what", BAD)
def test_refused_with_one_sentence_naming_file_array_and_index(tmp_path: Path, what: str) -> None:
    write, words = BAD[what]
    path = write(tmp_path)
    with pytest.raises(DataError) as refused:
        open_dataset(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_spins_within_float32_rounding_and_fields_of_any_sensible_size_are_accepted(tmp_path: Path) -> None:
    path = change(spins=lambda a: a.astype(np.float16).astype(np.float32))(tmp_path)
    with pytest.raises(DataError, match="differs from 1"):  # float16 is too coarse
        open_dataset(path)
    assert len(open_dataset(change(spins=lambda a: a.astype(np.float32))(tmp_path))) == 5
    for scale in (1e-9, 1e5):
        assert len(open_dataset(change(field=lambda a, s=scale: s * a)(tmp_path))) == 5


def test_a_trajectory_may_repeat_its_own_frames(tmp_path: Path) -> None:
    assert len(open_dataset(repeated([0, 1, 1, 2], step=np.arange(4))(tmp_path))) == 4


def test_trajectories_may_end_in_the_same_state_without_torque(tmp_path: Path) -> None:
    """Quenches in a strong field all end along it: no copies of each other."""
    arrays = good()
    for k in (2, 4):
        arrays["spins"][k] = [0.0, 0.0, 1.0]
        arrays["field"][k] = np.outer(1 + np.arange(N), [0.0, 0.0, 1.0]) + k
        arrays["field"][k, :, :2] = 0.0
    names = ("spins", "field")
    trajectory = np.array([0, 0, 0, 1, 1])
    np.savez(tmp_path / "a.npz", trajectory=trajectory, **{name: arrays[name] for name in names})
    assert len(open_dataset(tmp_path / "a.npz")) == 5
    arrays["field"][4, 7, 0] = 0.1  # the same state, but it moves
    np.savez(tmp_path / "a.npz", trajectory=trajectory, **{name: arrays[name] for name in names})
    with pytest.raises(DataError, match="repeats snapshot 2"):
        open_dataset(tmp_path / "a.npz")


def test_ordered_states_can_be_looked_at_but_not_learned_from(tmp_path: Path) -> None:
    spins = tetrahedral(make_lattice("triangular", (4, 4)))[None]
    np.savez(tmp_path / "a.npz", spins=spins, field=1.5 * spins, energy=[-2.0])
    assert len(open_dataset(tmp_path / "a.npz", learnable=False)) == 1
    with pytest.raises(DataError, match="no torque"):
        open_dataset(tmp_path / "a.npz")


def test_reading_never_alters_the_file(tmp_path: Path) -> None:
    path = make_store(tmp_path)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    open_dataset(path)
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert json.loads((path / "zarr.json").read_text())["zarr_format"] == 3


LABEL = ("task=label", "sampler=file", "lattice=square", "lattice.shape=[4,4]", "logger=csv")


@pytest.mark.parametrize(
    "what", ["empty file", "NaN in spins", "spins not of unit length", "sites do not fill the shape"]
)
def test_the_command_line_refuses_bad_data_with_exit_code_2(
    tmp_path: Path, monkeypatch, capsys, what: str
) -> None:
    from magsim.tasks.cli import main

    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    path = BAD[what][0](tmp_path)
    assert main([*LABEL, f"sampler.path={path}"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert str(path) in captured.err
    assert "Traceback" not in captured.out + captured.err


def test_the_program_itself_ends_with_exit_code_2_in_seconds(tmp_path: Path) -> None:
    path = BAD["truncated npz"][0](tmp_path)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(RUN), *LABEL, f"sampler.path={path}", f"output={tmp_path / 'out.zarr'}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            "PATH": "",
            "HOME": str(tmp_path),
            "MAGSIM_OUTPUTS": str(tmp_path / "outputs"),
            "OMP_NUM_THREADS": "1",
        },
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "truncated" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.zarr").exists()
    assert time.monotonic() - start < 30  # a slow machine; an idle one needs three
