"""The benchmark of labels out of equilibrium, on strips that take no time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from magsim.config import compose
from magsim.tasks.benchmark import driven

BAR: Any = SimpleNamespace(advance=lambda *_, **__: None)


def test_energies_seconds_and_ratios_of_driven_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driven, "SHAPES", ((4, 3), (6, 3)))
    result = driven.measure(compose(["task=benchmark", "task.seconds=0.01", "compute=cpu"]), "cpu", BAR)
    assert len(result.labels) == 2 * len(driven.TOLERANCES)
    for row in result.labels:
        assert row.error < row.stated < row.tolerance
        assert row.nodes > row.still > 0
    loose, *_, tight = result.labels[: len(driven.TOLERANCES)]
    assert tight.nodes > loose.nodes
    for row in result.energies:
        assert row.ratio == pytest.approx(row.dense / row.real)
    found = driven.metrics(result)
    assert found["benchmark/negf_nodes_6x3_1e-05"] == result.labels[-2].nodes
    assert found["benchmark/dense_over_negf_4x3"] == result.energies[0].ratio
