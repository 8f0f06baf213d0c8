"""What a run writes down: W&B, series, progress, JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import QUICK, only, redirected

from magsim.config import compose
from magsim.errors import DataError
from magsim.runs import ProgressBar, Series, dataset_folder, read_json, read_series, read_status, write_json
from magsim.tasks.cli import main


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return redirected(tmp_path, monkeypatch)


def test_wandb_records_one_offline_run_per_job_and_says_how_to_sync(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    assert main([*(o for o in QUICK if o != "logger=csv"), "logger=wandb", "seed=3"]) == 0
    folder = only(outputs)
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
    assert read_json(only(outputs) / "status.json")["status"] == "done"


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
