"""task=analyze: a stored trajectory gives what was measured while it was made, and more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magsim.config import check, compose
from magsim.dynamics import open_trajectory
from magsim.errors import ConfigError
from magsim.lattice import make_lattice
from magsim.runs import read_series
from magsim.tasks.dispatch import execute

JOB = ["logger=csv", "compute=cpu"]
SYSTEM = ["task=simulate", "lattice.shape=[6,6]", "protocol.steps=15", "protocol.record_every=2"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short exact quench of four replicas, with no figures."""
    folder = tmp_path_factory.mktemp("simulated") / "run"
    cfg = [*JOB, *SYSTEM, "protocol.replicas=4", "observables.figures=[]", f"output={folder}"]
    execute(compose(cfg))
    return folder


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))


def analyze(simulated: Path, folder: Path, *more: str) -> dict:
    return execute(
        compose(["task=analyze", f"task.path={simulated}", f"output={folder}", *JOB, *more]), folder=folder
    )


def test_series_are_those_of_the_simulation(simulated: Path, tmp_path: Path) -> None:
    before = read_series(simulated / "metrics.csv")
    assert not list(simulated.glob("*.png"))
    names = ["energy", "magnetisation", "wall_density", "cluster_size"]
    metrics = analyze(
        simulated, tmp_path / "a", f"observables.names=[{','.join(names)}]", "observables.figures=[]"
    )
    after = read_series(tmp_path / "a" / "metrics.csv")
    for name in names:
        assert after[f"analyze/{name}"] == before[f"simulate/{name}"]
        last = before[f"simulate/{name}"][1][-1]
        assert metrics[f"analyze/final_{name}"] == pytest.approx(last, rel=1e-9)


def test_every_figure_and_its_numbers_are_on_the_page(simulated: Path, tmp_path: Path) -> None:
    from magsim.tasks.trajectories.figures import FIGURES

    of_others = ("hysteresis", "wall_motion", "transport", "space_time", "strips")  # field sweeps and drives
    figures = [name for name in FIGURES if name not in of_others]
    more = [f"observables.figures=[{','.join(figures)}]", "observables.waiting=[0]", "labeler=ed"]
    end = float(open_trajectory(simulated / "trajectory.zarr").time[-1])
    window = f"observables.fit=[{end / 8},{end}]"
    names = "observables.names=[magnetisation,mean_chirality,chirality_domain_size,wall_density]"
    metrics = analyze(simulated, tmp_path / "a", names, window, *more)
    page = (tmp_path / "a" / "report.html").read_text()
    drawn = {file.stem for file in (tmp_path / "a").glob("*.png")}
    assert drawn >= {
        "observables_1",
        "domain_growth",
        "scaling_collapse",
        "binder",
        "aging",
        "excitations",
        "wall_directions",
        "chirality_map",
        "charge_map",
        "spin_map",
        "density_map",
        "density_histogram",
        "structure_factor",
    }
    assert page.count("data:image/png") == len(drawn)
    assert metrics["analyze/growth_replicas"] == 4
    assert np.isfinite(metrics["analyze/growth_exponent_error"])
    with np.load(tmp_path / "a" / "density.npz") as stored:
        assert stored["density"][-1].min() == metrics["analyze/density_min"]


def test_density_is_that_of_the_electrons_that_made_the_run(simulated: Path, tmp_path: Path) -> None:
    from magsim.tasks.build import build_labeler

    # another Hamiltonian on the command line is not that of the trajectory
    more = ["observables.names=[energy]", "observables.figures=[density]", "hamiltonian.J=1"]
    analyze(simulated, tmp_path / "a", *more)
    spins = open_trajectory(simulated / "trajectory.zarr").spins(-1)[:1]
    exact = build_labeler(compose(SYSTEM)).label(spins).density
    with np.load(tmp_path / "a" / "density.npz") as stored:
        np.testing.assert_allclose(stored["density"][-1], np.asarray(exact)[0], atol=1e-10)


def test_times_choose_frames(simulated: Path, tmp_path: Path) -> None:
    time = open_trajectory(simulated / "trajectory.zarr").time
    more = ["observables.names=[magnetisation]", "observables.figures=[]", "observables.every=2"]
    analyze(simulated, tmp_path / "a", f"task.times=[{time[1]},{time[4]}]", *more)
    steps, _ = read_series(tmp_path / "a" / "metrics.csv")["analyze/magnetisation"]
    assert steps == [2, 6, 8]
    with pytest.raises(ConfigError, match=r"task\.times"):
        analyze(simulated, tmp_path / "b", "task.times=[1e6,2e6]")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("task.path=null", "task.path"),
        ("task.path=/nowhere", "task.path"),
        ("task.times=[3,1]", "task.times"),
        ("task.export=[png]", "task.export"),
        ("task.film=avi", "task.film"),
        ("observables.figures=[portrait]", "observables.figures"),
        ("observables.fit=[0,10]", "observables.fit"),
        ("observables.waiting=[-1]", "observables.waiting"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(simulated: Path, override: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(compose(["task=analyze", f"task.path={simulated}", override]))
    assert refused.value.key == key


def test_files_that_cannot_be_made_are_refused_before_anything_is_measured(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("magsim.tasks.analyze._measured", lambda *given: pytest.fail("measured"))
    with pytest.raises(ConfigError, match=r"^task\.replica=9: the trajectory has \d+, from 0 on"):
        analyze(simulated, tmp_path / "a", "task.replica=9")
    monkeypatch.setattr("magsim.tasks.analyze.lattice_of", lambda trajectory: make_lattice("chain", [36]))
    with pytest.raises(ConfigError, match=r"^lattice\.name=chain: a film needs a two-dimensional lattice"):
        analyze(simulated, tmp_path / "b", "task.film=gif")


def test_a_figure_that_does_not_fit_is_an_error_of_an_analysis_and_a_warning_of_a_run(
    simulated: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="waiting"):
        analyze(simulated, tmp_path / "a", "observables.names=[energy]", "observables.figures=[aging]")
    folder = tmp_path / "chain"
    job = ["lattice=chain", "lattice.shape=[6]", "hamiltonian.mu=-2", f"output={folder}"]
    execute(compose([*JOB, *SYSTEM, *job, "observables.figures=[chirality,structure_factor]"]))
    assert [file.stem for file in folder.glob("*.png")] == ["structure_factor"]
