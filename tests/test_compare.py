"""task=compare: a table of what differs and of final metrics, and overlays of the series."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from magsim.errors import ConfigError
from magsim.runs import read_json, write_json
from magsim.tasks import dispatch
from magsim.tasks.cli import main
from magsim.tasks.compare import comparison
from magsim.tasks.comparison.entries import differing_keys, find_runs, read_entry

QUICK = ["task=simulate", "protocol.steps=3", "protocol.record_every=1", "logger=csv"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished jobs, one failed."""
    outputs = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGSIM_OUTPUTS", str(outputs))
        patch.setitem(dispatch.TASKS, "simulate", "fake_task")
        patch.syspath_prepend(str(Path(__file__).parent))
        assert main(["-m", *QUICK, "seed=1,2,14"]) == 1
    (folder,) = outputs.glob("simulate/default/sweep-*")
    return folder


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the comparisons go."""
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


def test_a_sweep_becomes_one_table_one_page_and_one_figure_per_series(sweep: Path, outputs: Path) -> None:
    assert main(["task=compare", f"runs={sweep}", "logger=csv"]) == 0
    (folder,) = outputs.glob("compare/default/*")
    with (folder / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["steps"]) for row in rows] == [("1", "3"), ("2", "3")]
    assert [float(row["test/rmse"]) for row in rows] == pytest.approx([0.1, 0.2])
    assert set(rows[0]) == {"run", "seed", "test/rmse", "steps"}, "keys that do not differ stay out"
    assert (folder / "figures" / "train_loss.png").stat().st_size > 1000
    page = (folder / "report.html").read_text()
    assert "ValueError: bug" in page, "the failed job is listed apart with its reason"
    assert read_json(folder / "metrics.json") == {
        "compare/done": 2,
        "compare/failed": 1,
        "compare/running": 0,
    }


def test_runs_are_found_by_folder_and_by_glob_in_the_order_of_jobs(sweep: Path) -> None:
    numbers = [folder.name.split("-")[0] for folder in find_runs(str(sweep))]
    assert numbers == ["0", "1", "2"]
    assert find_runs(f"{sweep}/0-*,{sweep}") == find_runs(str(sweep))
    assert find_runs([f"{sweep}/0-*", str(sweep)]) == find_runs(str(sweep))
    with pytest.raises(ConfigError, match="runs="):
        find_runs(str(sweep / "0-*" / "metrics.csv"))


def test_a_list_of_runs_can_be_written_on_the_command_line(sweep: Path, outputs: Path) -> None:
    first, second = find_runs(str(sweep))[:2]
    assert main(["task=compare", f"runs=[{first},{second.parent}/1-*]", "logger=csv"]) == 0
    (folder,) = outputs.glob("compare/default/*")
    assert read_json(folder / "metrics.json")["compare/done"] == 2


def test_nothing_finished_and_unknown_series_are_errors(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["task=compare", f"runs={sweep}", "logger=csv", "task.metrics=[train/los]"]) == 2
    assert "train/loss" in capsys.readouterr().err
    copy = shutil.copytree(sweep, tmp_path / "copy")
    for folder in find_runs(str(copy)):
        write_json(folder / "status.json", read_json(folder / "status.json") | {"status": "failed"})
    assert main(["task=compare", f"runs={copy}", "logger=csv"]) == 2
    assert "none of the 3 runs there is finished" in capsys.readouterr().err


def test_only_keys_that_differ_enter_the_table(sweep: Path) -> None:
    entries = [read_entry(folder) for folder in find_runs(str(sweep))][:2]
    assert differing_keys(entries) == ["seed"]
    assert comparison(entries).columns == ("run", "seed", "test/rmse", "steps")
