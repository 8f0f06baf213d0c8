"""Spin waves sampled between the stored frames: the same states, nothing else changed, nothing lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magsim.config import check, compose, resumed
from magsim.dynamics import open_trajectory
from magsim.errors import ConfigError
from magsim.observables import amplitudes
from magsim.tasks.analyze import lattice_of
from magsim.tasks.dispatch import execute
from magsim.tasks.simulation.samples import read_samples

JOB = ["logger=csv", "compute=cpu", "compute.threads=1", "observables.names=[energy]"]
SPINS = ["hamiltonian=none", "classical=heisenberg", "classical.heisenberg=[-1]", "lattice.shape=[6,6]"]
RUN = ["integrator.dt=0.05", "integrator.alpha=0.1", "integrator.T=0.05", "protocol.replicas=2"]


def simulate(folder: Path, *more: str) -> Path:
    quiet = ["observables.figures=[]", f"output={folder}"]
    overrides = ["task=simulate", *JOB, *SPINS, *RUN, *quiet, *more]
    execute(compose(overrides), overrides)
    return folder / "trajectory.zarr"


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))


def test_samples_are_the_states_between_the_frames_and_leave_the_run_as_it_is(tmp_path: Path) -> None:
    steps = ["protocol.steps=22", "protocol.record_every=10"]
    plain = open_trajectory(simulate(tmp_path / "plain", *steps))
    path = simulate(tmp_path / "sampled", *steps, "observables.sample_every=2")
    fine = open_trajectory(simulate(tmp_path / "fine", "protocol.steps=22", "protocol.record_every=2"))
    sampled, samples = open_trajectory(path), read_samples(path)
    assert list(sampled.step) == list(plain.step) == [0, 10, 20, 22]
    np.testing.assert_array_equal(sampled.all_spins(), plain.all_spins())
    assert samples is not None
    np.testing.assert_array_equal(samples.step, fine.step)
    np.testing.assert_allclose(samples.time, fine.time)
    expected = amplitudes(lattice_of(fine), fine.all_spins())
    np.testing.assert_allclose(samples.amplitudes, expected, atol=1e-5)
    assert read_samples(tmp_path / "plain" / "trajectory.zarr") is None


def test_a_run_in_two_parts_has_the_samples_of_the_whole(tmp_path: Path) -> None:
    stride = ["protocol.record_every=4", "observables.sample_every=2"]
    whole = read_samples(simulate(tmp_path / "whole", "protocol.steps=24", *stride))
    path = simulate(tmp_path / "parts", "protocol.steps=10", *stride)
    cfg, overrides = resumed(tmp_path / "parts", ["protocol.steps=24"])
    execute(cfg, overrides)
    parts = read_samples(path)
    assert whole is not None
    assert parts is not None
    np.testing.assert_array_equal(parts.step, whole.step)
    np.testing.assert_array_equal(parts.amplitudes, whole.amplitudes)


def test_an_analysis_makes_its_spectrum_of_the_samples(tmp_path: Path) -> None:
    simulate(tmp_path / "run", "protocol.steps=40", "protocol.record_every=20", "observables.sample_every=2")
    more = ["observables.figures=[excitations]", f"output={tmp_path / 'a'}"]
    execute(compose(["task=analyze", f"task.path={tmp_path / 'run'}", *JOB, *more]))
    with np.load(tmp_path / "a" / "excitations.npz") as stored:
        assert len(stored["omega"]) == 21
        assert stored["omega"].max() == pytest.approx(np.pi / 0.1, rel=0.06)


def test_samples_that_do_not_meet_the_frames_are_refused() -> None:
    for more in (["observables.sample_every=3", "protocol.record_every=10"], ["observables.sample_every=0"]):
        with pytest.raises(ConfigError, match=r"observables\.sample_every"):
            check(compose(["task=simulate", *more]))
