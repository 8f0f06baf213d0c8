"""The parts of the benchmark that are for a GPU, on a CPU and on lattices that take no time."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from magsim.config import compose
from magsim.runs import open_run
from magsim.tasks import benchmark
from magsim.tasks.benchmark import label_rates, limits, updates, zoo_fields
from magsim.tasks.benchmark.timing import attempt

BAR: Any = SimpleNamespace(advance=lambda *_, **__: None)
CFG = compose(["task=benchmark", "task.seconds=0.001", "compute=cpu", "task.parts=[updates,fields,labels]"])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COPIED", 2**16)
    monkeypatch.setitem(limits.SIDE, "cpu", 32)


def test_updates_are_measured_on_every_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(updates.SIDES, "cpu", (8, 6))
    result = list(updates.measure(CFG, "cpu", BAR))[-1]
    assert result.failures == []
    assert [row.sites for row in result.rows] == [64, 36] * len(updates.METHODS)
    found = updates.metrics(result)
    for row in result.rows:
        assert row.share == pytest.approx(row.rate * 48 / result.limits.bandwidth)
        assert found[f"benchmark/updates_per_second_{row.integrator}_T{row.T:g}_{row.sites}"] == row.rate


def test_a_learned_step_is_compared_with_exact_ones_per_site(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = {name: entry for name, entry in zoo_fields.zoo_models().items() if entry["hamiltonian"]["T"] == 0.1}
    monkeypatch.setattr(zoo_fields, "zoo_models", lambda: zoo)
    monkeypatch.setitem(zoo_fields.SIDE, "cpu", 12)
    monkeypatch.setitem(zoo_fields.EXACT_SIDE, "cpu", 6)
    result = list(zoo_fields.measure(CFG, "cpu", BAR))[-1]
    assert result.failures == []
    assert {row.name for row in result.rows} == set(zoo)
    for row in result.rows:
        assert (row.sites, row.exact_sites, row.precision) == (144, 36, "float32")
        assert row.greens_step is not None
        assert row.over_greens == pytest.approx(row.greens_step / 36 / (row.step / 144))
        assert row.arithmetic > 0
    first, second, *_ = result.rows
    assert first.dense_step == second.dense_step  # as many states
    assert first.greens_step != second.greens_step


def test_one_measurement_that_fails_is_reported_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such kernel\nand more")

    monkeypatch.setattr(label_rates, "KINDS", {"greens": broken, "ed": label_rates.EDLabeler})
    monkeypatch.setitem(label_rates.STRIPS, "cpu", (4, 3))
    monkeypatch.setitem(label_rates.SIDES, "cpu", {"greens": (4,), "ed": (4,)})
    monkeypatch.setattr(label_rates, "SMALL", (4, 3))
    result = list(label_rates.measure(CFG, "cpu", BAR))[-1]
    assert [row.method for row in result.rows] == ["negf", "ed"]
    assert "greens, 4x4: RuntimeError: no such kernel" in result.failures
    assert "no such kernel" in label_rates.section(CFG, None, result).text  # type: ignore[arg-type]


def test_a_run_that_is_stopped_leaves_what_it_has_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(name: str, T: float, *_: Any) -> updates.Row:
        if name == "sib":
            raise KeyboardInterrupt
        return updates.Row(name, T, 64, 1.0, 0.1)

    monkeypatch.setattr(updates, "_row", row)
    cfg = compose(
        ["task=benchmark", "task.seconds=0.001", "compute=cpu", "task.parts=[updates]", "logger=csv"]
    )
    with (
        pytest.raises(KeyboardInterrupt),
        open_run(cfg, "benchmark", flat={}, folder=tmp_path / "run") as run,
    ):
        benchmark.run(cfg, run)
    stored = json.loads((tmp_path / "run" / "benchmark.json").read_text())
    assert [row["integrator"] for row in stored["updates"]["rows"]] == ["heun", "heun", "depondt"]


def test_an_interruption_is_no_failed_measurement() -> None:
    failures: list[str] = []
    with pytest.raises(KeyboardInterrupt), attempt("x", failures):
        raise KeyboardInterrupt
    assert failures == []
