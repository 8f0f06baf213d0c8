"""The presets of known physics reproduce what they are set against."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magsim.tasks.cli import main


@pytest.mark.slow
def test_random_spins_of_an_itinerant_magnet_end_as_a_skyrmion_crystal(tmp_path: Path) -> None:
    assert main(["experiment=skyrmion_crystal", "logger=csv", f"output={tmp_path / 'run'}"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["reference/ordering_wavenumber_lowest"] == pytest.approx(0, abs=1e-4)
    assert metrics["reference/skyrmion_count_lowest"] == 0
