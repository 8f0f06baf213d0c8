"""A run folder tells the truth about its run, whatever ends it."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import QUICK, only, redirected
from omegaconf import OmegaConf

from magsim.config import compose
from magsim.runs import read_json, read_series, read_status, write_json
from magsim.tasks import dispatch
from magsim.tasks.cli import main
from magsim.tasks.dispatch import execute
from magsim.tasks.pages import _readable


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return redirected(tmp_path, monkeypatch)


def test_a_finished_run_holds_everything_that_made_it(outputs: Path) -> None:
    assert main([*QUICK, "name=trial", "seed=3"]) == 0
    folder = only(outputs)
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", folder.name)
    assert folder.parent == outputs / "simulate" / "trial"
    assert OmegaConf.load(folder / "config.yaml").seed == 3
    assert list(OmegaConf.load(folder / "overrides.yaml")) == [*QUICK, "name=trial", "seed=3"]
    status = read_json(folder / "status.json")
    assert (status["status"], status["task"], status["id"]) == ("done", "simulate", folder.name[-8:])
    assert read_json(folder / "metrics.json") == {"test/rmse": pytest.approx(0.3), "steps": 6}
    facts = read_json(folder / "provenance.json")
    assert facts["seed"] == 3
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["parents"]["dataset"]["content_hash"] == "d" * 8
    assert facts["outputs"]["model"]["content_hash"] == "m" * 8
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(6))
    assert not (folder / "error.log").exists()


def test_provenance_names_the_commit_and_the_dirty_diff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from magsim.runs import provenance

    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "a.txt").write_text("one\n")
    git("add", "a.txt")
    git("commit", "-qm", "first")
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    clean = provenance.provenance(0, "cpu", [])["git"]
    assert (len(clean["commit"]), clean["dirty"], clean["diff"]) == (40, False, "")
    (tmp_path / "a.txt").write_text("two\n")
    dirty = provenance.provenance(0, "cpu", [])["git"]
    assert dirty["dirty"]
    assert "+two" in dirty["diff"]
    assert clean["untracked"] == dirty["untracked"] == {}
    (tmp_path / "own.py").write_text("three\n")
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "results"))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "metrics.json").write_text("{}")
    untracked = provenance.provenance(0, "cpu", [])["git"]["untracked"]
    assert untracked == {"own.py": hashlib.sha256(b"three\n").hexdigest()}


def test_output_puts_the_run_folder_elsewhere_but_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, f"output={tmp_path}/here"]) == 0
    assert read_json(tmp_path / "here" / "status.json")["status"] == "done"
    assert main([*QUICK, f"output={tmp_path}/here"]) == 2
    assert "exists and is not empty; resume=" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["task=simulate", "task=label"])
def test_an_output_that_cannot_be_made_is_refused(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    where = tmp_path / "file" / "below"
    for mode in ([], ["-m"]):
        assert main([*mode, *QUICK, task, f"output={where}"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"output={where}: cannot be created: ")
        assert err.count("\n") == 1


def test_a_dataset_is_not_put_where_something_else_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outputs: Path
) -> None:
    assert main([*QUICK, f"output={tmp_path}/here"]) == 0
    assert main(["task=label", "logger=csv", f"output={tmp_path}/here"]) == 2
    assert "is a run folder, not a dataset" in capsys.readouterr().err
    assert not (outputs / "label").exists()


def test_threads_limit_torch_blas_and_the_eigensolver_during_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import types

    import torch
    from threadpoolctl import threadpool_info

    from magsim import arrays

    def limits() -> dict[str, Any]:
        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return {"cores": arrays.cores(), "torch": torch.get_num_threads(), "blas": max(pools)}

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    task = types.ModuleType("limited_task")
    task.run = lambda cfg, run: limits()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "limited_task", task)
    monkeypatch.setitem(dispatch.TASKS, "simulate", "limited_task")
    before = limits()
    assert before["cores"] == 3
    inside = execute(compose([*QUICK, "compute.threads=2"]))
    assert (inside["cores"], inside["torch"]) == (2, 2)
    assert inside["blas"] <= 2
    assert execute(compose([*QUICK, "compute.threads=1"])) == {"cores": 1, "torch": 1, "blas": 1}
    assert limits() == before


def test_different_devices_of_labels_and_models_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from magsim.tasks import build

    monkeypatch.setattr(dispatch, "driver_sees_a_gpu", lambda: True)
    monkeypatch.setattr(build, "cuda_available", lambda: False)
    for on_gpu, lines in ((True, 1), (False, 0)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda on_gpu=on_gpu: on_gpu)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "pretended")
        execute(compose(QUICK))
        assert capsys.readouterr().out.count("Labels on cpu, models and dynamics on cuda: CuPy") == lines


def test_a_process_of_the_same_number_is_not_taken_for_the_run(outputs: Path) -> None:
    main(QUICK)
    folder = only(outputs)
    status = read_json(folder / "status.json")
    if status["born"] is None:
        pytest.skip("this system does not say when a process started")
    write_json(folder / "status.json", status | {"status": "running"})
    assert read_status(folder)["status"] == "running"
    write_json(folder / "status.json", status | {"status": "running", "born": status["born"] - 1})
    assert read_status(folder)["status"] == "failed"


@pytest.mark.parametrize(
    ("seed", "code", "reason"),
    [
        (13, 1, "spin 4 lost its length at step 7"),
        (14, 1, "ValueError: bug"),
        (15, 2, "a.npz: bad"),
        (16, 143, "terminated (SIGTERM)"),
    ],
)
def test_a_failed_run_says_why_and_keeps_its_metrics(
    seed: int, code: int, reason: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, f"seed={seed}"]) == code
    folder = only(outputs)
    status = read_status(folder)
    assert (status["status"], status["reason"]) == ("failed", reason)
    assert "Traceback" in (folder / "error.log").read_text()
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert (str(folder / "error.log") in err) == (code == 1), "a failure says where the traceback is"
    assert len(read_series(folder / "metrics.csv")["train/loss"][0]) == 6


def test_a_killed_run_is_found_to_have_failed(outputs: Path, tmp_path: Path) -> None:
    """SIGKILL leaves `running` in the file; the reader notices that the process is gone."""
    code = (
        "import sys; from magsim.tasks import dispatch, cli; dispatch.TASKS['simulate'] = 'fake_task';"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    root = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root.parent}"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *QUICK, "seed=17"], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("waiting"):
            break
    folder = only(outputs)
    assert read_status(folder)["status"] == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert read_json(folder / "status.json")["status"] == "running"
    status = read_status(folder)
    assert status["status"] == "failed"
    assert status["reason"].startswith("killed")


def test_a_page_counts_uncommitted_changes_and_leaves_them_to_the_provenance() -> None:
    git = {
        "commit": "abc",
        "dirty": True,
        "status": " M a.py\n?? b.py\n",
        "diff": "+1\n-2\n+3\n",
        "untracked": {},
    }
    words = _readable({"seed": 0, "git": git})["git"]["uncommitted changes"]
    assert words == "2 files, 3 lines, all in provenance.json"
    assert _readable({"git": {**git, "dirty": False}})["git"] == {"commit": "abc"}
    assert _readable({"git": {}}) == {"git": {}}
