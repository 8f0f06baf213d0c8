"""What the training minimises, and the batches it sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_training import make_synthetic

from magsim.datasets.split import split_dataset
from magsim.datasets.store import open_dataset
from magsim.learning.data import EpochShuffle, SpinDataModule
from magsim.learning.losses import field_loss, snapshot_weights
from magsim.learning.metrics import energy_metrics, torque_metrics
from magsim.learning.module import Optimisation
from magsim.spins import random_spins, transverse


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("data"))


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
        first, second = ([i for batch, _ in EpochShuffle(20, 6, seed) for i in batch] for seed in (0, 1))
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
