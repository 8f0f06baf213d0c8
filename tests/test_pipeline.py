"""The main job, too small to mean anything: every stage leaves what the next one and the reader need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magsim.datasets.split import split_dataset
from magsim.datasets.store import open_dataset
from magsim.dynamics import open_trajectory
from magsim.runs import read_json, read_status
from magsim.tasks.cli import main

LINE = "lattice=triangular model=bp experiment=smoke logger=csv compute=cpu name=main"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of one main job."""
    root = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGSIM_OUTPUTS", str(root))
        assert main(LINE.split()) == 0
    return root


@pytest.fixture
def folder(outputs: Path) -> Path:
    (folder,) = (outputs / "pipeline" / "main").iterdir()
    return folder


def test_report_and_figures_show_errors_comparison_and_large_lattice(folder: Path) -> None:
    assert read_status(folder)["status"] == "done"
    for figure in ("torque_parity", "training", "exact_and_learned", "large_chirality_map"):
        assert (folder / f"{figure}.png").stat().st_size > 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Learned against exact dynamics" in page
    assert "24 × 24: mean absolute chirality" in page
    assert "tetrahedral order −0.333" in page
    for told in ("s-d model, J = 3, μ = −3.2, T = 0.1", "held-out quench", "learned from"):
        assert told in page
    assert str(folder.parents[2]) not in page.partition('id="origin"')[0]
    metrics = read_json(folder / "metrics.json")
    for source in ("random", "quench"):
        assert 0 < metrics[f"test/{source}/torque_error"] < 2
    assert -1 <= metrics["large/final_nn_correlation"] <= 1


def test_the_large_run_is_four_times_the_training_lattice_and_its_chain_of_hashes_closes(
    folder: Path,
) -> None:
    trajectory = open_trajectory(folder / "trajectory.zarr", verify=True)
    assert trajectory.attributes["lattice"]["shape"] == [24, 24]
    provenance = read_json(folder / "provenance.json")
    dataset = open_dataset(provenance["parents"]["dataset"]["path"])
    assert provenance["parents"]["dataset"]["content_hash"] == dataset.content_hash
    assert trajectory.attributes["parents"]["model"] == provenance["outputs"]["model"]["content_hash"]
    assert provenance["outputs"]["trajectory"]["content_hash"] == trajectory.attributes["content_hash"]


def test_the_comparison_starts_from_exact_states_that_the_training_has_not_seen(folder: Path) -> None:
    provenance = read_json(folder / "provenance.json")
    dataset = open_dataset(provenance["parents"]["dataset"]["path"])
    test = split_dataset(dataset, 0).test
    starts = test[(dataset.source_names[test] == "quench") & (dataset.step[test] == 0)]
    learned = open_trajectory(folder / "comparison.zarr")
    assert len(starts) > 0
    np.testing.assert_array_equal(learned.spins(0), dataset.spins[starts])


@pytest.mark.slow
def test_a_continued_main_job_keeps_the_model_and_goes_on_with_the_large_run(
    folder: Path, outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(outputs))
    before = read_json(folder / "provenance.json")["outputs"]["model"]["content_hash"]
    earlier = open_trajectory(folder / "trajectory.zarr").spins(-1)
    assert main([f"resume={folder}", "protocol.steps=25"]) == 0
    said = capsys.readouterr().out
    assert "are reused" in said
    assert "training is not repeated" in said
    assert "continuing after step 20 of 25" in said
    assert read_json(folder / "provenance.json")["outputs"]["model"]["content_hash"] == before
    trajectory = open_trajectory(folder / "trajectory.zarr", verify=True)
    assert list(trajectory.step[-2:]) == [20, 25]
    np.testing.assert_array_equal(trajectory.spins(-2), earlier)
