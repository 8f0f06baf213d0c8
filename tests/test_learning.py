"""What is learned, when training ends, what is repeated bit by bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_training import COMMON, SHORT, assert_equal_weights, error, fit, make_synthetic, weights

from magsim.errors import ConfigError, RunError
from magsim.learning.checkpoint import load_checkpoint, load_model
from magsim.learning.metrics import torque_metrics
from magsim.runs import read_series
from magsim.tasks.cli import main
from magsim.tasks.training import fitting

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("data"))


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
        """The stored weights have the smallest of the logged validation errors, averaged or not."""
        options = ("trainer.ema=0.8", "trainer.swa_start=0.5", "trainer.max_epochs=6", "trainer.lr=2e-2")
        for average in ("none", "ema", "swa"):
            folder = tmp_path / average
            trained = fit(folder, synthetic, f"trainer.average={average}", *options)
            index = trained.split.validation
            spins, field = trained.dataset.spins[index], trained.dataset.field[index]
            predicted = trained.model(torch.tensor(spins).float())[1].detach().double().numpy()
            best = min(read_series(folder / "metrics.csv")["val/torque_error"][1])
            assert torque_metrics(field, predicted, spins)["torque_error"] == pytest.approx(best, rel=1e-5)
        for first, second in (("none", "ema"), ("none", "swa"), ("ema", "swa")):
            pair = [weights(tmp_path / average)["network.0.weight"] for average in (first, second)]
            assert not torch.equal(*pair)

    def test_a_final_fit_on_everything_keeps_the_last_averaged_weights(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch, capsys
    ) -> None:
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
        folder, nothing = (
            tmp_path / "run",
            ("trainer.validation_fraction=0", "trainer.test_fraction=0"),
        )
        job = [*COMMON, *SHORT, *nothing, f"data.path={synthetic}", "trainer.max_epochs=2"]
        assert main([*job, f"output={folder}"]) == 0
        assert "nothing was held out" in capsys.readouterr().out
        found = json.loads((folder / "metrics.json").read_text())
        assert found["train/snapshots"] == 48
        assert not [name for name in found if name.startswith("test/")]
        assert "no test errors" in (folder / "report.html").read_text()
        assert not [name for name in read_series(folder / "metrics.csv") if name.startswith("val/")]
        stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        name = "network.0.weight"
        assert torch.equal(weights(folder)[name], stored["state_dict"][f"model.{name}"])
        assert not torch.equal(weights(folder)[name], stored["current_model_state"][f"model.{name}"])

    def test_a_training_begins_with_the_weights_of_another_one(self, tmp_path: Path, synthetic: Path) -> None:
        options = ("trainer.max_epochs=15", "trainer.lr=1e-2", "trainer.average=none")
        first = fit(tmp_path / "first", synthetic, *options)
        start = f"trainer.start={tmp_path / 'first'}"
        still = ("trainer.max_epochs=1", "trainer.lr=1e-12", "trainer.average=none")
        again = fit(tmp_path / "again", synthetic, start, *still)
        assert error(again) == pytest.approx(error(first), rel=1e-5)
        assert error(fit(tmp_path / "random", synthetic, *still)) > 1.05 * error(first)
        with pytest.raises(ConfigError, match=r"trainer\.start=.*cannot be continued by this model"):
            fit(tmp_path / "wider", synthetic, start, "model.hidden=[7]")

    def test_what_the_first_training_has_seen_is_not_held_out_from_the_second(
        self, tmp_path: Path, synthetic: Path
    ) -> None:
        fit(tmp_path / "first", synthetic, "trainer.max_epochs=1")
        start = f"trainer.start={tmp_path / 'first'}"
        with pytest.raises(ConfigError, match=r"trainer\.start=.*has learned from \d+ of the snapshots"):
            fit(tmp_path / "second", synthetic, start, "trainer.split_seed=5")

    def test_the_closed_form_is_solved_without_validation_too(self, tmp_path: Path, synthetic: Path) -> None:
        nothing = ("trainer.validation_fraction=0", "trainer.test_fraction=0")
        trained = fit(tmp_path / "run", synthetic, "model=linear", *nothing)
        spins, field = trained.dataset.spins, trained.dataset.field
        predicted = trained.model(torch.tensor(spins).float())[1].detach().double().numpy()
        assert torque_metrics(field, predicted, spins)["torque_error"] < 0.01

    def test_the_statistics_come_from_the_training_part_alone(self, tmp_path: Path, synthetic: Path) -> None:
        trained = fit(tmp_path / "run", synthetic, "trainer.max_epochs=1", "compute.precision=float64")
        index = trained.split.train
        spins, field = torch.tensor(trained.dataset.spins[index]), torch.tensor(trained.dataset.field[index])
        fresh = load_model(trained.path)
        fresh.fit_statistics(spins, field)
        for name in ("mean", "scale", "energy_scale"):
            torch.testing.assert_close(weights(tmp_path / "run")[name], getattr(fresh, name))

    @pytest.mark.parametrize("average", ["none", "ema"])
    def test_early_stopping_ends_a_training_that_no_longer_improves(
        self, tmp_path: Path, synthetic: Path, average: str
    ) -> None:
        fit(
            tmp_path / "run",
            synthetic,
            "trainer.max_epochs=50",
            "trainer.patience=2",
            "trainer.lr=1e-12",
            f"trainer.average={average}",
        )
        assert 2 <= len(read_series(tmp_path / "run" / "metrics.csv")["val/loss"][0]) < 10

    def test_a_time_budget_shortens_the_training_and_its_schedule(
        self, tmp_path: Path, synthetic: Path, capsys
    ) -> None:
        fit(tmp_path / "run", synthetic, "trainer.max_epochs=9000", "trainer.max_minutes=0.06")
        assert "fit into trainer.max_minutes=0.06" in capsys.readouterr().out
        rates = read_series(tmp_path / "run" / "metrics.csv")["train/lr"][1]
        assert len(rates) < 4500
        assert rates[-1] < 0.2 * max(rates)  # the cosine came down

    def test_a_diverging_training_stops_with_a_sentence_and_keeps_earlier_weights(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = fitting.ForceFieldModule.training_step

        def explodes(self: Any, batch: Any, index: int) -> torch.Tensor:
            loss = original(self, batch, index)
            return loss * float("nan") if self.current_epoch == 2 else loss

        monkeypatch.setattr(fitting.ForceFieldModule, "training_step", explodes)
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
        assert not (killed / "model.safetensors").exists()

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


def _epochs(folder: Path) -> int:
    """Epochs that a run has finished and saved."""
    try:
        if not (folder / "checkpoints" / "last.ckpt").exists():
            return 0
        return len(read_series(folder / "metrics.csv")["val/torque_error"][0])
    except (OSError, KeyError, StopIteration):
        return 0
