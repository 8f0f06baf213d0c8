"""Driven strips from the command line: labels, training, evaluation and dynamics without an energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import magsim
from magsim.dynamics.trajectory import open_trajectory
from magsim.tasks.cli import main

STRIP = (
    "logger=csv",
    "compute=cpu",
    "hamiltonian=driven",
    "labeler=negf",
    "labeler.tolerance=1e-3",
    "lattice=square",
    "lattice.shape=[5,3]",
    "lattice.boundary=[open,periodic]",
    "hamiltonian.voltage=0.4",
)
SAMPLES = ("sampler=random", "sampler.count=6")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_driven_dataset_carries_voltage_and_currents_and_no_energy(here: Path) -> None:
    assert main(["task=label", *STRIP, *SAMPLES, "output=labels.zarr"]) == 0
    dataset = magsim.open_dataset("labels.zarr")
    assert dataset.energy is None
    assert dataset.method == "negf/numpy"
    np.testing.assert_array_equal(dataset.extra["voltage"], 0.4)
    assert dataset.extra["terminal_current"].shape == (6, 3)
    assert np.all(np.abs(dataset.extra["terminal_current"].sum(1)) < 1e-12)
    assert dataset.extra["terminal_spin_current"].shape == (6, 3, 3)
    assert dataset.extra["bond_current"].shape == (6, 4 * 3 + 5 * 3)


@pytest.mark.slow
def test_labels_without_an_energy_are_learned_from(here: Path) -> None:
    assert main(["task=label", *STRIP, *SAMPLES, "output=labels.zarr"]) == 0
    learned = ("model=potential", "descriptor.cutoff=1", "trainer=quick", "trainer.max_epochs=1")
    assert main(["task=train", *STRIP, *learned, "data.path=labels.zarr", "output=trained"]) == 0
    assert main(["task=evaluate", *STRIP, "checkpoint=trained", "data.path=labels.zarr"]) == 0


@pytest.mark.slow
def test_a_strip_moves_in_its_exact_field_which_has_no_energy(here: Path) -> None:
    steps = ("protocol.steps=4", "protocol.record_every=2", "integrator.dt=0.5")
    assert main(["task=simulate", *STRIP, *steps, "output=run"]) == 0
    trajectory = open_trajectory(here / "run" / "trajectory.zarr")
    assert not trajectory.attributes["conservative"]
    assert np.isnan(np.asarray(trajectory.energy)).all()
    assert np.abs(trajectory.spins(2) - trajectory.spins(0)).max() > 1e-3
