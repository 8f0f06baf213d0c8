"""The program as a process of its own: what it says, where it exits, and how quickly."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "run.py"


def _run(*arguments: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """What the program said, and the processor time it took, whatever else the machine does."""
    start = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, _seconds_of_children() - start


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    "line",
    ["lattice.shap=[6,6]", "lattice=triangle", "descriptor.cutoff=6", "task=train data.path=nowhere.npz"],
)
def test_the_program_stops_within_seconds_from_any_directory(line: str, tmp_path: Path) -> None:
    done, seconds = _run(*line.split(" "), folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert seconds < 5  # about 1 s
    assert not list(tmp_path.iterdir())


def test_help_lists_the_groups_and_is_quick(tmp_path: Path) -> None:
    done, seconds = _run("--help", folder=tmp_path)
    assert done.returncode == 0
    assert "honeycomb, kagome" in done.stdout
    assert "schema" not in done.stdout
    assert seconds < 1.5  # about 0.7 s


@pytest.mark.parametrize("flag", ["--help", "--hydra-help"])
def test_a_reader_that_leaves_early_hears_no_complaint(flag: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `head -0` does
    done = subprocess.run(
        [sys.executable, str(RUN), flag], stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
