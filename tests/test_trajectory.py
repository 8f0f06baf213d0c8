"""Trajectory stores: nothing is lost to a kill, a continued run is the whole run, damage is named."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr
from zarr.storage import LocalStore

from magsim.datasets.split import split_dataset
from magsim.datasets.store import open_dataset
from magsim.dynamics import (
    ClassicalField,
    Quench,
    evolve,
    initial_spins,
    make_integrator,
    open_trajectory,
    open_trajectory_writer,
)
from magsim.errors import DataError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice

LATTICE = make_lattice("square", (4, 4))
FIELD = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(-1.0,), dm=0.2))
PROTOCOL = Quench(steps=40, record_every=5, replicas=2)
INTEGRATOR = make_integrator("heun", 0.05, 0.3, T=0.3)


def writer(path, key="k", conservative=True):
    return open_trajectory_writer(
        path,
        key=key,
        replicas=PROTOCOL.replicas,
        n_sites=LATTICE.n_sites,
        lattice={"name": "square", "shape": [4, 4], "boundary": ["periodic", "periodic"]},
        seed=1,
        config={"protocol": {"steps": 40}, "dt": INTEGRATOR.dt},
        parents={"model": "abc"},
        conservative=conservative,
    )


def simulate(path, n_steps=None):
    """Start or continue the run of this file, as a task does."""
    store = writer(path)
    spins = initial_spins(PROTOCOL, LATTICE, seed=1) if len(store) == 0 else store.last_spins()
    start = store.last_step or 0
    if len(store) == 1:  # only the initial frame
        start = 0
    for frame in evolve(
        FIELD, torch.from_numpy(spins), INTEGRATOR, PROTOCOL, 1, start_step=start, n_steps=n_steps
    ):
        if store.last_step is None or frame.step > store.last_step:
            store.append(frame)
    return store


@pytest.fixture
def finished(tmp_path):
    path = tmp_path / "whole.zarr"
    simulate(path).finish()
    return path


def test_a_stored_run_reads_back_exactly(finished):
    frames = list(
        evolve(FIELD, torch.from_numpy(initial_spins(PROTOCOL, LATTICE, 1)), INTEGRATOR, PROTOCOL, seed=1)
    )
    trajectory = open_trajectory(finished, verify=True)
    assert trajectory.shape == (9, 2, 16, 3)
    assert trajectory.attributes["parents"] == {"model": "abc"}
    assert trajectory.attributes["complete"]
    np.testing.assert_array_equal(trajectory.step, [frame.step for frame in frames])
    np.testing.assert_array_equal(trajectory.time, [frame.time for frame in frames])
    np.testing.assert_array_equal(trajectory.energy, np.stack([frame.energy for frame in frames]))
    np.testing.assert_array_equal(trajectory.all_spins(), np.stack([frame.spins for frame in frames]))
    np.testing.assert_array_equal(trajectory.spins(-1), frames[-1].spins)
    for k, frame in enumerate(frames):
        np.testing.assert_array_equal(trajectory.field(k), frame.field)
        np.testing.assert_array_equal(trajectory.field(k), FIELD(trajectory.spins(k))[1])


def test_n_steps_and_n_more_equal_2n_bitwise_in_the_file(finished, tmp_path):
    halves = tmp_path / "halves.zarr"
    simulate(halves, n_steps=20)
    assert not open_trajectory(halves).attributes["complete"]
    simulate(halves).finish()
    whole, parts = open_trajectory(finished), open_trajectory(halves)
    np.testing.assert_array_equal(parts.all_spins(), whole.all_spins())
    assert parts.attributes["content_hash"] == whole.attributes["content_hash"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_a_kill_between_any_two_writes_loses_at_most_the_frame_in_flight(finished, tmp_path, monkeypatch):
    """Every file is replaced atomically, so a kill acts between two writes: try each of one frame."""
    half = tmp_path / "half.zarr"
    simulate(half, n_steps=20)
    before = open_trajectory(half)
    original = LocalStore.set
    kills = 0
    for n in range(100):
        path = tmp_path / f"killed-{n}.zarr"
        shutil.copytree(half, path)
        left = n

        async def dying_set(self, key, value):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            await original(self, key, value)

        store = writer(path)
        spins, start = torch.from_numpy(store.last_spins()), store.last_step
        frame = next(evolve(FIELD, spins, INTEGRATOR, PROTOCOL, 1, start_step=start))
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "set", dying_set)
            try:
                store.append(frame)
                survived = True
            except Killed:
                survived = False
                kills += 1
        seen = open_trajectory(path, verify=True)
        assert len(seen) == len(before) + survived
        if survived:
            break
        if n % 4 == 0:
            simulate(path).finish()
            np.testing.assert_array_equal(
                open_trajectory(path, verify=True).all_spins(), open_trajectory(finished).all_spins()
            )
    assert survived
    assert kills > 8  # six arrays, each resized and written, and the count


ENDLESS = """
import sys
sys.path.insert(0, {tests!r})
import test_trajectory as t
t.PROTOCOL = t.Quench(steps=100000, record_every=5, replicas=2)
t.simulate({path!r})
"""


def test_sigkill_of_a_running_job_leaves_a_store_that_continues(finished, tmp_path):
    path = tmp_path / "killed.zarr"
    script = ENDLESS.format(tests=str(__import__("pathlib").Path(__file__).parent), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            if path.exists() and json.loads((path / "zarr.json").read_text())["attributes"]["frames"] >= 3:
                break
            time.sleep(0.003)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    n = len(open_trajectory(path, verify=True))
    assert n >= 3
    simulate(path)
    whole, continued = open_trajectory(finished), open_trajectory(path, verify=True)
    common = min(len(whole), len(continued))
    for k in range(common):
        np.testing.assert_array_equal(continued.spins(k), whole.spins(k))


def test_a_store_of_other_settings_is_not_overwritten(finished):
    with pytest.raises(DataError, match="other settings"):
        writer(finished, key="other")


def test_frames_out_of_order_or_of_another_shape_are_refused(finished):
    store = writer(finished)
    frame = next(evolve(FIELD, torch.from_numpy(store.last_spins()), INTEGRATOR, Quench(steps=1), seed=1))
    with pytest.raises(ValueError, match="not after"):
        store.append(frame)
    with pytest.raises(ValueError, match="shape"):
        store.append(type(frame)(99, 1.0, frame.spins[:1], frame.energy, frame.field, 0.0))


def truncate(path):
    chunk = next(p for p in sorted((path / "spins" / "c").rglob("*")) if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:20])


def lose(path):
    next(p for p in sorted((path / "spins" / "c").rglob("*")) if p.is_file()).unlink()


@pytest.mark.parametrize(
    ("damage", "match"), [(truncate, "corrupt chunk"), (lose, "frame 0, replica 0, site 0")]
)
def test_a_damaged_chunk_is_named(finished, damage, match):
    damage(finished)
    trajectory = open_trajectory(finished)
    with pytest.raises(DataError, match=match):
        trajectory.spins(0)


@pytest.mark.parametrize("name", ["energy", "field"])
def test_altered_numbers_are_found_by_the_content_hash(finished, name):
    zarr.open_group(finished, mode="r+")[name][3] = 0.0
    with pytest.raises(DataError, match="content hash"):
        open_trajectory(finished, verify=True)
    with pytest.raises(DataError, match=r"content hash|zero on every site"):
        open_dataset(finished)


def test_a_finished_trajectory_is_a_dataset_of_its_frames(finished):
    trajectory, dataset = open_trajectory(finished), open_dataset(finished)
    assert len(dataset) == 9 * 2
    np.testing.assert_array_equal(dataset.spins.reshape(trajectory.shape), trajectory.all_spins())
    np.testing.assert_array_equal(dataset.field, FIELD(dataset.spins)[1])
    np.testing.assert_array_equal(dataset.energy.reshape(9, 2), trajectory.energy)
    np.testing.assert_array_equal(dataset.trajectory.reshape(9, 2), [[0, 1]] * 9)
    np.testing.assert_array_equal(dataset.step.reshape(9, 2)[:, 1], trajectory.step)
    assert dataset.sources == ("trajectory",)
    assert dataset.content_hash == trajectory.attributes["content_hash"]
    assert (dataset.dt, dataset.method) == (0.05, "learned")
    assert dataset.lattice["shape"] == [4, 4]
    split = split_dataset(dataset, seed=0)
    assert len(split.train) > len(split.test) > 0


def test_an_unfinished_trajectory_is_a_dataset_only_if_asked_for(tmp_path):
    path = tmp_path / "half.zarr"
    simulate(path, n_steps=20)
    with pytest.raises(DataError, match=r"unfinished \(5 frames"):
        open_dataset(path)
    assert len(open_dataset(path, allow_incomplete=True)) == 5 * 2


def test_a_field_without_an_energy_leaves_nan_and_a_dataset_without_energies(tmp_path):
    for name, conservative in (("driven.zarr", False), ("broken.zarr", True)):
        store = writer(tmp_path / name, conservative=conservative)
        for frame in evolve(
            FIELD, torch.from_numpy(initial_spins(PROTOCOL, LATTICE, 1)), INTEGRATOR, PROTOCOL, 1
        ):
            store.append(replace(frame, energy=frame.energy * np.nan))
        store.finish()
    driven = open_trajectory(tmp_path / "driven.zarr", verify=True)
    assert np.isnan(driven.energy).all()
    assert open_dataset(tmp_path / "driven.zarr").energy is None
    with pytest.raises(DataError, match="'energy' at frame 0"):
        open_trajectory(tmp_path / "broken.zarr")
    with pytest.raises(DataError, match="array 'energy'"):
        open_dataset(tmp_path / "broken.zarr")


def test_what_is_not_a_trajectory_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such"):
        open_trajectory(tmp_path / "nothing.zarr")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "zarr.json").write_text("{")
    with pytest.raises(DataError, match="not a readable"):
        open_trajectory(tmp_path / "junk")
