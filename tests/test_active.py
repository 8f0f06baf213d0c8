"""task=active: what is chosen, what it costs, and that an interrupted run ends where a whole one does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from short_training import COMMON, SHORT, fit, make_synthetic

from magsim.config import check, compose, to_flat
from magsim.datasets.dataset import SpinDataset
from magsim.datasets.pool import renamed, stored_pool
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError, DataError
from magsim.learning.selection import disagreement, spread_out
from magsim.runs import open_run, read_json, read_series
from magsim.tasks.active_learning.choice import read_choice
from magsim.tasks.active_learning.rounds import PER_COMPONENT, ask, committee_of
from magsim.tasks.build import effective_field
from magsim.tasks.cli import main
from magsim.tasks.training.trained import train

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    "task=active",
    "logger=csv",
    "compute=cpu",
    "lattice.shape=[6,6]",
    "descriptor.cutoff=1",
    "descriptor.references=2",
    "trainer.max_epochs=3",
    "trainer.max_minutes=null",
    "protocol.steps=12",
    "protocol.record_every=2",
    "task.members=2",
    "task.start=6",
    "task.trajectories=3",
    "task.chosen=4",
    "task.separation=4",
    "task.budget=13",
    "task.rounds=4",
    "task.test_random=3",
    "task.test_quenches=1",
)


def run_active(folder: Path, *more: str) -> Path:
    """A run of a few seconds: rounds of 6, 10 and 13 labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGSIM_OUTPUTS", str(folder / "outputs"))
        assert main([*SMALL, f"output={folder / 'run'}", *more]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_active(tmp_path_factory.mktemp("whole"))


def final(folder: Path) -> SpinDataset:
    return open_dataset(sorted(folder.glob("rounds/*/dataset.zarr"))[-1])


def test_the_largest_disagreement_is_chosen_and_its_neighbours_are_not() -> None:
    score = np.array([1.0, 9.0, 8.0, 2.0, 7.0, np.nan])
    trajectory = np.array([0, 0, 0, 0, 1, 1])
    step = np.array([0, 10, 14, 15, 14, 0])
    assert spread_out(score, trajectory, step, 3, 5).tolist() == [1, 4, 3]
    assert spread_out(score, trajectory, step, 3, 4).tolist() == [1, 2, 4]
    assert spread_out(score, trajectory, step, 9, 100).tolist() == [1, 4]
    assert spread_out(score, trajectory, step, 0, 5).tolist() == []
    # at most one from each of the windows 0-4, 10-14, 15-19, over both trajectories
    assert spread_out(score, trajectory, step, 6, 5, most=1).tolist() == [1, 3, 0]
    assert spread_out(score, trajectory, step, 6, 5, most=2).tolist() == [1, 4, 3, 0]


def test_no_two_choices_of_a_trajectory_are_closer_than_the_separation() -> None:
    random = np.random.default_rng(0)
    trajectory, step = np.repeat(np.arange(5), 40), np.tile(np.arange(40), 5)
    for separation in (1, 3, 7):
        score = random.random(200)
        k = spread_out(score, trajectory, step, 60, separation)
        for t in range(5):
            mine = np.sort(step[k[trajectory[k] == t]])
            assert (np.diff(mine) >= separation).all()
        # greedy: whatever was passed over lies near a choice with a larger score
        for j in np.setdiff1d(np.arange(200), k):
            near = (trajectory[k] == trajectory[j]) & (np.abs(step[k] - step[j]) < separation)
            assert score[k][near].max(initial=-1) > score[j] or (len(k) == 60 and score[j] < score[k].min())


def test_disagreement_is_relative_to_the_torque_of_the_stage_down_to_the_floor() -> None:
    spread, torque = np.array([0.1, 0.01, 0.002, 0.01]), np.array([1.0, 0.1, 0.1, 1e-9])
    stage = np.array([0, 1, 1, 2])
    assert np.allclose(disagreement(spread, torque, stage, None), spread)
    typical = np.sqrt(np.mean(torque**2))
    assert np.allclose(disagreement(spread, torque, stage, 0.5), spread / np.hypot(torque, 0.5 * typical))
    small = disagreement(spread, torque, stage, 1e-6)
    assert small[0] == pytest.approx(small[1], rel=1e-6)  # both are a tenth of the torque of their stage
    assert small[1] == pytest.approx(5 * small[2])
    assert small[3] > 1e3
    # of one stage the larger spread wins, however small the torque of a configuration at rest
    together = disagreement(np.array([0.1, 0.05]), np.array([1.0, 1e-6]), np.array([4, 4]), 0.2)
    assert together[0] == pytest.approx(2 * together[1])


def test_a_round_chooses_the_largest_spread_of_its_committee(finished: Path) -> None:
    cfg = compose([*SMALL])
    for number in (0, 1):
        folder = finished / "rounds" / f"{number:02d}"
        choice = read_choice(folder / "chosen.npz")
        fields = ask(committee_of(cfg, folder), choice.spins)
        spread = PER_COMPONENT * np.sqrt(((fields - fields.mean(0)) ** 2).sum((0, -1)) / 2)
        assert np.allclose(choice.spread, spread, rtol=1e-4)
        assert (np.diff(choice.score) <= 0).all()
        square, stage = choice.pool_torque**2, choice.pool_step // 4
        typical = np.array([square[stage == window].mean() for window in choice.step // 4])
        score = np.sqrt(np.mean(spread**2, axis=1) / (typical + 0.2**2 * square.mean()))
        assert np.allclose(choice.score, score, rtol=1e-4)
        for t in np.unique(choice.trajectory):
            assert (np.diff(np.sort(choice.step[choice.trajectory == t])) >= 4).all()


def test_labels_of_an_active_run_are_exact_and_its_trajectories_are_told_apart(finished: Path) -> None:
    dataset = final(finished)
    assert dataset.sources == ("random", "active")
    _, field = effective_field(list(SMALL))(dataset.spins)
    assert np.abs(field - dataset.field).max() < 1e-12
    active = dataset.source == 1
    assert len(np.unique(dataset.trajectory[~active])) == 6
    # runs of two rounds: none has the number of another or of a random configuration
    rounds = [read_choice(path).trajectory for path in sorted(finished.glob("rounds/*/chosen.npz"))]
    first, second = np.split(dataset.trajectory[active], [len(rounds[0])])
    assert (first == 6 + rounds[0]).all()
    assert (second == first.max() + 1 + rounds[1]).all()


def test_the_budget_is_spent_and_never_exceeded(finished: Path) -> None:
    sizes = [len(open_dataset(path)) for path in sorted(finished.glob("rounds/*/dataset.zarr"))]
    assert sizes == [6, 10, 13]
    metrics = read_json(finished / "metrics.json")
    assert (metrics["active/labels"], metrics["active/stopped"]) == (13, "budget spent: 13 labels")
    labels, errors = read_series(finished / "metrics.csv")["active/error"]
    assert labels == sizes
    assert metrics["active/error"] == pytest.approx(errors[-1])
    assert (finished / "report.html").exists()


def test_nothing_of_the_test_set_is_learned(finished: Path) -> None:
    learned = final(finished).spins
    made = [open_dataset(p.parent) for p in (finished.parent / "outputs" / "datasets").glob("*/zarr.json")]
    (test,) = (dataset for dataset in made if "quench" in dataset.sources)
    assert read_json(finished / "metrics.json")["active/test_hash"] == test.content_hash
    assert np.abs(test.spins[:, None] - learned[None]).max(axis=(2, 3)).min() > 0.1


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("rounds/01/member_0/checkpoints/last.ckpt", marks=pytest.mark.slow),
        pytest.param("rounds/00/trajectory.zarr/zarr.json", marks=pytest.mark.slow),
        pytest.param("rounds/00/chosen.npz", marks=pytest.mark.slow),
        pytest.param("rounds/01/dataset.zarr/zarr.json", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_ends_with_the_dataset_of_a_whole_one(
    finished: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    outputs = str(finished.parent / "outputs")  # start and test set are there already
    environment = os.environ | {"MAGSIM_OUTPUTS": outputs, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *SMALL, f"output={folder}"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (folder / moment).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "model.safetensors").exists()
    monkeypatch.setenv("MAGSIM_OUTPUTS", outputs)
    assert main([f"resume={folder}"]) == 0
    whole, resumed = (read_json(path / "metrics.json") for path in (finished, folder))
    assert final(folder).content_hash == final(finished).content_hash
    assert resumed["active/dataset_hash"] == whole["active/dataset_hash"]
    assert resumed["active/error"] == whole["active/error"]


def test_datasets_are_pooled_in_order_and_only_once(finished: Path, tmp_path: Path) -> None:
    first = open_dataset(finished / "rounds" / "00" / "dataset.zarr")
    other = renamed(open_dataset(finished / "rounds" / "00" / "labels.zarr", learnable=False), "again")
    pooled = stored_pool(tmp_path / "pooled.zarr", [first, other])
    assert pooled.sources == ("random", "again")
    assert pooled.source.tolist() == [0] * 6 + [1] * 4
    assert (pooled.energy == np.concatenate([first.energy, other.energy])).all()
    assert stored_pool(tmp_path / "pooled.zarr", [first, other]).content_hash == pooled.content_hash
    with pytest.raises(DataError, match="other settings"):
        stored_pool(tmp_path / "pooled.zarr", [first])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("task.members=1", "task.members=1: must be 2 or more"),
        ("task.budget=6", "task.budget=6: must be 7 or more: task.start=6"),
        ("task.chosen=13", "task.chosen=13: at most 12: 3 trajectories of 12 steps hold 4"),
        ("task.strategy=greedy", "task.strategy=greedy: must be one of committee, random, fresh"),
        ("protocol.replicas=2", "protocol.replicas=2: task=active runs task.trajectories"),
        ("model=linear", "model.name=linear: a closed form has one solution"),
        ("task.target=0", "task.target=0.0: must be positive"),
        ("task.window_share=0.2", "task.window_share=0.2: must be 0.25 or more"),
        ("task.separation=0", "task.separation=0: must be positive"),
        ("descriptor.cutoff=4", "descriptor.cutoff=4.0: at most half"),
    ],
)
def test_settings_that_cannot_work_are_refused(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        check(compose([*SMALL, override]))


def test_data_that_fill_the_budget_are_refused(finished: Path, tmp_path: Path, capsys) -> None:
    start = final(finished).path
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGSIM_OUTPUTS", str(finished.parent / "outputs"))
        assert main([*SMALL, f"data.path={start}", f"output={tmp_path / 'full'}"]) == 2
    assert "task.budget=13: must be above the 13 labels of data.path" in capsys.readouterr().err


def test_a_warm_start_goes_on_from_the_weights_and_statistics_of_another_model(tmp_path: Path) -> None:
    data = make_synthetic(tmp_path)
    first = fit(tmp_path / "first", data)
    given = [*COMMON, *SHORT, f"data.path={data}", "seed=1", "trainer.lr=1e-12", "trainer.weight_decay=0"]
    cfg = compose(given)
    with open_run(cfg, "train", flat=to_flat(cfg), overrides=given, folder=tmp_path / "second") as run:
        second = train(cfg, run, open_dataset(data), first.path)
    before, after = first.model.state_dict(), second.model.state_dict()
    for name in set(before) - {"energy_shift"}:
        assert np.allclose(before[name], after[name], rtol=1e-4, atol=1e-7), name
