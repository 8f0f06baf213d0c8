"""The jobs of a sweep share a folder and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runs import QUICK, only, redirected
from omegaconf import OmegaConf

from magsim.runs import read_json, read_status
from magsim.tasks.cli import main


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return redirected(tmp_path, monkeypatch)


def test_one_failing_job_of_a_sweep_does_not_take_the_others_along(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-m", *QUICK, "seed=1,14,2", "integrator.alpha=0.5,-1"]) == 1
    sweep = only(outputs)
    assert sweep.name.startswith("sweep-")
    states = {f.parent.name.split("-")[0]: read_status(f.parent) for f in sweep.glob("[0-9]*/status.json")}
    assert {number: state["status"] for number, state in states.items()} == {
        "0": "done", "1": "failed", "2": "failed", "3": "failed", "4": "done", "5": "failed",
    }  # fmt: skip
    assert states["2"]["reason"] == "ValueError: bug"
    assert states["1"]["reason"] == "integrator.alpha=-1.0: must be zero or positive."
    out, err = capsys.readouterr()
    assert "2 of 6 jobs done" in out
    assert [line.split("-")[0] for line in err.splitlines() if line.startswith("  ")] == [
        f"  {number}" for number in (1, 2, 3, 5)
    ]


@pytest.mark.slow
def test_a_sweep_in_which_all_failures_are_wrong_input_has_exit_code_2(outputs: Path) -> None:
    assert main(["-m", *QUICK, "seed=1,15", "integrator.alpha=0.5,-1"]) == 2


def test_a_sweep_without_failures_has_exit_code_0(outputs: Path) -> None:
    assert main(["-m", *QUICK, "seed=1,2"]) == 0
    assert len(list(outputs.glob("simulate/default/sweep-*/[0-9]*/metrics.json"))) == 2


def test_a_sweep_ends_in_one_page_over_its_finished_jobs(outputs: Path) -> None:
    assert main(["-m", *QUICK, "seed=1,14,2"]) == 1
    folder = only(outputs) / "comparison"
    assert read_json(folder / "metrics.json")["compare/done"] == 2
    assert "ValueError: bug" in (folder / "report.html").read_text()


def test_a_preset_sweeps_without_a_flag_and_the_command_line_replaces_its_values(outputs: Path) -> None:
    """Hydra alone would run every job once for each value of the preset and of the command line."""
    assert main(["experiment=ablation_cutoff", *QUICK, "model=bp", "descriptor.cutoff=1,3"]) == 0
    jobs = [OmegaConf.load(f.parent / "config.yaml") for f in outputs.rglob("[0-9]*/status.json")]
    assert sorted((job.model.name, job.descriptor.cutoff) for job in jobs) == [("bp", 1.0), ("bp", 3.0)]
