"""task=simulate: a continued run is the whole run, kills and failures lose nothing, which field is used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from magsim.config import compose, resumed
from magsim.dynamics import (
    Anneal,
    ClassicalField,
    ExactField,
    Heun,
    LearnedField,
    Quench,
    Relax,
    make_integrator,
    open_trajectory,
)
from magsim.dynamics.effective_field import EffectiveField
from magsim.errors import ConfigError, DataError, RunError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import model_facts, save_model
from magsim.models import build_model
from magsim.runs import Run, open_run, read_series, read_status
from magsim.spins import random_spins, rng
from magsim.tasks import simulate as task
from magsim.tasks.build import build_labeler, build_lattice, plain
from magsim.tasks.dispatch import execute
from magsim.tasks.simulation.recording import simulate
from magsim.tasks.simulation.setup import build_field, choose_timestep

ROOT = Path(__file__).resolve().parents[1]
LATTICE = make_lattice("triangular", (4, 4))
FIELD = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(1.0,), dm=0.2))
WARM = make_integrator("heun", 0.05, 0.3, T=0.2)
PROTOCOL = Quench(1, 10, 2)
NAMES = ("energy", "nn_correlation", "mean_abs_chirality")
JOB = ("task=simulate", "logger=csv", "compute=cpu", "lattice.shape=[4,4]", "protocol.record_every=5")


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with open_run(compose(["logger=csv"]), "simulate", flat={}, folder=tmp_path / "run") as opened:
        yield opened


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "simulation_page", lambda *given: given[5])  # the metrics, as they are


def evolved(run, path, steps, field=FIELD, integrator=WARM, seed=1, protocol=PROTOCOL, **options):
    return simulate(
        field, LATTICE, integrator, replace(protocol, steps=steps), NAMES, seed, run, path, **options
    )


@pytest.mark.parametrize("half", [20, 17])
def test_n_steps_and_n_more_equal_2n_bitwise_with_noise(run: Run, tmp_path: Path, half: int) -> None:
    """Also where the first half ends between two recorded steps: the whole run has no frame there."""
    whole = evolved(run, tmp_path / "whole.zarr", 2 * half, prefix="whole")
    evolved(run, tmp_path / "halves.zarr", half, prefix="halves")
    halves = evolved(run, tmp_path / "halves.zarr", 2 * half, prefix="halves")
    np.testing.assert_array_equal(halves.spins, whole.spins)
    assert halves.content_hash == whole.content_hash
    assert halves.steps == whole.steps == 2 * half
    assert halves.session_steps == half
    stored = [open_trajectory(r.path, verify=True) for r in (whole, halves)]
    np.testing.assert_array_equal(stored[1].all_spins(), stored[0].all_spins())
    for name in NAMES:
        assert whole.series[name].shape == (len(whole.step), 2)
        np.testing.assert_array_equal(halves.series[name], whole.series[name])


def test_the_series_on_disk_are_the_means_over_replicas_and_are_written_once(
    run: Run, tmp_path: Path
) -> None:
    evolved(run, tmp_path / "a.zarr", 30)
    result = evolved(run, tmp_path / "a.zarr", 60)
    steps, values = read_series(run.folder / "metrics.csv")["simulate/energy"]
    assert steps == [0, 10, 20, 30, 40, 50, 60]
    np.testing.assert_allclose(values, result.series["energy"].mean(axis=1), rtol=1e-9)
    rows = (run.folder / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + len(steps)
    spins = open_trajectory(result.path).spins(3)
    np.testing.assert_allclose(result.series["energy"][3], FIELD(spins)[0] / 16, atol=1e-12)


def test_measuring_every_second_frame_keeps_the_last(run: Run, tmp_path: Path) -> None:
    result = evolved(run, tmp_path / "a.zarr", 50, every=2)
    assert list(result.step) == [0, 20, 40, 50]
    assert len(open_trajectory(result.path)) == 6


def test_equal_seeds_give_equal_trajectories_and_others_do_not(run: Run, tmp_path: Path) -> None:
    one, two, three = (
        evolved(run, tmp_path / f"{k}.zarr", 20, seed=s).spins for k, s in enumerate((5, 5, 6))
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - three).max() > 0.1


def test_a_run_says_how_its_steps_were_done(run: Run, tmp_path: Path) -> None:
    def done(steps: str) -> Any:
        path = tmp_path / f"{steps}.zarr"
        return simulate(FIELD, LATTICE, WARM, PROTOCOL, NAMES, 0, run, path, steps=steps)

    runs = {steps: done(steps) for steps in ("auto", "eager")}
    assert {steps: result.kind for steps, result in runs.items()} == {"auto": "loops", "eager": "eager"}
    assert runs["eager"].metrics("simulate")["simulate/kind_of_steps"] == "eager"
    np.testing.assert_allclose(runs["eager"].spins, runs["auto"].spins, atol=1e-12)
    with pytest.raises(ConfigError, match=r"^compute\.steps=graph: needs a CUDA GPU"):
        done("graph")
    assert not (tmp_path / "graph.zarr").exists()


def test_a_run_starts_from_given_spins(run: Run, tmp_path: Path) -> None:
    spins = random_spins(16, rng(3))
    result = evolved(run, tmp_path / "a.zarr", 10, initial=spins)
    np.testing.assert_array_equal(open_trajectory(result.path).spins(0), spins[None])
    assert result.spins.shape == (1, 16, 3)
    with pytest.raises(DataError, match="other settings"):  # it is part of what the trajectory is
        evolved(run, tmp_path / "a.zarr", 10, initial=-spins)
    with pytest.raises(ConfigError, match=r"\(replicas, 16, 3\)"):
        evolved(run, tmp_path / "b.zarr", 10, initial=spins[:5])


class Failing(EffectiveField):
    """A classical field that is NaN on one site from some evaluation on."""

    def __init__(self, healthy: int) -> None:
        self.n_sites, self.name, self.left = 16, "failing", healthy

    def evaluate(self, spins):
        energy, field = FIELD(spins)
        self.left -= 1
        if self.left < 0:
            field = field.clone()
            field[1, 3, 0] = float("nan")
        return energy, field


def test_a_field_that_is_not_finite_stops_the_run_with_the_last_good_state_saved(run, tmp_path) -> None:
    path = tmp_path / "a.zarr"
    with pytest.raises(RunError, match=r"step 25, replica 1, site 3;.* last good state, step 20, .*a\.zarr"):
        evolved(run, path, 100, field=Failing(2 * 25))
    good = evolved(run, tmp_path / "good.zarr", 20)
    kept = open_trajectory(path, verify=True)
    np.testing.assert_allclose(kept.spins(-1), good.spins, rtol=0, atol=1e-13)  # compiled or not
    assert kept.step[-1] == 20


class Swelling(Heun):
    """An integrator that does not keep the length of a spin."""

    name = "heun"

    def step(self, *arguments, **options):
        return super().step(*arguments, **options) * 1.001


def test_spins_that_lose_their_length_stop_the_run(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"unit length at step 10.* last good state, step 0"):
        evolved(run, tmp_path / "a.zarr", 100, integrator=Swelling(dt=0.05, alpha=0.3))
    assert len(open_trajectory(tmp_path / "a.zarr", verify=True)) == 1


def test_relaxation_ends_at_its_goal_and_finds_nothing_to_continue(run: Run, tmp_path: Path) -> None:
    ferromagnet = ClassicalField(ClassicalHamiltonian(LATTICE, zeeman=(0, 0, 1)))
    relax = Relax(1, 10, 1, tolerance=1e-3)
    still = make_integrator("heun", 0.1, 0.5)
    first = evolved(run, tmp_path / "a.zarr", 1000, ferromagnet, still, protocol=relax)
    assert 20 < first.steps < 1000
    assert first.metrics("x")["x/final_nn_correlation"] == pytest.approx(1, abs=1e-5)
    again = evolved(run, tmp_path / "a.zarr", 1000, ferromagnet, still, protocol=relax)
    assert again.steps == first.steps
    assert again.content_hash == first.content_hash
    np.testing.assert_array_equal(again.spins, first.spins)


def test_the_suggested_step_resolves_the_torque_and_heeds_the_warmest_bath(run: Run, capsys) -> None:
    cold = make_integrator("heun", None, 0.3)
    chosen = choose_timestep(FIELD, cold, Quench(10), LATTICE, 0, run)
    line = capsys.readouterr().out
    assert f"time step {chosen.dt:g} suggested from the largest torque" in line
    doubled = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(2.0,), dm=0.4))
    assert choose_timestep(doubled, cold, Quench(10), LATTICE, 0, run).dt == pytest.approx(
        chosen.dt / 2, rel=0.05
    )
    hot = choose_timestep(FIELD, cold, Anneal(10, T_start=50.0, T_end=0.1), LATTICE, 0, run)
    assert hot.dt < chosen.dt / 3


# --- the task


def test_the_task_writes_trajectory_series_figures_page_and_hashes(outputs: Path) -> None:
    cfg = compose([*JOB, "protocol.steps=20", "protocol.replicas=2", "integrator.T=0.01"])
    metrics = execute(cfg)
    (folder,) = (outputs / "simulate" / "default").iterdir()
    trajectory = open_trajectory(folder / "trajectory.zarr", verify=True)
    assert trajectory.shape == (5, 2, 16, 3)
    assert metrics["simulate/steps"] == 20
    assert metrics["simulate/trajectory_hash"] == trajectory.attributes["content_hash"]
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["outputs"]["trajectory"]["content_hash"] == trajectory.attributes["content_hash"]
    steps, energy = read_series(folder / "metrics.csv")["simulate/energy"]
    assert steps == [0, 5, 10, 15, 20]
    assert energy[-1] == pytest.approx(metrics["simulate/final_energy"])
    page = (folder / "report.html").read_text()
    for name in ("observables_1", "domain_growth", "chirality_map", "spin_map", "structure_factor"):
        assert (folder / f"{name}.png").is_file()
    assert page.count("data:image/png") == len(list(folder.glob("*.png")))


def test_sigkill_and_resume_equal_the_undisturbed_run(outputs: Path, tmp_path: Path, without_page) -> None:
    job = ["task=simulate", "logger=csv", "compute=cpu", "compute.threads=1", "lattice=chain"]
    job += ["lattice.shape=[6]", "hamiltonian.mu=-2.0", "integrator.T=0.02", "protocol.record_every=5"]
    job += ["protocol.steps=400", "observables.names=[energy,nn_correlation]"]
    folder = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *job, f"output={folder}"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    seen = 0
    try:
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None and seen < 4:
            time.sleep(0.002)
            if (folder / "trajectory.zarr").exists():
                seen = len(open_trajectory(folder / "trajectory.zarr"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert read_status(folder)["status"] == "failed"
    left = len(open_trajectory(folder / "trajectory.zarr"))
    assert 4 <= left < 81
    torch.set_num_threads(1)
    cfg, overrides = resumed(folder)
    execute(cfg, overrides)
    execute(compose(job), job, folder=tmp_path / "whole")
    whole, halves = (
        open_trajectory(tmp_path / n / "trajectory.zarr", verify=True) for n in ("whole", "killed")
    )
    assert halves.attributes["content_hash"] == whole.attributes["content_hash"]
    series = [read_series(tmp_path / n / "metrics.csv") for n in ("whole", "killed")]
    assert series[0] == series[1]


def test_a_resumed_task_keeps_the_suggested_step_and_grows(
    outputs: Path, tmp_path: Path, without_page
) -> None:
    job = [*JOB, "integrator.T=0.02"]
    for name, steps in (("whole", 20), ("parts", 10)):
        execute(
            compose([*job, f"protocol.steps={steps}"]), [*job, f"protocol.steps={steps}"], tmp_path / name
        )
    dt = open_trajectory(tmp_path / "parts" / "trajectory.zarr").attributes["config"]["dt"]
    execute(*resumed(tmp_path / "parts", ["protocol.steps=20"]))
    whole, parts = (open_trajectory(tmp_path / n / "trajectory.zarr") for n in ("whole", "parts"))
    assert parts.attributes["content_hash"] == whole.attributes["content_hash"]
    assert whole.time[-1] == pytest.approx(20 * dt)


def test_an_anneal_cannot_grow_and_a_used_folder_is_not_continued_silently(tmp_path, without_page) -> None:
    job = [*JOB, "protocol=anneal", "protocol.record_every=5", "protocol.steps=10"]
    execute(compose(job), job, tmp_path / "a")
    with pytest.raises(ConfigError, match=r"protocol\.steps=20: the schedule of anneal"):
        execute(*resumed(tmp_path / "a", ["protocol.steps=20"]))
    with pytest.raises(ConfigError, match=r"resume="):
        execute(compose(job), job, tmp_path / "a")


# --- which field


def test_without_a_checkpoint_the_field_is_exact_and_classical_terms_add(run: Run) -> None:
    spins = random_spins(16, rng(0), (2,))
    alone, identity, parents = build_field(compose(JOB), LATTICE)
    assert isinstance(alone, ExactField)
    assert parents == {}
    labels = build_labeler(compose(JOB)).label(spins)
    np.testing.assert_array_equal(alone(spins)[1], labels.field)
    cfg = compose([*JOB, "classical=heisenberg"])
    both, more, _ = build_field(cfg, LATTICE)
    classical = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(1.0,)))
    np.testing.assert_allclose(both(spins)[1], labels.field + classical(spins)[1], atol=1e-13)
    assert identity != more


def test_a_checkpoint_gives_the_learned_field_and_its_hash_to_the_trajectory(tmp_path, without_page) -> None:
    cfg = compose([*JOB, "descriptor.cutoff=1.1", "lattice.shape=[4,4]"])
    trained_on = build_lattice(cfg)
    model = build_model(trained_on, plain(cfg.descriptor), plain(cfg.model))
    facts = model_facts(trained_on, plain(cfg.descriptor), plain(cfg.model))
    save_model(tmp_path / "model.safetensors", model, facts)
    larger = [*JOB, f"checkpoint={tmp_path / 'model.safetensors'}", "lattice.shape=[6,6]", "protocol.steps=5"]
    larger += ["classical=heisenberg", "integrator.dt=0.05"]
    execute(compose(larger), larger, tmp_path / "run")
    field, _, parents = build_field(compose(larger[:-2]), make_lattice("triangular", (6, 6)))
    assert isinstance(field, LearnedField)
    stored = open_trajectory(tmp_path / "run" / "trajectory.zarr")
    assert stored.attributes["parents"] == parents
    assert len(parents["model"]) == 64
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert provenance["parents"]["model"]["content_hash"] == parents["model"]
    save_model(
        tmp_path / "model.safetensors",
        build_model(trained_on, plain(cfg.descriptor), plain(cfg.model)),
        facts,
    )
    with pytest.raises(DataError, match="other settings"):  # another model would make another trajectory
        execute(*resumed(tmp_path / "run", ["protocol.steps=10"]))
