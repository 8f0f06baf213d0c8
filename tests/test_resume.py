"""A run goes on in its own folder, with its own configuration, or says why it cannot."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from fake_runs import QUICK, only, redirected
from omegaconf import OmegaConf

from magsim.config import compose, resumed
from magsim.errors import ConfigError
from magsim.runs import read_json, read_series, read_status, write_json
from magsim.tasks.cli import main
from magsim.tasks.dispatch import execute


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return redirected(tmp_path, monkeypatch)


def test_a_run_of_another_host_is_resumed_with_a_warning(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(QUICK)
    folder = only(outputs)
    status = read_json(folder / "status.json") | {"status": "running", "host": "node17", "pid": 1}
    write_json(folder / "status.json", status)
    assert read_status(folder)["status"] == "running"
    assert main([f"resume={folder}"]) == 0
    assert "node17 (process 1), which cannot be checked from here" in capsys.readouterr().out


def test_a_run_that_is_still_running_is_not_resumed(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(QUICK)
    folder = only(outputs)
    living = {"status": "running", "pid": os.getpid()}
    write_json(folder / "status.json", read_json(folder / "status.json") | living)
    assert main([f"resume={folder}"]) == 2
    assert f"still running (process {os.getpid()})" in capsys.readouterr().err


def test_resume_continues_the_folder_with_its_configuration(outputs: Path) -> None:
    main([*QUICK, "seed=5"])
    folder = only(outputs)
    assert main([f"resume={folder}", "protocol.steps=10"]) == 0
    assert only(outputs) == folder
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
    folder = only(outputs)
    default = compose([]).protocol.steps
    overrides = [o for o in OmegaConf.load(folder / "overrides.yaml") if not o.startswith("protocol.steps")]
    (folder / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(overrides)))
    stored = OmegaConf.load(folder / "config.yaml").protocol.steps
    assert stored < default
    assert resumed(folder)[0].protocol.steps == stored
    assert resumed(folder, [f"protocol.steps={default}"])[0].protocol.steps == default


def test_resume_refuses_another_physics(outputs: Path) -> None:
    execute(compose(QUICK), QUICK)
    folder = only(outputs)
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
