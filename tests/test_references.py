"""Reference values: what a run measured is set against them, in numbers, figures and on the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from magsim.tasks.cli import main

CLASSICAL = [
    "task=simulate",
    "hamiltonian=none",
    "classical=heisenberg",
    "classical.heisenberg=[-1]",
    "lattice=square",
    "lattice.shape=[4,4]",
    "integrator.dt=0.1",
    "protocol.steps=40",
    "protocol.record_every=10",
    "protocol.replicas=2",
    "observables.names=[energy,nn_correlation,magnetisation]",
    "logger=csv",
]


def test_a_run_is_set_against_its_references(tmp_path: Path) -> None:
    references = (
        "references=[{quantity: energy, value: -2, tolerance: 3, source: theory},"
        "{quantity: nn_correlation, value: 0.5, time: 2, source: theory},"
        "{quantity: nn_correlation, value: 0.75, time: 2, source: others},"
        "{quantity: nn_correlation, value: 1, tolerance: 1e-9, replica: lowest, source: theory},"
        "{quantity: magnetisation, value: 0, time: 100, tolerance: 1, source: nobody gets there}]"
    )
    assert main([*CLASSICAL, references, f"output={tmp_path / 'run'}"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = {row["step"]: row for row in csv.DictReader(file)}
    assert metrics["reference/energy"] == pytest.approx(metrics["simulate/final_energy"] + 2)
    at_two = float(rows["20"]["simulate/nn_correlation"])
    assert metrics["reference/nn_correlation_t2"] == pytest.approx(at_two - 0.5)
    assert metrics["reference/nn_correlation_t2_2"] == pytest.approx(at_two - 0.75)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Against reference values" in page
    assert "not reached" in page
    assert "nobody gets there" in page
    # of the ferromagnet E/N = -2 <S.S>: the replica of lowest energy has the larger correlation
    assert "reference/magnetisation_t100" not in metrics
    assert metrics["reference/nn_correlation_lowest"] + 1 > metrics["simulate/final_nn_correlation"]
