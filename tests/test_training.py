"""task=train and task=evaluate: what is learned, what is held out, what is repeated bit by bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import magsim
from magsim.config import compose, to_flat
from magsim.errors import RunError
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import load_checkpoint, load_model
from magsim.learning.data import EpochShuffle, SpinDataModule
from magsim.learning.losses import field_loss, snapshot_weights
from magsim.learning.metrics import energy_metrics, torque_metrics
from magsim.learning.module import Optimisation
from magsim.learning.split import split_dataset
from magsim.learning.store import open_dataset
from magsim.runs import open_run, read_series
from magsim.spins import random_spins, transverse
from magsim.tasks import train as training
from magsim.tasks.cli import main

ROOT = Path(__file__).resolve().parents[1]
LATTICE = make_lattice("triangular", (6, 6))
COMMON = ("task=train", "logger=csv", "compute=cpu", "lattice.shape=[6,6]")
SHORT = (
    "descriptor.cutoff=1.0",
    "descriptor.references=2",
    "trainer.max_epochs=4",
    "trainer.max_minutes=null",
)
LABELS = (
    "sampler.random.count=8",
    "sampler.quench.trajectories=4",
    "sampler.quench.steps=6",
    "sampler.quench.record_every=2",
)


def bilinear_biquadratic(spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``E = sum_<ij> [S_i.S_j + 0.5 (S_i.S_j)^2]``: four-spin terms that a power spectrum holds exactly."""
    shell = LATTICE.shells(1)[0]
    s = torch.tensor(spins, requires_grad=True)
    bond = (s[:, shell.i] * s[:, shell.j]).sum(-1)
    energy = 0.5 * (bond + 0.5 * bond**2).sum(-1)
    (gradient,) = torch.autograd.grad(energy.sum(), s)
    return energy.detach().numpy(), -gradient.numpy()


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 random snapshots in 16 trajectories."""
    path = tmp_path_factory.mktemp("data") / "synthetic.npz"
    spins = random_spins(36, np.random.default_rng(0), (48,))
    energy, field = bilinear_biquadratic(spins)
    np.savez(
        path,
        spins=spins,
        field=field,
        energy=energy,
        shape=np.array([6, 6]),
        trajectory=np.repeat(np.arange(16), 3),
        step=np.tile(np.arange(3), 16),
    )
    return path


def fit(folder: Path, data: Path, *overrides: str) -> training.Trained:
    """Training alone, without figures and report."""
    given = [*COMMON, *SHORT, f"data.path={data}", *overrides]
    cfg = compose(given)
    with open_run(cfg, "train", flat=to_flat(cfg), overrides=given, folder=folder) as run:
        return training.train(cfg, run, open_dataset(data))


def error(trained: training.Trained) -> float:
    """Transverse rmse over rms on the held-out trajectories."""
    index = trained.split.test
    spins, field = trained.dataset.spins[index], trained.dataset.field[index]
    predicted = trained.model(torch.tensor(spins).to(trained.model.mean))[1]
    return torque_metrics(field, predicted.detach().double().numpy(), spins)["torque_error"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "model.ckpt")[0]


def assert_equal_weights(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


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
            "model.ckpt",
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


class TestLearning:
    def test_the_closed_form_recovers_four_spin_terms(self, tmp_path: Path, synthetic: Path) -> None:
        trained = fit(
            tmp_path / "run", synthetic, "model=linear", "model.ridge=1e-12", "compute.precision=float64"
        )
        assert error(trained) < 1e-5
        # what the series says is the error of the solution, not of the weights before it
        assert read_series(tmp_path / "run" / "metrics.csv")["val/torque_error"][1][-1] < 1e-5
        index = trained.split.test
        energy = trained.model(torch.tensor(trained.dataset.spins[index]))[0].detach().numpy()
        assert trained.dataset.energy is not None
        np.testing.assert_allclose(energy, trained.dataset.energy[index], atol=1e-3)

    def test_the_closed_form_in_single_precision_with_its_default_ridge(
        self, tmp_path: Path, synthetic: Path
    ) -> None:
        assert error(fit(tmp_path / "run", synthetic, "model=linear")) < 0.01

    def test_the_network_learns_most_of_the_torque(self, tmp_path: Path, synthetic: Path) -> None:
        trained = fit(
            tmp_path / "run", synthetic, "trainer.max_epochs=40", "trainer.lr=1e-2", "trainer.ema=0.9"
        )
        assert error(trained) < 0.1
        series = read_series(tmp_path / "run" / "metrics.csv")
        assert min(series["val/torque_error"][1]) < 0.1 < 0.8 < series["val/torque_error"][1][0]

    def test_the_best_epoch_is_kept_with_its_averaged_weights(self, tmp_path: Path, synthetic: Path) -> None:
        """The stored weights have the smallest of the logged validation errors, EMA or not."""
        for ema in ("null", "0.8"):
            folder = tmp_path / ema
            trained = fit(folder, synthetic, f"trainer.ema={ema}", "trainer.max_epochs=6", "trainer.lr=2e-2")
            index = trained.split.validation
            spins, field = trained.dataset.spins[index], trained.dataset.field[index]
            predicted = trained.model(torch.tensor(spins).float())[1].detach().double().numpy()
            best = min(read_series(folder / "metrics.csv")["val/torque_error"][1])
            assert torque_metrics(field, predicted, spins)["torque_error"] == pytest.approx(best, rel=1e-5)
        assert not torch.equal(
            weights(tmp_path / "null")["network.0.weight"], weights(tmp_path / "0.8")["network.0.weight"]
        )

    def test_the_statistics_come_from_the_training_part_alone(self, tmp_path: Path, synthetic: Path) -> None:
        trained = fit(tmp_path / "run", synthetic, "trainer.max_epochs=1", "compute.precision=float64")
        index = trained.split.train
        spins, field = torch.tensor(trained.dataset.spins[index]), torch.tensor(trained.dataset.field[index])
        fresh = load_model(trained.path)
        fresh.fit_statistics(spins, field)
        for name in ("mean", "scale", "energy_scale"):
            torch.testing.assert_close(weights(tmp_path / "run")[name], getattr(fresh, name))

    def test_early_stopping_ends_a_training_that_no_longer_improves(
        self, tmp_path: Path, synthetic: Path
    ) -> None:
        fit(
            tmp_path / "run",
            synthetic,
            "trainer.max_epochs=50",
            "trainer.patience=2",
            "trainer.lr=1e-12",
            "trainer.ema=null",
        )
        assert 2 <= len(read_series(tmp_path / "run" / "metrics.csv")["val/loss"][0]) < 10

    def test_a_time_budget_shortens_the_training_and_its_schedule(
        self, tmp_path: Path, synthetic: Path, capsys
    ) -> None:
        fit(tmp_path / "run", synthetic, "trainer.max_epochs=2000", "trainer.max_minutes=0.02")
        assert "fit into trainer.max_minutes=0.02" in capsys.readouterr().out
        rates = read_series(tmp_path / "run" / "metrics.csv")["train/lr"][1]
        assert len(rates) < 500
        assert rates[-1] < 0.2 * max(rates)  # the cosine came down

    def test_a_diverging_training_stops_with_a_sentence_and_keeps_earlier_weights(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = training.ForceFieldModule.training_step

        def explodes(self: Any, batch: Any, index: int) -> torch.Tensor:
            loss = original(self, batch, index)
            return loss * float("nan") if self.current_epoch == 2 else loss

        monkeypatch.setattr(training.ForceFieldModule, "training_step", explodes)
        with pytest.raises(RunError, match="diverged in epoch 3"):
            fit(tmp_path / "run", synthetic)
        assert json.loads((tmp_path / "run" / "status.json").read_text())["status"] == "failed"
        kept = load_model(tmp_path / "run")  # checkpoints/best.ckpt
        assert all(torch.isfinite(p).all() for p in kept.parameters())


class TestRepeatability:
    LONG = ("trainer.max_epochs=40", "trainer.lr=5e-3")

    def test_equal_seeds_give_equal_weights_and_another_seed_does_not(
        self, tmp_path: Path, synthetic: Path
    ) -> None:
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            fit(tmp_path / name, synthetic, f"seed={seed}")
        assert_equal_weights(tmp_path / "a", tmp_path / "b")
        assert not torch.equal(
            weights(tmp_path / "a")["network.0.weight"], weights(tmp_path / "c")["network.0.weight"]
        )

    def test_a_killed_training_resumes_to_the_weights_of_an_uninterrupted_one(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch, capsys
    ) -> None:
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
        killed = tmp_path / "killed"
        job = [*COMMON, *SHORT, *self.LONG, f"data.path={synthetic}"]
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *job, f"output={killed}"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 120
        while _epochs(killed) < 8 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, "the training ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert 8 <= _epochs(killed) < 40
        assert not (killed / "model.ckpt").exists()

        assert main([f"resume={killed}", "logger=csv"]) == 0
        assert "continuing from" in capsys.readouterr().out
        fit(tmp_path / "whole", synthetic, *self.LONG)
        assert_equal_weights(killed, tmp_path / "whole")
        again = read_series(tmp_path / "whole" / "metrics.csv")
        for name, (steps, values) in read_series(killed / "metrics.csv").items():
            # a kill between checkpoint and row may cost one row of the training loss
            assert len(again[name][0]) - len(steps) <= name.startswith("train/"), name
            expected = dict(zip(*again[name], strict=True))
            np.testing.assert_array_equal(values, [expected[step] for step in steps], err_msg=name)

    def test_a_training_that_is_extended_equals_a_longer_one(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """n + n = 2n, with a learning rate that does not know where the end is."""
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
        fit(tmp_path / "twice", synthetic, "trainer.lr_schedule=constant")
        assert main([f"resume={tmp_path / 'twice'}", "logger=csv", "trainer.max_epochs=8"]) == 0
        fit(tmp_path / "once", synthetic, "trainer.lr_schedule=constant", "trainer.max_epochs=8")
        assert_equal_weights(tmp_path / "twice", tmp_path / "once")
        assert load_checkpoint(tmp_path / "twice")[1]["epochs"] == 8

    def test_a_finished_training_is_not_repeated(self, finished: Path, monkeypatch, capsys) -> None:
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(finished.parents[2]))
        before = (finished / "model.ckpt").read_bytes()
        assert main([f"resume={finished}", "logger=csv"]) == 0
        assert "training is not repeated" in capsys.readouterr().out
        assert (finished / "model.ckpt").read_bytes() == before


def _epochs(folder: Path) -> int:
    """Epochs that a run has finished and saved."""
    try:
        if not (folder / "checkpoints" / "last.ckpt").exists():
            return 0
        return len(read_series(folder / "metrics.csv")["val/torque_error"][0])
    except (OSError, KeyError, StopIteration):
        return 0


class TestData:
    def module(self, synthetic: Path, seed: int = 0, **options: Any) -> SpinDataModule:
        dataset = open_dataset(synthetic)
        defaults = {"batch_size": 4, "seed": seed, "floor": 0.5, "dtype": torch.float64}
        return SpinDataModule(dataset, split_dataset(dataset, seed), **(defaults | options))

    def test_no_trajectory_is_in_two_parts(self, synthetic: Path) -> None:
        dataset = open_dataset(synthetic)
        for seed in range(5):
            split = split_dataset(dataset, seed)
            parts = [
                set(dataset.trajectory[index].tolist())
                for index in (split.train, split.validation, split.test)
            ]
            assert len(set().union(*parts)) == sum(len(part) for part in parts) == 16
            assert min(len(part) for part in parts) >= 1

    def test_an_epoch_visits_every_snapshot_once_in_an_order_of_its_own(self, synthetic: Path) -> None:
        loader = self.module(synthetic).train_dataloader()
        size = len(loader.dataset)  # type: ignore[arg-type]
        orders = []
        for epoch in (0, 1, 0):
            loader.sampler.set_epoch(epoch)
            batches = [batch["field"] for batch in loader]
            assert {len(b) for b in batches[:-1]} == {4}
            orders.append(torch.cat(batches))
            assert len(orders[-1]) == size
        assert torch.equal(orders[0], orders[2])
        assert not torch.equal(orders[0], orders[1])
        assert orders[0].sum() == pytest.approx(float(orders[1].sum()))

    def test_the_shuffle_depends_on_the_seed(self) -> None:
        first, second = ([i for batch in EpochShuffle(20, 6, seed) for i in batch] for seed in (0, 1))
        assert sorted(first) == sorted(second) == list(range(20))
        assert first != second

    def test_validation_is_not_shuffled(self, synthetic: Path) -> None:
        module = self.module(synthetic)
        dataset = open_dataset(synthetic)
        seen = torch.cat([batch["spins"] for batch in module.val_dataloader()])
        np.testing.assert_array_equal(seen.numpy(), dataset.spins[split_dataset(dataset, 0).validation])


class TestLosses:
    rng = np.random.default_rng(0)
    spins = torch.tensor(random_spins(10, rng, (4,)))
    field = torch.tensor(rng.normal(size=(4, 10, 3)))

    def test_the_torque_loss_ignores_what_lies_along_the_spins(self) -> None:
        along = self.field + 3.0 * self.spins
        one = torch.ones(4, dtype=torch.float64)
        assert float(field_loss(along, self.field, self.spins, one, 1.0)) == pytest.approx(0, abs=1e-20)
        assert float(field_loss(along, self.field, self.spins, one, 0.9)) == pytest.approx(0.1 * 9 / 3)

    def test_the_torque_loss_is_the_mean_square_of_the_cross_product(self) -> None:
        zero, one = torch.zeros_like(self.field), torch.ones(4, dtype=torch.float64)
        loss = field_loss(zero, self.field, self.spins, one, 1.0)
        assert float(loss) == pytest.approx(float(torch.linalg.cross(self.spins, self.field).pow(2).mean()))

    def test_relative_weights_level_snapshots_down_to_the_floor(self) -> None:
        sizes = torch.tensor([1.0, 1.0, 0.1, 1e-6], dtype=torch.float64)
        rms = transverse(self.field, self.spins).pow(2).mean(dim=(1, 2)).sqrt()
        field = self.field * (sizes / rms)[:, None, None]
        weights = snapshot_weights(field, self.spins, 0.1)
        overall = float((sizes**2).mean())
        np.testing.assert_allclose(weights, 1 / (sizes**2 + 0.01 * overall), rtol=1e-10)
        equal = snapshot_weights(field, self.spins, None)
        np.testing.assert_allclose(equal, 1 / overall, rtol=1e-10)

    def test_metrics_of_a_scaled_and_shifted_prediction(self) -> None:
        field, spins = self.field.numpy(), self.spins.numpy()
        found = torque_metrics(field, 0.7 * field + 5 * spins, spins)
        assert found["torque_error"] == pytest.approx(0.3)
        assert found["torque_r2"] == pytest.approx(1 - 0.09)
        rms = np.sqrt(np.mean(np.cross(spins, field) ** 2))
        assert found["torque_rms"] == pytest.approx(rms)
        energy = np.array([1.0, 2.0, 4.0])
        found = energy_metrics(energy, energy + 10, 10)
        assert found["energy_rmse"] == pytest.approx(1.0)
        assert found["energy_rmse_centred"] == pytest.approx(0, abs=1e-12)
        assert found["energy_std"] == pytest.approx(np.std(energy) / 10)

    def test_the_schedule_warms_up_and_ends_at_zero(self) -> None:
        cosine = Optimisation(warmup=10, total_steps=100)
        assert cosine.factor(0) == pytest.approx(0.1)
        assert cosine.factor(50) == pytest.approx(0.5)
        assert cosine.factor(100) == pytest.approx(0.0)
        constant = Optimisation(schedule="constant", warmup=10, total_steps=100)
        assert [constant.factor(k) for k in (4, 9, 500)] == [0.5, 1.0, 1.0]


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
