"""task=label: published labels are reproduced; a dataset is made once, survives a kill and is reused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from magsim.config import compose
from magsim.datasets.store import open_dataset
from magsim.dynamics import ExactField, make_integrator
from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers import EDLabeler, Labels
from magsim.lattice import make_lattice
from magsim.spins import ferromagnet, tetrahedral, transverse
from magsim.tasks.build import build_classical, build_sampler
from magsim.tasks.cli import main
from magsim.tasks.labelling import dataset as task
from magsim.tasks.labelling.dataset import dataset_key

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(__file__).parent / "data"
SMALL = (
    "task=label",
    "logger=csv",
    "lattice.shape=[4,4]",
    "sampler.random.count=4",
    "sampler.quench.trajectories=3",
    "sampler.quench.steps=40",
    "sampler.quench.record_every=2",
)


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


def only_dataset(outputs: Path) -> Path:
    (path,) = (p for p in (outputs / "datasets").iterdir() if not p.name.startswith("."))
    return path


def last_metrics(outputs: Path) -> dict:
    folder = max((outputs / "label" / "default").iterdir(), key=lambda p: p.stat().st_mtime)
    return json.loads((folder / "metrics.json").read_text())


def test_ed_through_the_command_line_reproduces_the_published_kondo_energy_and_field(outputs: Path) -> None:
    """Miyazaki, arXiv:2305.03804, training set; the energy is the sum of the occupied levels, all sites."""
    path = DATA / "kondo_square_30x30.npz"
    job = (
        "task=label",
        "logger=csv",
        "lattice=square",
        "lattice.shape=[30,30]",
        "sampler=file",
        f"sampler.path={path}",
    )
    physics = ("hamiltonian.J=3.5", "hamiltonian.mu=null", "hamiltonian.filling=0.48", "hamiltonian.T=0")
    assert main([*job, *physics, f"output={outputs / 'kondo.zarr'}"]) == 0
    mine, published = open_dataset(outputs / "kondo.zarr"), open_dataset(path)
    np.testing.assert_array_equal(mine.spins, published.spins)
    np.testing.assert_allclose(mine.energy / 900, published.energy / 900, rtol=0, atol=1e-6)  # float32 total
    np.testing.assert_allclose(mine.field, published.field, rtol=0, atol=1.2e-5)
    assert np.sqrt(np.mean((mine.field - published.field) ** 2)) < 2e-6
    np.testing.assert_allclose(mine.density.sum(axis=1), 864, rtol=1e-12)


def test_ed_reproduces_the_published_double_exchange_field_and_density_late_in_the_quench() -> None:
    """Zhang et al., github.com/zhangpuhan/ML_double_exchange; step 40000 of the quench."""
    published = open_dataset(DATA / "double_exchange_30x30.npz")
    hamiltonian = SDHamiltonian(
        lattice=make_lattice("square", (30, 30)), hopping=(1.0,), filling=0.485, T=0.0, J=6.0
    )
    labels = EDLabeler(hamiltonian).label(published.spins)
    difference = labels.field - published.field
    assert np.sqrt(np.mean(difference**2)) < 1.5e-5
    assert np.abs(transverse(difference, published.spins)).max() < 6e-5  # the part that moves spins
    assert np.abs(difference).max() < 1.5e-4  # along the spins their occupations have not fully converged
    np.testing.assert_allclose(labels.density, published.density, rtol=0, atol=5e-5)


def test_a_dataset_is_made_once_and_reused_with_a_line_that_says_so(outputs: Path, capsys) -> None:
    assert main([*SMALL]) == 0
    dataset = open_dataset(only_dataset(outputs))
    assert len(dataset) == 4 + 3 * 21
    assert dataset.sources == ("random", "quench")
    assert dataset.config["hamiltonian"]["J"] == 3.0
    first = last_metrics(outputs)
    assert first["label/labels_per_second"] > 0
    assert first["label/rms_torque_quench"] < first["label/rms_torque_random"]
    capsys.readouterr()
    assert main([*SMALL, "labeler.batch_size=3"]) == 0  # how it is computed does not make another dataset
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if "reused" in line and str(only_dataset(outputs)) in line]
    assert last_metrics(outputs)["label/content_hash"] == dataset.content_hash == first["label/content_hash"]


def test_labels_in_a_dataset_are_those_of_the_labeler(outputs: Path) -> None:
    assert main([*SMALL]) == 0
    dataset = open_dataset(only_dataset(outputs))
    lattice = make_lattice("triangular", (4, 4))
    labels = EDLabeler(SDHamiltonian(lattice=lattice, hopping=(1.0,), mu=-3.2, T=0.1, J=3.0)).label(
        dataset.spins
    )
    for name in ("energy", "field", "density", "mu"):
        np.testing.assert_allclose(getattr(dataset, name), getattr(labels, name), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("given", "dt"), [("2.5", 2.5), ("null", None)])
def test_a_dataset_knows_the_time_step_of_its_dynamics(outputs: Path, given: str, dt: float | None) -> None:
    assert main([*SMALL, f"sampler.quench.dt={given}", "sampler.quench.steps=4"]) == 0
    dataset = open_dataset(only_dataset(outputs))
    assert dataset.dt is not None
    assert dataset.dt == (dt or float(f"{dataset.dt:.2g}"))
    first, second = (dataset.spins[dataset.step == s][-3:] for s in (0, 2))
    labeler = EDLabeler(SDHamiltonian(make_lattice("triangular", (4, 4)), (1.0,), mu=-3.2, T=0.1, J=3.0))
    heun = make_integrator("heun", dataset.dt, 1.0)  # alpha of the quench
    exact, spins = ExactField(labeler), torch.from_numpy(first)
    for _ in range(2):
        spins = heun.step(exact, spins, exact(spins)[1], None)
    np.testing.assert_allclose(spins.numpy(), second, atol=1e-9)


class Driven:
    """A labeler of a system without energy that also knows a current."""

    def __init__(self, exact: EDLabeler) -> None:
        self.hamiltonian, self._exact = exact.hamiltonian, exact

    def identity(self) -> dict:
        return {"name": "driven", "bias": 0.2}

    def label(self, spins: np.ndarray) -> Labels:
        labels = self._exact.label(spins)
        return replace(labels, energy=None, extra={"current": labels.field[:, :, 0]})


def test_a_labeler_without_energy_and_with_more_arrays_is_served(outputs: Path, monkeypatch) -> None:
    words = [*SMALL, "sampler=random", f"output={outputs / 'driven.zarr'}"]
    words = [word for word in words if not word.startswith(("sampler.random", "sampler.quench"))]
    exact = task.build_labeler
    monkeypatch.setattr(task, "build_labeler", lambda *args: Driven(exact(*args)))
    assert main([*words, "sampler.count=5"]) == 0
    dataset = open_dataset(outputs / "driven.zarr")
    assert dataset.energy is None
    np.testing.assert_array_equal(dataset.extra["current"], dataset.field[:, :, 0])
    driven = key_of()
    monkeypatch.undo()
    assert driven != key_of()  # another labeler, another dataset


def test_energies_of_ordered_states_can_be_asked_for_but_not_learned_from(outputs: Path, capsys) -> None:
    lattice = make_lattice("triangular", (4, 4))
    np.savez(outputs.parent / "ordered.npz", spins=np.stack([tetrahedral(lattice), ferromagnet(lattice)]))
    words = [
        "logger=csv",
        "lattice.shape=[4,4]",
        "sampler=file",
        f"sampler.path={outputs.parent}/ordered.npz",
    ]
    assert main(["task=label", *words]) == 0
    capsys.readouterr()
    assert main(["task=train", "descriptor.cutoff=1.0", *words]) == 2
    assert "no torque" in capsys.readouterr().err


def key_of(*overrides: str) -> str:
    cfg = compose([*SMALL, *overrides])
    sampler = build_sampler(cfg)
    return dataset_key(cfg, sampler, build_classical(cfg) if sampler.uses_dynamics else None)


def test_what_changes_the_labels_makes_another_dataset_and_nothing_else_does() -> None:
    base = key_of()
    changes = (
        "seed=1",
        "hamiltonian.J=3.1",
        "hamiltonian.T=0",
        "lattice=square",
        "lattice.boundary=[open,periodic]",
        "sampler.quench.alpha=0.4",
        "sampler.random.count=5",
        "classical.zeeman=[0,0,1]",
    )
    keys = [key_of(change) for change in changes]
    assert len({base, *keys}) == len(changes) + 1
    same_keys = ("labeler.batch_size=3", "compute=cpu", "compute.threads=1", "compute.workers=2")
    for same in (*same_keys, "name=other", "model=linear"):
        assert key_of(same) == base, same


def test_output_names_the_dataset_and_is_not_overwritten_by_other_settings(outputs: Path, capsys) -> None:
    short = [*SMALL, "sampler=random", "sampler.count=3", f"output={outputs / 'mine.zarr'}"]
    short = [word for word in short if not word.startswith(("sampler.random", "sampler.quench"))]
    assert main(short) == 0
    before = open_dataset(outputs / "mine.zarr").content_hash
    assert main([*short, "seed=5"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert open_dataset(outputs / "mine.zarr").content_hash == before


def test_a_dataset_can_be_labelled_again_from_its_own_spins(outputs: Path) -> None:
    assert main([*SMALL, "sampler.quench.steps=4"]) == 0
    first = only_dataset(outputs)
    again = ["task=label", "logger=csv", "lattice.shape=[4,4]", "sampler=file", f"sampler.path={first}"]
    assert main([*again, f"output={outputs / 'again.zarr'}"]) == 0
    a, b = open_dataset(first), open_dataset(outputs / "again.zarr")
    np.testing.assert_array_equal(a.spins, b.spins)
    np.testing.assert_array_equal(a.trajectory, b.trajectory)
    np.testing.assert_allclose(a.field, b.field, rtol=0, atol=1e-12)


def stored_snapshots(outputs: Path) -> int:
    """Committed snapshots of the dataset that another process is writing."""
    for file in (outputs / "datasets").glob("[!.]*/zarr.json"):
        return int(json.loads(file.read_text())["attributes"]["snapshots"])
    return 0


def test_a_killed_label_run_resumes_to_the_identical_dataset(tmp_path: Path, monkeypatch, capsys) -> None:
    long = [*SMALL, "sampler.quench.steps=160"]
    killed = tmp_path / "killed"
    environment = os.environ | {"MAGSIM_OUTPUTS": str(killed), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *long],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 60
    while stored_snapshots(killed) < 30 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    survived = stored_snapshots(killed)
    assert 30 <= survived < 4 + 3 * 81

    monkeypatch.setenv("MAGSIM_OUTPUTS", str(killed))
    (folder,) = (killed / "label" / "default").iterdir()
    assert main([f"resume={folder}", "logger=csv"]) == 0
    assert f"resuming after {survived} of 247" in capsys.readouterr().out

    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "whole"))
    assert main(long) == 0
    hashes = {open_dataset(only_dataset(tmp_path / name)).content_hash for name in ("killed", "whole")}
    assert len(hashes) == 1
