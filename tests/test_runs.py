"""A run folder tells the truth about its run, whatever ends it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from magsim.config import compose, resumed
from magsim.errors import ConfigError, DataError
from magsim.runs import ProgressBar, Series, dataset_folder, read_json, read_series, read_status, write_json
from magsim.tasks import dispatch
from magsim.tasks.cli import main
from magsim.tasks.dispatch import execute

QUICK = ["task=simulate", "protocol.steps=6", "protocol.record_every=2", "logger=csv"]


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setitem(dispatch.TASKS, "simulate", "fake_task")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "outputs"


def _only(outputs: Path, pattern: str = "simulate/*/*") -> Path:
    (folder,) = outputs.glob(pattern)
    return folder


def test_a_finished_run_holds_everything_that_made_it(outputs: Path) -> None:
    assert main([*QUICK, "name=trial", "seed=3"]) == 0
    folder = _only(outputs)
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
    folder = _only(outputs)
    status = read_json(folder / "status.json")
    if status["born"] is None:
        pytest.skip("this system does not say when a process started")
    write_json(folder / "status.json", status | {"status": "running"})
    assert read_status(folder)["status"] == "running"
    write_json(folder / "status.json", status | {"status": "running", "born": status["born"] - 1})
    assert read_status(folder)["status"] == "failed"


def test_a_run_of_another_host_is_resumed_with_a_warning(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(QUICK)
    folder = _only(outputs)
    status = read_json(folder / "status.json") | {"status": "running", "host": "node17", "pid": 1}
    write_json(folder / "status.json", status)
    assert read_status(folder)["status"] == "running"
    assert main([f"resume={folder}"]) == 0
    assert "node17 (process 1), which cannot be checked from here" in capsys.readouterr().out


def test_a_run_that_is_still_running_is_not_resumed(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(QUICK)
    folder = _only(outputs)
    living = {"status": "running", "pid": os.getpid()}
    write_json(folder / "status.json", read_json(folder / "status.json") | living)
    assert main([f"resume={folder}"]) == 2
    assert f"still running (process {os.getpid()})" in capsys.readouterr().err


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
    folder = _only(outputs)
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
    folder = _only(outputs)
    assert read_status(folder)["status"] == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert read_json(folder / "status.json")["status"] == "running"
    status = read_status(folder)
    assert status["status"] == "failed"
    assert status["reason"].startswith("killed")


def test_resume_continues_the_folder_with_its_configuration(outputs: Path) -> None:
    main([*QUICK, "seed=5"])
    folder = _only(outputs)
    assert main([f"resume={folder}", "protocol.steps=10"]) == 0
    assert _only(outputs) == folder
    assert read_json(folder / "status.json")["id"] == folder.name[-8:]
    assert read_series(folder / "metrics.csv")["train/loss"][0] == list(range(10))
    stored = OmegaConf.load(folder / "config.yaml")
    assert (stored.seed, stored.protocol.steps, stored.resume) == (5, 10, None)
    assert len(read_json(folder / "provenance.json")["resumed"]) == 1
    assert main([f"resume={folder}", "protocol.steps=12"]) == 0
    assert read_json(folder / "metrics.json")["steps"] == 12


def test_resume_takes_what_is_asked_for_where_a_default_has_changed_since(outputs: Path) -> None:
    """The steps of a run that was made with another default: stored in its config.yaml alone."""
    main([*QUICK, "seed=5"])
    folder = _only(outputs)
    default = compose([]).protocol.steps
    overrides = [o for o in OmegaConf.load(folder / "overrides.yaml") if not o.startswith("protocol.steps")]
    (folder / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(overrides)))
    stored = OmegaConf.load(folder / "config.yaml").protocol.steps
    assert stored < default
    assert resumed(folder)[0].protocol.steps == stored
    assert resumed(folder, [f"protocol.steps={default}"])[0].protocol.steps == default


def test_resume_refuses_another_physics(outputs: Path) -> None:
    execute(compose(QUICK), QUICK)
    folder = _only(outputs)
    for override, sentence in {
        "hamiltonian.J=2.0": "hamiltonian.J=2.0: a resumed run keeps 3.0",
        "lattice=square": "lattice.name=square: a resumed run keeps triangular",
        "protocol.steps=4": "protocol.steps=4: a resumed run can only go on: at least 6",
        "seed=1": "seed=1: a resumed run keeps 0",
        "task=compare": "task.name=compare: a resumed run keeps simulate",
    }.items():
        with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
            resumed(folder, [override])
    cfg, overrides = resumed(folder, ["compute.threads=1"])
    assert cfg.compute.threads == 1
    assert overrides == [*QUICK, "compute.threads=1"]


def test_one_failing_job_of_a_sweep_does_not_take_the_others_along(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-m", *QUICK, "seed=1,14,2", "integrator.alpha=0.5,-1"]) == 1
    sweep = _only(outputs)
    assert sweep.name.startswith("sweep-")
    states = {f.parent.name.split("-")[0]: read_status(f.parent) for f in sweep.glob("*/status.json")}
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


def test_a_sweep_in_which_all_failures_are_wrong_input_has_exit_code_2(outputs: Path) -> None:
    assert main(["-m", *QUICK, "seed=1,15", "integrator.alpha=0.5,-1"]) == 2


def test_a_sweep_without_failures_has_exit_code_0(outputs: Path) -> None:
    assert main(["-m", *QUICK, "seed=1,2"]) == 0
    assert len(list(outputs.glob("simulate/default/sweep-*/*/metrics.json"))) == 2


def test_wandb_records_one_offline_run_per_job_and_says_how_to_sync(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    assert main([*(o for o in QUICK if o != "logger=csv"), "logger=wandb", "seed=3"]) == 0
    folder = _only(outputs)
    (record,) = folder.glob("wandb/offline-run-*")
    assert record.name.endswith(folder.name[-8:])
    assert capsys.readouterr().out.count(f"wandb sync {record}") == 1
    assert read_json(folder / "metrics.json")["steps"] == 6  # files are written as with logger=csv
    assert (folder / "metrics.csv").exists()


def test_without_wandb_installed_the_run_says_so_and_goes_on(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main([*(o for o in QUICK if o != "logger=csv"), "logger=wandb"]) == 0
    assert capsys.readouterr().out.count("wandb is not installed") == 1
    assert read_json(_only(outputs) / "status.json")["status"] == "done"


def test_wandb_that_cannot_start_does_not_stop_the_run(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def refuse(**_: Any) -> None:
        raise RuntimeError("no service")

    monkeypatch.setattr(wandb, "init", refuse)
    assert main([*(o for o in QUICK if o != "logger=csv"), "logger=wandb", "logger.mode=online"]) == 0
    out = capsys.readouterr().out
    assert "does not start online (no service)" in out
    assert "does not start offline" in out


def test_series_add_columns_as_metrics_appear_and_keep_the_last_value_of_a_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    series = Series(path)
    series.append({"train/loss": 1.0}, 0)
    series.append({"val/loss": 3.0, "train/loss": np.float32(0.5)}, 1)
    Series(path).append({"train/loss": 0.25}, 1)
    path.open("a").write("2,0.1")  # a line cut by a kill: complete numbers count, garbage does not
    path.open("a").write("\n3,0.x")
    found = read_series(path)
    assert found["train/loss"] == ([0, 1, 2], [1.0, 0.25, 0.1])
    assert found["val/loss"] == ([1], [3.0])


def test_a_killed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_json(path, {"status": "running"})

    def crash(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"status": "done"})
    assert json.loads(path.read_text()) == {"status": "running"}


def test_a_broken_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(DataError, match=r"status\.json"):
        read_status(tmp_path)


def test_datasets_lie_below_outputs_by_key(outputs: Path) -> None:
    assert dataset_folder("abc") == outputs / "datasets" / "abc"


def test_progress_without_a_terminal_prints_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("magsim.runs.console.PLAIN_INTERVAL", 0.0)
    now = iter(range(1000))
    monkeypatch.setattr("magsim.runs.console.time.monotonic", lambda: float(next(now)))
    with ProgressBar("labels", 40, "snapshots", done=10) as bar:
        bar.advance(10, loss=0.25)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("  labels  20/40 snapshots  50 %")
    assert "s left" in out[0]
    assert "loss 0.25" in out[0]
    assert out[-1].startswith("  labels: 20 snapshots in")


def test_lightning_metrics_reach_the_run(outputs: Path) -> None:
    from magsim.runs import open_run
    from magsim.runs.lightning_logger import RunLogger

    cfg = compose(["logger=csv"])
    with open_run(cfg, "train", flat={}) as run:
        logger = RunLogger(run)
        logger.log_metrics({"loss": 1.0, "val/rmse": 2.0, "epoch": 3}, step=4)
    found = read_series(run.folder / "metrics.csv")
    assert found == {"train/loss": ([4], [1.0]), "val/rmse": ([4], [2.0])}
