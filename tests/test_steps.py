"""What a step of the training is: balanced batches, energies, averages, 16 bits, several processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from short_training import COMMON, SHORT, fit, make_synthetic, weights

from magsim.errors import ConfigError, RunError
from magsim.learning.data import BalancedShuffle, EpochShuffle, share
from magsim.learning.losses import energy_loss
from magsim.report.torques import torque_errors
from magsim.runs import read_series
from magsim.tasks.cli import main
from magsim.tasks.training import processes

CLASSES = np.array(["random"] * 10 + ["early"] * 3 + ["late"] * 5)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("data"))


class TestBalance:
    def epoch(self, epoch: int, seed: int = 0) -> list[int]:
        shuffle = BalancedShuffle(CLASSES, 6, seed)
        shuffle.set_epoch(epoch)
        return [index for batch, _ in shuffle for index in batch]

    def test_every_batch_draws_the_classes_equally(self) -> None:
        for batch, factor in BalancedShuffle(CLASSES, 6, seed=0):
            names = CLASSES[batch].tolist()
            assert [names.count(name) for name in ("random", "early", "late")] == [2, 2, 2]
            assert factor == 1

    def test_no_snapshot_comes_again_before_all_of_its_class_have_come(self) -> None:
        drawn = self.epoch(0)
        assert len(drawn) == len(CLASSES)
        for name in ("random", "early", "late"):
            members = np.flatnonzero(name == CLASSES)
            times = [drawn.count(k) for k in members]
            assert max(times) - min(times) <= 1
            assert sum(times) == 6

    def test_the_order_depends_on_seed_and_epoch_alone(self) -> None:
        assert self.epoch(3) == self.epoch(3)
        assert self.epoch(3) != self.epoch(4)
        assert self.epoch(3) != self.epoch(3, seed=1)

    def test_an_epoch_of_several_passes_goes_on_where_the_last_one_ended(self) -> None:
        twice = EpochShuffle(11, 4, 0, passes=2)
        twice.set_epoch(1)
        single, passed = EpochShuffle(11, 4, 0), []
        for epoch in (2, 3):
            single.set_epoch(epoch)
            passed += list(single)
        assert list(twice) == passed
        assert len(twice) == len(passed) == 6

    def test_a_resumed_balanced_training_equals_a_longer_one(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
        options = ("trainer.lr_schedule=constant", "trainer.balance=true", "trainer.max_epochs=2")
        fit(tmp_path / "twice", synthetic, *options)
        assert main([f"resume={tmp_path / 'twice'}", "logger=csv", "trainer.max_epochs=4"]) == 0
        fit(tmp_path / "once", synthetic, *options, "trainer.max_epochs=4")
        assert all(torch.equal(a, b) for a, b in both(tmp_path / "twice", tmp_path / "once"))


class TestProcesses:
    @pytest.mark.parametrize(("size", "processes"), [(8, 2), (7, 2), (1, 2), (5, 3)])
    def test_shares_of_a_batch_add_up_to_the_mean_of_the_whole(self, size: int, processes: int) -> None:
        batch = list(range(10, 10 + size))
        parts = [share(batch, rank, processes) for rank in range(processes)]
        assert sorted(i for own, factor in parts if factor for i in own) == batch
        mean = np.mean([factor * np.mean(own) for own, factor in parts])
        assert mean == pytest.approx(np.mean(batch))

    def test_processes_see_the_same_batches(self) -> None:
        whole = [batch for batch, _ in EpochShuffle(11, 4, 0)]
        halves = [[batch for batch, _ in EpochShuffle(11, 4, 0, rank, 2)] for rank in range(2)]
        assert [sorted([*a, *b]) for a, b in zip(*halves, strict=True)] == [sorted(b) for b in whole]

    @pytest.mark.slow
    def test_two_processes_learn_what_one_learns_from_the_same_batches(
        self, tmp_path: Path, synthetic: Path
    ) -> None:
        """Through the command line, with a last batch of one snapshot, which only one of them takes."""
        job = [*COMMON, *SHORT, f"data.path={synthetic}", "compute.precision=float64", "trainer.batch_size=7"]
        for name in ("default", "ddp"):
            assert main([*job, f"trainer={name}", f"output={tmp_path / name}"]) == 0
        one, two = (read_series(tmp_path / name / "metrics.csv") for name in ("default", "ddp"))
        assert one.keys() == two.keys()
        for name, (steps, values) in one.items():
            assert two[name][0] == steps
            rtol = 1e-1 if name == "train/loss" else 1e-9  # mean over processes, not over snapshots
            np.testing.assert_allclose(two[name][1], values, rtol=rtol, err_msg=name)
        for first, second in both(tmp_path / "default", tmp_path / "ddp"):
            torch.testing.assert_close(first, second, rtol=1e-7, atol=1e-10)

    @pytest.mark.slow
    def test_a_process_that_does_not_start_ends_the_training_with_a_sentence(
        self, tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "_accompany", exit_at_once)
        with pytest.raises(RunError, match="Process 1 of the training did not start"):
            fit(tmp_path / "run", synthetic, "trainer.devices=2")


def exit_at_once(*args: object) -> None:
    raise SystemExit(3)


class TestEnergy:
    def test_the_energy_loss_compares_differences_within_a_batch(self) -> None:
        exact = torch.tensor([1.0, 2.0, 4.0])
        assert float(energy_loss(exact + 100, exact, 2.0)) == pytest.approx(0, abs=1e-9)
        spread = float(exact.std())
        assert float(energy_loss(torch.zeros(3), exact, spread)) == pytest.approx(1.0)
        assert float(energy_loss(exact[:1] + 1, exact[:1], 2.0)) == 0

    def test_energies_are_learned_from_energies_where_fields_are_noise(
        self, tmp_path: Path, synthetic: Path
    ) -> None:
        with np.load(synthetic) as file:
            arrays = dict(file)
        arrays["field"] = np.random.default_rng(7).normal(size=arrays["field"].shape)
        np.savez(tmp_path / "noise.npz", **arrays)
        errors = []
        for weight in (0.0, 100.0):
            options = ("trainer.max_epochs=12", "trainer.lr=1e-2", "trainer.ema=0.8")
            trained = fit(
                tmp_path / str(weight),
                tmp_path / "noise.npz",
                f"trainer.energy_weight={weight}",
                "trainer.validation_fraction=0",
                *options,
            )
            index, energy = trained.split.test, trained.dataset.energy
            assert energy is not None
            predicted = trained.model(torch.tensor(trained.dataset.spins[index]).float())[0].detach().numpy()
            errors.append(float(np.std(predicted - energy[index]) / np.std(energy[index])))
        assert errors[0] > 0.8
        assert errors[1] < 0.4

    def test_data_without_energies_are_refused(self, tmp_path: Path, synthetic: Path) -> None:
        with np.load(synthetic) as file:
            arrays = {name: file[name] for name in file.files if name != "energy"}
        np.savez(tmp_path / "bare.npz", **arrays)
        with pytest.raises(ConfigError, match=r"energy_weight=0\.1.*hold no energies: must be 0"):
            fit(tmp_path / "run", tmp_path / "bare.npz", "trainer.energy_weight=0.1")


class TestAverages:
    def test_swa_is_the_mean_of_the_weights_after_its_start(self, tmp_path: Path, synthetic: Path) -> None:
        nothing = ("trainer.validation_fraction=0", "trainer.test_fraction=0", "trainer.batch_size=48")
        constant = (*nothing, "trainer.lr_schedule=constant")  # one step an epoch, all alike
        own = []
        for epochs in range(1, 5):
            folder = tmp_path / f"own{epochs}"
            fit(folder, synthetic, *constant, f"trainer.max_epochs={epochs}", "trainer.average=none")
            own.append(weights(folder)["network.0.weight"])
        swa = ("trainer.average=swa", "trainer.swa_start=0.25", "trainer.max_epochs=4")
        fit(tmp_path / "swa", synthetic, *constant, *swa)
        mean = torch.stack(own[1:]).mean(0)
        torch.testing.assert_close(weights(tmp_path / "swa")["network.0.weight"], mean, rtol=1e-5, atol=1e-7)
        assert float((mean - own[-1]).abs().max()) > 1e-4


class TestPrecision:
    @pytest.mark.parametrize("kind", [("model=bp",), ("model=equivariant", "model.layers=1")])
    def test_steps_in_16_bits_learn_as_well(
        self, tmp_path: Path, synthetic: Path, kind: tuple[str, ...]
    ) -> None:
        """The field is the gradient of an energy whose products are rounded to 8 bits."""
        found = []
        for precision in ("32", "bf16-mixed"):
            folder = tmp_path / precision
            options = (*kind, "trainer.max_epochs=8", "trainer.lr=1e-2", "trainer.ema=0.8")
            trained = fit(folder, synthetic, *options, f"trainer.precision={precision}")
            assert trained.model.energy_scale.dtype == torch.float32
            found.append(read_series(folder / "metrics.csv")["val/torque_error"][1][-1])
        assert found[0] != found[1]
        assert found[1] < 1.1 * found[0] < 0.5


def test_parity_figures_show_the_torques_behind_the_validation_error(
    tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, float] = {}

    def figure(path: Path, panels: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
        ((title, pair),) = panels.items()
        shown[title] = torque_errors(*pair)[2]
        return path

    monkeypatch.setattr("magsim.report.figures.torque_parity", figure)
    fit(tmp_path / "run", synthetic, "trainer.parity_every=2", "trainer.max_epochs=5")
    errors = read_series(tmp_path / "run" / "metrics.csv")["val/torque_error"][1]
    assert list(shown) == ["validation, epoch 2", "validation, epoch 4"]
    np.testing.assert_allclose(list(shown.values()), [errors[1], errors[3]], rtol=1e-5)


def test_errors_are_reported_per_class_of_state_in_validation_and_test(
    tmp_path: Path, synthetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trajectories whose torque falls to a third of that of random states, then to a hundredth."""
    with np.load(synthetic) as file:
        arrays = dict(file)
    arrays["field"] *= np.array([1.0, 1 / 3, 0.01])[arrays["step"]][:, None, None]
    np.savez(tmp_path / "falling.npz", **arrays)
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    folder = tmp_path / "run"
    job = [*COMMON, *SHORT, f"data.path={tmp_path / 'falling.npz'}", "trainer.max_epochs=1"]
    assert main([*job, "compute.cost_seconds=0", f"output={folder}"]) == 0
    series = read_series(folder / "metrics.csv")
    found = json.loads((folder / "metrics.json").read_text())
    rms = found["test/early/torque_rms"]
    for name, size in {"early": 1.0, "late": 1 / 3, "ordered": 0.01}.items():
        assert np.isfinite(series[f"val/torque_error/{name}"][1]).all()
        assert found[f"test/{name}/torque_rms"] == pytest.approx(size * rms, rel=0.2)
    assert series["val/torque_error"] == series["val/torque_error/file"]


def both(a: Path, b: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The same weights of two runs."""
    first, second = weights(a), weights(b)
    return [(first[name], second[name]) for name in first]
