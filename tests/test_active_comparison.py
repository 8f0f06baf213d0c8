"""Strategies of active learning compared: labels that each needs for the same error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magsim.config import compose, to_flat
from magsim.report.active import compared_curves
from magsim.tasks.active_learning.comparison import (
    common_levels,
    final_table,
    grouped,
    labels_for,
    labels_table,
    with_error,
)
from magsim.tasks.comparison.entries import Entry, differing_keys


def entry(strategy: str, seed: int, errors: list[float]) -> Entry:
    config = to_flat(compose(["task=active", f"task.strategy={strategy}", f"seed={seed}"]))
    labels = [10 * (k + 1) for k in range(len(errors))]
    series = {"active/error": (labels, errors), "active/error_late": (labels, [2 * e for e in errors])}
    return Entry(Path(f"{strategy}{seed}"), f"{strategy}{seed}", "done", "", config, (), {}, series)


ENTRIES = [
    entry("committee", 0, [0.8, 0.4, 0.2, 0.1]),
    entry("committee", 1, [0.8, 0.5, 0.3, 0.2]),
    entry("random", 0, [0.8, 0.6, 0.4, 0.3]),
    entry("random", 1, [0.8, 0.7, 0.5]),
]


def test_labels_for_an_error_lie_on_the_line_between_two_rounds() -> None:
    labels, errors = np.array([10, 20, 40]), np.array([0.8, 0.4, 0.2])
    assert labels_for(labels, errors, 0.6) == pytest.approx(15)
    assert labels_for(labels, errors, 0.3) == pytest.approx(30)
    assert labels_for(labels, errors, 0.2) == pytest.approx(40)
    assert labels_for(labels, errors, 0.9) == pytest.approx(10)
    assert np.isnan(labels_for(labels, errors, 0.1))


def test_runs_are_grouped_by_strategy_over_their_seeds_and_cut_to_common_rounds() -> None:
    committee, random = grouped(ENTRIES, ["task.strategy"])
    assert (committee.name, committee.seeds) == ("largest disagreement", (0, 1))
    assert random.labels.tolist() == [10, 20, 30]
    assert committee.errors["late"].shape == (4, 2)
    assert random.errors["mean"][:, 1].tolist() == [0.8, 0.7, 0.5]
    assert set(differing_keys(ENTRIES)) == {"task.strategy", "seed"}


def test_tables_compare_at_numbers_of_labels_and_errors_that_all_reach() -> None:
    groups = grouped(ENTRIES, ["task.strategy"])
    rows = final_table(groups).rows
    assert [row[:3] for row in rows] == [
        ["largest disagreement", 2, 30],
        ["random ones of the same runs", 2, 30],
    ]
    assert rows[0][3] == "0.25 ± 0.05"
    levels = common_levels(groups)
    assert levels[-1] == 0.5  # the seed of random that got least far
    assert all(0.5 <= level < 0.8 for level in levels)
    table = labels_table(groups)
    assert table.rows[-1][1] == "18.8 ± 1"  # 17.5 and 20
    assert table.rows[-1][2] == "27.5 ± 2"  # 25 and 30


def test_a_single_seed_has_no_error_bar() -> None:
    assert with_error(np.array([0.25])) == "0.25"


def test_the_figure_has_a_panel_for_each_class(tmp_path: Path) -> None:
    groups = {g.name: (g.labels, g.errors) for g in grouped(ENTRIES, ["task.strategy"])}
    assert compared_curves(tmp_path / "curves.png", groups).stat().st_size > 5000
