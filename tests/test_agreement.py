"""task=agreement: both fields start from the same states, and differences are those of the stored curves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from magsim.dynamics import open_trajectory
from magsim.lattice import make_lattice
from magsim.observables import nn_correlation
from magsim.tasks.agreement import TimedField
from magsim.tasks.cli import main
from magsim.tasks.trajectories.agreement_page import Compared

JOB = [
    "task=agreement",
    "checkpoint=tetrahedral_fast",
    "lattice.shape=[8,8]",
    "protocol.steps=4",
    "protocol.record_every=2",
    "protocol.replicas=2",
    "integrator.dt=0.5",
    "observables.names=[energy,nn_correlation,mean_abs_chirality]",
    "logger=csv",
]


def test_band_and_difference_are_over_initial_states() -> None:
    exact = np.array([[0.0, 2.0], [1.0, 1.5]])
    compared = Compared("x", np.arange(2.0), exact, exact + np.array([[0.0], [-0.5]]))
    assert compared.difference == pytest.approx(0.5)
    assert compared.band == pytest.approx(np.sqrt(2.0))
    assert compared.metrics()["agreement/x/difference_over_band"] == pytest.approx(0.5 / np.sqrt(2))


def test_exact_and_learned_runs_start_alike_and_are_compared_frame_by_frame(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main([*JOB, f"output={folder}"]) == 0
    exact, learned = (open_trajectory(folder / f"{name}.zarr") for name in ("exact", "learned"))
    np.testing.assert_array_equal(exact.spins(0), learned.spins(0))
    np.testing.assert_array_equal(exact.time, learned.time)
    assert np.abs(exact.spins(-1) - learned.spins(-1)).max() > 1e-6, "two fields, not one"
    lattice = make_lattice("triangular", [8, 8])
    means = [
        np.array([nn_correlation(lattice, np.asarray(run.spins(k))).mean() for k in range(len(run))])
        for run in (exact, learned)
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    largest = metrics["agreement/nn_correlation/largest_difference"]
    assert largest == pytest.approx(np.abs(means[0] - means[1]).max())
    assert 0 < metrics["agreement/torque_error"] < 1
    assert metrics["agreement/overlap"] > 0.9
    ratio = metrics["agreement/exact_ms_per_step"] / metrics["agreement/learned_ms_per_step"]
    assert metrics["agreement/speedup"] == pytest.approx(ratio)
    for name in ("observables_1", "spin_correlation", "chirality_correlation", "structure_factor"):
        assert (folder / f"{name}.png").exists()


def test_agreement_needs_a_learned_field_and_several_initial_states(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["task=agreement", "protocol.replicas=2"]) == 2
    assert "checkpoint=null: task=agreement needs a trained field" in capsys.readouterr().err
    assert main(["task=agreement", "checkpoint=tetrahedral_fast"]) == 2
    assert "protocol.replicas=1: task=agreement needs several initial states" in capsys.readouterr().err


def test_a_step_takes_the_median_of_its_evaluations() -> None:
    class Field:
        n_sites, name, conservative, torque_scale, takes_voltage = 1, "x", True, 0.0, False

    timed = TimedField(Field())  # type: ignore[arg-type]
    assert timed.per_step(2, 1) is None
    timed.seconds = [9.0, 1.0, 1.0, 5.0]
    assert timed.per_step(evaluations=2, replicas=4) == pytest.approx(0.5)
