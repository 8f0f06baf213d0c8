"""The benchmark of labeler=kpm: consistent ratios, columns that are empty without kwant, a figure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from magsim.tasks.benchmark import kpm, probing

CFG: Any = SimpleNamespace(task=SimpleNamespace(seconds=0.005))
BAR: Any = SimpleNamespace(advance=lambda *_, **__: None)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kpm, "SHAPES", ((6, 6), (8, 8)))
    monkeypatch.setattr(kpm, "MOMENTS", 16)
    monkeypatch.setattr(kpm, "COPIED", 2**16)
    monkeypatch.setattr(probing, "SIDE", 6)
    monkeypatch.setattr(probing, "COLUMNS", (4, 8))


def test_ratios_are_those_of_the_rates_and_kwant_is_left_out_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kpm, "kwant_python", lambda: None)
    rows = kpm.measure(CFG, "cpu", BAR)
    assert [row.orbitals for row in rows] == [72, 128]
    for row in rows:
        assert row.over_scipy == pytest.approx(row.kernel / row.scipy)
        assert row.kwant is None
        assert row.over_kwant is None
        assert min(row.kernel, row.gradient, row.all_cores, row.memory, row.arithmetic) > 0
    found = kpm.metrics(rows)
    assert found["benchmark/kpm_kernel_8x8"] == rows[1].kernel
    assert not [key for key in found if "kwant" in key]
    assert np.isfinite(kpm.exponent(rows))


def test_a_python_without_kwant_is_not_taken_for_one_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kpm.KWANT, "/nowhere/python")
    assert kpm.kwant_python() in (None, kpm.sys.executable)


def test_the_figure_of_the_probing_error_is_drawn(tmp_path: Path) -> None:
    curves = probing.measure(CFG, "cpu", BAR)
    assert [curve.kind for curve in curves] == ["colour", "random"]
    assert probing.metrics(curves)["benchmark/kpm_slope_random"] == curves[1].slope
    assert probing.draw(tmp_path / "figure.png", curves).stat().st_size > 10_000
