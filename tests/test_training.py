"""task=train and task=evaluate: what they leave, and on what they test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_training import COMMON, SHORT, make_synthetic

import magsim
from magsim.datasets.split import split_dataset
from magsim.datasets.store import open_dataset
from magsim.learning.checkpoint import load_checkpoint
from magsim.runs import read_series
from magsim.spins import random_spins, transverse
from magsim.tasks.cli import main

LABELS = (
    "sampler.random.count=8",
    "sampler.quench.trajectories=4",
    "sampler.quench.steps=6",
    "sampler.quench.record_every=2",
)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a training on labels that it made itself, through the command line."""
    outputs = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGSIM_OUTPUTS", str(outputs))
        assert main([*COMMON, *SHORT, *LABELS, "seed=2"]) == 0
    (folder,) = (outputs / "train" / "default").iterdir()
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def latest(outputs: Path, task: str) -> Path:
    return max((outputs / task / "default").iterdir(), key=lambda path: path.stat().st_mtime)


class TestTrainTask:
    def test_the_run_folder_holds_what_a_reader_needs(self, finished: Path) -> None:
        files = {path.name for path in finished.iterdir()}
        assert files >= {
            "config.yaml",
            "overrides.yaml",
            "provenance.json",
            "status.json",
            "metrics.json",
            "metrics.csv",
            "model.safetensors",
            "training.png",
            "torque_parity.png",
            "report.html",
            "checkpoints",
        }
        assert json.loads((finished / "status.json").read_text())["status"] == "done"

    def test_errors_are_reported_per_source_beside_the_rms_torque(self, finished: Path) -> None:
        found = metrics(finished)
        for source in ("random", "quench", "all"):
            rmse, rms = (found[f"test/{source}/torque_{name}"] for name in ("rmse", "rms"))
            assert found[f"test/{source}/torque_error"] == pytest.approx(rmse / rms)
            assert found[f"test/{source}/energy_std"] >= 0
        assert found["train/weights"] > found["train/invariants"] > 10
        assert found["train/model_hash"] == load_checkpoint(finished)[1]["hash"]
        assert min(found[key] for key in ("train/snapshots", "train/seconds", "cost/us_per_site")) > 0

    def test_there_is_one_row_of_losses_and_errors_for_each_epoch(self, finished: Path) -> None:
        series = read_series(finished / "metrics.csv")
        for name in ("train/loss", "val/loss", "val/torque_error", "val/torque_error/quench"):
            steps, values = series[name]
            assert len(steps) == 4
            assert np.isfinite(values).all()
        mean = np.mean([series[f"val/torque_error/{s}"][1] for s in ("random", "quench")], axis=0)
        np.testing.assert_allclose(series["val/torque_error"][1], mean, rtol=1e-6)

    def test_the_checkpoint_names_its_dataset_and_split(self, finished: Path) -> None:
        facts = load_checkpoint(finished)[1]
        outputs = finished.parents[2]
        (path,) = (p for p in (outputs / "datasets").iterdir() if not p.name.startswith("."))
        assert facts["dataset"] == open_dataset(path).content_hash
        assert facts["split"]["seed"] == 2
        parents = json.loads((finished / "provenance.json").read_text())["parents"]
        assert facts["dataset"] in json.dumps(parents)

    def test_the_trained_field_is_callable_on_another_size(self, finished: Path) -> None:
        field = magsim.load_field(finished, shape=(8, 6))
        spins = random_spins(48, np.random.default_rng(0), (2,))
        energy, force = field(spins)
        assert (energy.shape, force.shape) == ((2,), (2, 48, 3))
        np.testing.assert_allclose((force * spins).sum(-1), 0, atol=1e-6)

    def test_a_finished_training_is_not_repeated(self, finished: Path, monkeypatch, capsys) -> None:
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(finished.parents[2]))
        before = (finished / "model.safetensors").read_bytes()
        assert main([f"resume={finished}", "logger=csv"]) == 0
        assert "training is not repeated" in capsys.readouterr().out
        assert (finished / "model.safetensors").read_bytes() == before


class TestEvaluateTask:
    def evaluate(self, finished: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Any]:
        outputs = finished.parents[2]
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(outputs))
        job = ["task=evaluate", "logger=csv", "compute=cpu", "lattice.shape=[6,6]", f"checkpoint={finished}"]
        assert main([*job, *more]) == 0
        return metrics(latest(outputs, "evaluate"))

    def test_the_own_test_part_gives_the_errors_of_the_training(
        self, finished: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also with another seed: the split is the one that the model was trained with."""
        (data,) = (p for p in (finished.parents[2] / "datasets").iterdir() if not p.name.startswith("."))
        again = self.evaluate(finished, monkeypatch, f"data.path={data}", "seed=0")
        trained = metrics(finished)
        keys = [key for key in trained if key.startswith("test/")]
        assert len(keys) >= 9
        for key in keys:
            assert again[key] == pytest.approx(trained[key], rel=1e-6), key

    def test_all_of_a_foreign_file_is_used(
        self, finished: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch, capsys
    ) -> None:
        found = self.evaluate(finished, monkeypatch, f"data.path={synthetic}")
        assert "48 snapshots of a dataset that the model was not trained on" in capsys.readouterr().out
        dataset = open_dataset(synthetic)
        rms = np.sqrt(np.mean(transverse(dataset.field, dataset.spins) ** 2))
        assert found["test/file/torque_rms"] == pytest.approx(rms)

    def test_snapshots_that_the_model_learned_from_are_left_out_of_a_larger_file(
        self, finished: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
    ) -> None:
        (path,) = (p for p in (finished.parents[2] / "datasets").iterdir() if not p.name.startswith("."))
        own, other = open_dataset(path), open_dataset(synthetic)
        held_out = len(split_dataset(own, **load_checkpoint(finished)[1]["split"]).test)
        arrays = {
            name: np.concatenate([getattr(own, name), getattr(other, name)]) for name in ("spins", "field")
        }
        np.savez(tmp_path / "both.npz", **arrays, shape=np.array([6, 6]))
        self.evaluate(finished, monkeypatch, f"data.path={tmp_path / 'both.npz'}")
        assert f"{48 + held_out} snapshots of a dataset" in capsys.readouterr().out

    def test_data_on_another_lattice_are_refused(
        self, finished: Path, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch, capsys
    ) -> None:
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
        job = ["task=evaluate", "logger=csv", f"checkpoint={finished}", f"data.path={synthetic}"]
        assert main([*job, "lattice=square", "lattice.shape=[6,6]"]) == 2
        assert "trained on lattice triangular" in capsys.readouterr().err


def double_exchange_quench(path: Path) -> None:
    """A short exact quench of the double-exchange model on 6x6, in the layout of the published files."""
    outcome = main(
        [
            "task=label",
            "logger=csv",
            "compute=cpu",
            "lattice=square",
            "lattice.shape=[6,6]",
            "hamiltonian=double_exchange",
            "hamiltonian.filling=0.4861111111111111",
            "sampler=quench",
            "sampler.trajectories=1",
            "sampler.steps=40",
            "sampler.record_every=1",
            "sampler.dt=0.5",
            f"output={path.with_suffix('.zarr')}",
        ]
    )
    assert outcome == 0
    dataset = open_dataset(path.with_suffix(".zarr"))
    np.savez(
        path,
        spins=dataset.spins,
        field=dataset.field,
        density=dataset.density,
        step=dataset.step,
        shape=np.array([6, 6]),
    )


@pytest.mark.slow
def test_a_single_published_quench_is_trained_on_with_a_held_out_block_of_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    double_exchange_quench(tmp_path / "quench.npz")
    job: Sequence[str] = (
        "experiment=double_exchange_published",
        "logger=csv",
        "compute=cpu",
        f"data.path={tmp_path / 'quench.npz'}",
        "trainer.max_epochs=6",
        "trainer.max_minutes=null",
    )
    assert main(job) == 0
    said = capsys.readouterr().out
    assert "held out by contiguous blocks of steps" in said
    assert "lattice square [6, 6]: the size of the data" in said
    (folder,) = (tmp_path / "train" / "double_exchange_published").iterdir()
    found = metrics(folder)
    assert 0 < found["test/quench/torque_error"] < 1.0
    assert found["test/quench/torque_rms"] > 0
