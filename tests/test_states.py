"""Classes of state: what a snapshot is by its torque, and training sets drawn from them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.split import split_dataset, subset
from magsim.datasets.states import groups, state_classes
from magsim.errors import DataError
from magsim.spins import random_spins, transverse


def dataset(sizes: list[float], trajectory: list[int], source: list[int], *sources: str) -> SpinDataset:
    """Snapshots of 16 random spins with a given rms torque per component."""
    rng = np.random.default_rng(0)
    spins, field = random_spins(16, rng, (len(sizes),)), rng.normal(size=(len(sizes), 16, 3))
    rms = np.sqrt(np.mean(transverse(field, spins) ** 2, axis=(1, 2)))
    field *= (np.array(sizes) / rms)[:, None, None]
    own = np.array(trajectory)
    step = np.array([int((own[:k] == t).sum()) for k, t in enumerate(own)])
    return SpinDataset(Path("none"), spins, field, own, step, np.array(source), sources)


QUENCH = [1.1, 0.6, 0.4, 0.1, 0.04, 0.001]
CLASSES = ["early", "early", "late", "late", "ordered", "ordered"]


class TestClasses:
    def test_a_quench_is_told_by_its_torque_relative_to_random_states(self) -> None:
        data = dataset([0.9, 1.1, *QUENCH], [0, 1, *[2] * 6], [0, 0, *[1] * 6], "random", "quench")
        assert state_classes(data).tolist() == ["random", "random", *CLASSES]

    def test_without_random_states_a_quench_is_measured_by_its_own_start(self) -> None:
        data = dataset([x / 1.1 for x in QUENCH], [0] * 6, [0] * 6, "quench")
        assert state_classes(data).tolist() == CLASSES

    def test_replicas_that_start_in_order_do_not_set_the_scale(self) -> None:
        data = dataset([1.0, 0.001, 0.3, 0.001], [0, 1, 0, 1], [0] * 4, "trajectory")
        assert state_classes(data).tolist() == ["early", "ordered", "late", "ordered"]

    def test_independent_snapshots_are_random_unless_their_torque_is_small(self) -> None:
        data = dataset([1.0, 1.1, 0.9, 0.2], [0, 1, 2, 3], [0] * 4, "file")
        assert state_classes(data).tolist() == ["random"] * 3 + ["late"]

    def test_snapshots_without_any_torque_are_ordered(self) -> None:
        data = dataset([1.0, 0.5, 1.0], [0, 0, 0], [0] * 3, "quench")
        data.field[1:] = 0
        assert state_classes(data).tolist() == ["early", "ordered", "ordered"]

    def test_the_published_quench_is_early_then_late(self) -> None:
        """rms torque of two random states, and at steps 0, 5000, 9500, 14000, 20000 and 40000."""
        rms = [0.0676, 0.0696, 0.0711, 0.0712, 0.0355, 0.0224, 0.0161, 0.0156]
        data = dataset(rms, [0, 1, *[2] * 6], [0, 0, *[1] * 6], "random", "quench")
        assert state_classes(data)[2:].tolist() == ["early"] * 3 + ["late"] * 3

    def test_errors_are_quoted_once_where_source_and_class_are_the_same(self) -> None:
        file = dataset([1.0, 1.1, 0.9], [0, 1, 2], [0] * 3, "file")
        assert list(groups(file)) == ["file"]
        both = dataset([0.9, 1.1, *QUENCH], [0, 1, *[2] * 6], [0, 0, *[1] * 6], "random", "quench")
        found = groups(both)
        assert list(found) == ["random", "quench", "early", "late", "ordered"]
        assert (sum(found[name] for name in ("early", "late", "ordered")) == found["quench"]).all()


class TestSubsets:
    def data(self) -> SpinDataset:
        """30 random states and 5 quenches of 6 snapshots."""
        trajectory = [*range(30), *np.repeat(np.arange(30, 35), 6).tolist()]
        return dataset([1.0] * 30 + QUENCH * 5, trajectory, [0] * 30 + [1] * 30, "random", "quench")

    def test_smaller_training_sets_lie_inside_larger_ones(self) -> None:
        data = self.data()
        sets = [set(split_dataset(data, 1, max_snapshots=n).train.tolist()) for n in (3, 8, 20, 35)]
        assert [len(s) for s in sets] == [3, 8, 20, 35]
        assert all(small < large for small, large in pairwise(sets))
        assert sets[2] != set(split_dataset(data, 2, max_snapshots=20).train.tolist())

    def test_what_is_held_out_does_not_depend_on_the_size_of_the_training_set(self) -> None:
        data = self.data()
        whole, small = split_dataset(data, 0), split_dataset(data, 0, max_snapshots=8)
        np.testing.assert_array_equal(whole.test, small.test)
        np.testing.assert_array_equal(whole.validation, small.validation)
        assert set(small.train) < set(whole.train)
        assert split_dataset(data, 0, max_snapshots=10**6).train.tolist() == whole.train.tolist()

    def test_classes_take_turns_until_they_run_out(self) -> None:
        classes = np.array(["random"] * 10 + ["late"] * 2 + ["ordered"] * 10)
        drawn = classes[subset(classes, np.arange(22), 9, seed=0)].tolist()
        assert [drawn.count(name) for name in ("random", "late", "ordered")] == [4, 2, 3]


@pytest.mark.parametrize(("validation", "test"), [(0, 0), (0, 0.2), (0.2, 0)])
def test_a_part_of_fraction_zero_is_empty_and_the_training_part_takes_the_rest(
    validation: float, test: float
) -> None:
    for data in (TestSubsets().data(), dataset([1.0] * 30, [0] * 30, [0] * 30, "quench")):
        split = split_dataset(data, 0, validation, test)
        assert (len(split.validation) > 0, len(split.test) > 0) == (validation > 0, test > 0)
        if not validation and not test:
            assert split.train.tolist() == list(range(len(data)))


def test_too_few_snapshots_are_refused_only_where_something_is_held_out() -> None:
    data = dataset([1.0, 0.9], [0, 1], [0, 0], "random")
    assert len(split_dataset(data, 0, 0, 0).train) == 2
    with pytest.raises(DataError, match="too few to hold out a validation part"):
        split_dataset(data, 0)
