"""Labels from several workers: the dataset is the same, bit by bit, however the work was divided."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from magsim.arrays import set_cores
from magsim.config import check, compose
from magsim.datasets.dataset import SpinDataset
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError, RunError
from magsim.tasks.cli import main
from magsim.tasks.labelling import cluster, foreman, worker

RUN = Path(__file__).resolve().parents[1] / "run.py"
SMALL = (
    "task=label",
    "logger=csv",
    "lattice.shape=[4,4]",
    "sampler.random.count=12",
    "sampler.quench.trajectories=5",
    "sampler.quench.steps=24",
    "sampler.quench.record_every=2",
)
LONG = (*SMALL[:3], "sampler.random.count=40", "sampler.quench.trajectories=5", "sampler.quench.steps=160")


# ------------------------------------------------------------------------------------------------ pieces


class Here:
    """A client whose workers are this process; ``disturb`` may end a task in another way."""

    def __init__(self, disturb: Callable[[int, Future], bool] = lambda k, future: False) -> None:
        self.submitted = 0
        self._disturb = disturb

    def submit(self, function: Callable, *arguments: Any, priority: int, pure: bool) -> Future:
        future: Future = Future()
        self.submitted += 1
        if not self._disturb(self.submitted, future):
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_exception(error)
        return future

    def nthreads(self) -> dict[str, int]:
        return {"here": 1}


@pytest.fixture(autouse=True)
def _cores_of_this_process() -> Iterator[None]:
    """Where this process plays the worker, it takes the cores of one."""
    yield
    set_cores(None)


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


def use(monkeypatch, client: Here) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(foreman, "open_crew", lambda cfg, folder: nullcontext(cluster.Crew(client, 2, 1)))


def serial(path: Path, *words: str) -> SpinDataset:
    assert main([*words, f"output={path}"]) == 0
    return open_dataset(path)


def assert_same(a: SpinDataset, b: SpinDataset) -> None:
    assert a.key == b.key
    np.testing.assert_array_equal(a.spins, b.spins)
    np.testing.assert_allclose(a.field, b.field, rtol=0, atol=1e-12)
    assert a.content_hash == b.content_hash
    assert a.dt == b.dt
    assert a.method == b.method


def test_a_label_that_fails_stops_the_job_with_its_sentence(outputs: Path, monkeypatch, capsys) -> None:
    def fail(k: int, future: Future) -> bool:
        if k == 4:
            future.set_exception(RunError("the field of snapshot 9 is not finite."))
        return k == 4

    use(monkeypatch, Here(fail))
    words = [*SMALL, "compute.workers=2", f"output={outputs / 'a.zarr'}"]
    assert main(words) == 1
    assert "the field of snapshot 9 is not finite" in capsys.readouterr().err
    assert (outputs / "a.zarr" / ".parts").is_dir()  # what was made is kept

    again = Here()
    use(monkeypatch, again)
    assert main(words) == 0
    assert "snapshots" in capsys.readouterr().out
    assert not (outputs / "a.zarr" / ".parts").exists()
    assert open_dataset(outputs / "a.zarr").complete


def test_a_worker_that_would_label_otherwise_is_refused(outputs: Path, monkeypatch) -> None:
    """labeler=auto may choose another method on another machine; the key of the dataset names one."""
    cfg = compose([*SMALL])
    config = foreman._portable(cfg)
    job = worker.job_text(config, outputs, "cpu", 1, {"name": "greens"})
    with pytest.raises(RunError, match=r"label with \{'name': 'ed'\}, .* one of \{'name': 'greens'\}"):
        worker.suggest_timestep(job)


def test_what_ends_every_worker_stops_the_job(outputs: Path, monkeypatch, capsys) -> None:
    from distributed.scheduler import KilledWorker

    def kill(k: int, future: Future) -> bool:
        if k == 3:
            last = SimpleNamespace(address="tcp://127.0.0.1:4000", name=0)
            future.set_exception(KilledWorker("piece", last, 3))
        return k == 3

    use(monkeypatch, Here(kill))
    assert main([*SMALL, "compute.workers=2", f"output={outputs / 'a.zarr'}"]) == 1
    assert "out of memory?" in capsys.readouterr().err


@pytest.mark.slow
def test_parts_of_other_workers_are_used_by_any_later_session(outputs: Path, monkeypatch, capsys) -> None:
    """Stopped after n pieces for two workers; gone on with alone, or with three workers and other pieces."""
    whole = serial(outputs / "whole.zarr", *SMALL)
    for n, rest in ((5, ["compute.workers=1"]), (14, ["compute.workers=3"])):

        def stop(k: int, future: Future, n: int = n) -> bool:
            if k == n:
                future.set_exception(RunError("stopped here."))
            return k == n

        use(monkeypatch, Here(stop))
        words = [*SMALL, f"output={outputs / f'{n}.zarr'}"]
        assert main([*words, "compute.workers=2"]) == 1
        use(monkeypatch, Here())
        capsys.readouterr()
        assert main([*words, *rest]) == 0
        assert "exact solutions" in capsys.readouterr().out
        assert_same(open_dataset(outputs / f"{n}.zarr"), whole)


# ---------------------------------------------------------------------------------------------- processes


def test_two_workers_make_the_dataset_of_one_process(outputs: Path, tmp_path: Path, monkeypatch) -> None:
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert_same(
        serial(outputs / "two.zarr", *SMALL, "compute.workers=2"), serial(outputs / "one.zarr", *SMALL)
    )
    assert not list(empty.iterdir())
    (metrics,) = (
        found
        for file in outputs.rglob("metrics.json")
        if "label/workers" in (found := json.loads(file.read_text()))
    )
    assert metrics["label/workers"] == 2
    assert metrics["label/lost_workers"] == 0
    assert not [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]


class Session:
    """A run in a process of its own."""

    def __init__(self, outputs: Path, output: Path, *words: str, **environment: str) -> None:
        environment |= {"MAGSIM_OUTPUTS": str(outputs), "OMP_NUM_THREADS": "1"}
        self.output = output
        self.process = subprocess.Popen(
            [sys.executable, str(RUN), *LONG, f"output={output}", *(words or ["compute.workers=2"])],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_parts(self, count: int) -> list[psutil.Process]:
        """Wait until so many pieces are stored; returns the workers."""
        deadline = time.monotonic() + 120
        while len(list(self.output.glob(".parts/*.npz"))) < count:
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(outputs: Path) -> None:
    session = Session(outputs, outputs / "killed.zarr")
    workers = session.wait_for_parts(12)
    assert len(workers) == 2
    workers[0].kill()
    said, _ = session.process.communicate(timeout=120)
    assert session.process.returncode == 0, said
    assert "1 of the workers lost" in said
    assert_same(open_dataset(outputs / "killed.zarr"), serial(outputs / "serial.zarr", *LONG))


@pytest.mark.slow
def test_a_killed_job_leaves_no_worker_and_goes_on_with_another_number_of_them(outputs: Path, capsys) -> None:
    session = Session(outputs, outputs / "killed.zarr")
    workers = session.wait_for_parts(12)
    session.process.send_signal(signal.SIGKILL)
    session.process.communicate()
    psutil.wait_procs(workers, timeout=5)
    assert not [w for w in workers if w.is_running() and w.status() != psutil.STATUS_ZOMBIE]
    kept = len(list((outputs / "killed.zarr" / ".parts").glob("*.npz")))
    assert kept >= 12
    assert main([*LONG, f"output={outputs / 'killed.zarr'}", "compute.workers=3"]) == 0
    whole = serial(outputs / "serial.zarr", *LONG)
    assert_same(open_dataset(outputs / "killed.zarr"), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_job_ends_its_workers(outputs: Path, number: int, code: int) -> None:
    session = Session(outputs, outputs / "stopped.zarr")
    workers = session.wait_for_parts(6)
    session.process.send_signal(number)
    session.process.communicate(timeout=30)
    assert session.process.returncode == code
    assert not [w for w in workers if w.is_running() and w.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_jobs_of_a_queue_are_workers_and_those_that_end_are_submitted_again(
    outputs: Path, tmp_path: Path
) -> None:
    """sbatch and scancel are scripts that run the job here and end it; the first job dies."""
    pytest.importorskip("dask_jobqueue")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text(
        f'#!/bin/bash\ncp "$1" {tmp_path}/script-$$\n'
        f'setsid bash {tmp_path}/script-$$ > /dev/null 2>&1 &\necho "Submitted batch job $!"\n'
        f"echo $! >> {tmp_path}/jobs\n"
    )
    (programs / "scancel").write_text('#!/bin/bash\nkill -- "-$1"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    words = [
        "compute.workers=1",
        "compute.cluster=slurm",
        "compute.slurm.queue=fast",
        "compute.slurm.walltime=00:10:00",
        "compute.slurm.directives=[--exclusive]",
    ]
    session = Session(outputs, outputs / "queue.zarr", *words, PATH=f"{programs}:{os.environ['PATH']}")
    session.wait_for_parts(12)
    os.killpg(int((tmp_path / "jobs").read_text().split()[0]), signal.SIGKILL)
    said, _ = session.process.communicate(timeout=120)
    assert session.process.returncode == 0, said
    assert len((tmp_path / "jobs").read_text().split()) == 2
    assert "1 of the workers lost" in said
    assert_same(open_dataset(outputs / "queue.zarr"), serial(outputs / "one.zarr", *LONG))
    script = next(iter(tmp_path.glob("script-*"))).read_text()
    for line in ("-p fast", "-t 00:10:00", "-n 1", "--exclusive"):
        assert f"#SBATCH {line}" in script


# ------------------------------------------------------------------------------------------ wrong requests


def test_workers_need_dask_and_a_queue_its_programs(monkeypatch) -> None:
    module = "magsim.config.checks.compute"
    monkeypatch.setattr(f"{module}.which", lambda program: None)
    monkeypatch.setattr(f"{module}.find_spec", lambda name: 1)
    with pytest.raises(ConfigError, match=r"compute\.cluster=slurm: there is no sbatch"):
        check(compose(["compute.cluster=slurm"]))
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == "dask_jobqueue" else 1)
    with pytest.raises(ConfigError, match=r"compute\.cluster=slurm: .* extra slurm"):
        check(compose(["compute.cluster=slurm"]))
    monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"compute\.workers=2: .*distributed"):
        check(compose(["compute.workers=2"]))
    check(compose(["compute.workers=2", "task=simulate", "checkpoint=."]))  # nothing is labelled
    check(compose([]))


def test_a_scheduler_that_does_not_answer_is_named(outputs: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    assert main([*SMALL, "compute.cluster=tcp://127.0.0.1:9"]) == 2
    assert "compute.cluster=tcp://127.0.0.1:9: no dask scheduler answers" in capsys.readouterr().err
