"""task=benchmark: tables and JSON with ratios of rates that were measured in one run; no rate is asserted."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from magsim.config import check, compose
from magsim.config.checks.job import PARTS
from magsim.dynamics import INTEGRATORS
from magsim.errors import ConfigError
from magsim.lattice import make_lattice
from magsim.runs import open_run
from magsim.spins import random_rotation, random_spins
from magsim.tasks import benchmark
from magsim.tasks.benchmark import (
    classical,
    e3nn_network,
    eigensolver,
    labelers,
    limits,
    models,
    spirit_package,
)
from magsim.tasks.benchmark.timing import time_calls
from magsim.tasks.costs import load_costs

JOB = (
    "task=benchmark",
    "task.parts=[llg,training,classical]",
    "logger=csv",
    "compute=cpu",
    "task.seconds=0.02",
    "task.shapes=[[4,4],[5,5],[6,6]]",
)
JOB += ("task.exact_max_sites=30", "lattice.shape=[4,4]", "descriptor.cutoff=1.1", "integrator.alpha=0.3")


def benchmarked(tmp_path: Path, *more: str) -> tuple[dict, dict, Path]:
    cfg = compose([*JOB, *more])
    with open_run(cfg, "benchmark", flat={}, folder=tmp_path / "run") as run:
        metrics = benchmark.run(cfg, run)
    return metrics, json.loads((run.folder / "benchmark.json").read_text()), run.folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "SIDE", 8)
    monkeypatch.setattr(classical, "TURNS", 1)


def test_rates_and_ratios_go_to_table_json_and_page(tmp_path: Path, capsys) -> None:
    metrics, stored, folder = benchmarked(tmp_path)
    small, middle, large = stored["llg"]
    for row in stored["llg"]:
        assert row["ratio"] == pytest.approx(row["learned_steps_per_second"] / row["exact_steps_per_second"])
        name = "x".join(map(str, row["shape"]))
        assert metrics[f"benchmark/learned_over_exact_{name}"] == row["ratio"]
    assert small["exact"] in ("measured", "one solution")
    assert large["exact"] == "extrapolated"
    assert large["labels_per_second"] == pytest.approx(middle["labels_per_second"] * (25 / 36) ** 3)
    assert stored["training"]["samples_per_second"] > 0
    assert stored["training"]["sites"] == 16
    assert stored["machine"]["cores"] >= 1
    assert "untrained" in stored["learned_field"]
    rows = {(row["integrator"], row["T"]): row for row in stored["classical"]}
    for name in ("heun", "rk4", "sib"):
        for T in classical.TEMPERATURES:
            row = rows[name, T]
            assert row["magsim"] > 0
            assert metrics[f"benchmark/spin_updates_per_second_{name}_T{T:g}"] == row["magsim"]
            if stored["spirit"] != "not installed":
                assert row["ratio"] == pytest.approx(row["magsim"] / row["spirit"])
    shown = capsys.readouterr().out
    assert "Labels and LLG steps per second" in shown
    assert "extrapolated" in shown
    page = (folder / "report.html").read_text()
    assert "magsim/spirit" in page
    assert page.count("<img") == 2


def test_without_spirit_its_columns_are_empty_and_said_to_be_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "spirit", None)  # importing it fails
    monkeypatch.setattr(classical, "TEMPERATURES", (0.0,))
    metrics, stored, folder = benchmarked(tmp_path, "task.shapes=[[4,4]]", "model=linear")
    assert stored["spirit"] == "not installed"
    assert {row["integrator"] for row in stored["classical"]} == set(INTEGRATORS)
    assert all(row["spirit"] is None and row["ratio"] is None for row in stored["classical"])
    assert not [key for key in metrics if "spirit" in key.replace("spin_", "")]
    assert "not installed" in (folder / "report.html").read_text()


@pytest.mark.skipif(spirit_package.load() is None, reason="spirit is not installed")
@pytest.mark.parametrize("solver", spirit_package.SOLVERS)
def test_spirit_integrates_the_same_ferromagnet(solver: str) -> None:
    """What is timed is a periodic square lattice with J per bond: damping brings E/N to -2 J and no lower."""
    with spirit_package.ferromagnet(solver, 0.0, 6, 0.05, 0.5) as system:
        start = system.energy()
        system.advance(3000)
        end = system.energy()
    assert abs(start) < 0.6
    assert -2.0001 <= end < start - 0.6


def test_a_first_call_much_longer_than_the_budget_is_the_measurement() -> None:
    calls = []

    def slow() -> None:
        import time

        calls.append(time.sleep(0.02))

    assert time_calls(slow, 0.002).calls == 1
    assert len(calls) == 1
    assert time_calls(lambda: None, 0.01).calls > 10


def test_labels_by_green_functions_are_timed_beside_lapack_with_their_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(eigensolver, "TRIAL", 40)
    monkeypatch.setattr(labelers, "SMALL", 32)
    monkeypatch.setattr(labelers, "LARGE", 100)
    shapes = "task.label_shapes=[[4,4],[6,6],[8,8]]"
    metrics, stored, folder = benchmarked(
        tmp_path, "task.parts=[labelers]", shapes, "task.eigh_max_sites=36", "hamiltonian.T=0.05"
    )
    small, middle, large = stored["labelers"]["rows"]
    for row in (small, middle):
        assert row["ratio"] == pytest.approx(row["eigh"] / row["double"])
        assert row["error"] < labelers.TOLERANCE
        assert row["error"] <= row["stated"]
        assert row["single_error"] < 3e-6
    assert large["eigh"] is None
    assert metrics["benchmark/greens_over_eigh_6x6"] == middle["ratio"]
    assert load_costs("cpu").greens == stored["labelers"]["costs"]["greens"]
    assert "not measured here" not in load_costs("cpu").machine
    assert "eigh/greens" in capsys.readouterr().out
    assert (folder / "report.html").read_text().count("<img") == 1


def test_a_learned_field_is_timed_at_the_voltage_of_the_strip(tmp_path: Path) -> None:
    strip = ("lattice=square", "lattice.boundary=[open,periodic]", "hamiltonian=driven", "labeler=negf")
    model = ("model=potential", "model.voltage_input=true", "descriptor.cutoff=1.0", "model.hidden=[4]")
    parts = ("task.parts=[llg]", "task.shapes=[[4,4]]", "hamiltonian.voltage=0.5")
    _, stored, _ = benchmarked(tmp_path, *strip, *model, *parts)
    assert stored["llg"][0]["learned_steps_per_second"] > 0
    assert stored["llg"][0]["exact"] in ("measured", "one solution")


@pytest.mark.parametrize("parts", ["[]", "[llg,llg]", "[label]"])
def test_parts_of_the_benchmark_are_named(parts: str) -> None:
    with pytest.raises(
        ConfigError, match=r"task\.parts.*labelers, kpm, probing, llg, models, training, classical, negf"
    ):
        check(compose([*JOB, f"task.parts={parts}"]))


def test_the_parts_that_a_configuration_may_name_are_those_that_exist() -> None:
    assert set(PARTS) == set(benchmark.PARTS)


def test_learned_fields_are_timed_beside_the_published_network(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(models, "SITES", 64)
    monkeypatch.setattr(models, "START", 8)
    monkeypatch.setattr(limits, "COPIED", 2**16)
    monkeypatch.setitem(limits.SIDE, "cpu", 32)
    chosen = ["task.parts=[models]", "task.models=[linear,kondo_equivariant]", "lattice=square"]
    metrics, stored, _ = benchmarked(tmp_path, *chosen, "lattice.shape=[8,8]")
    rows = {row["name"]: row for row in stored["models"]["rows"]}
    assert all(row["microseconds"] > 0 and row["sites"] == 64 for row in rows.values())
    assert rows["kondo_equivariant"]["arithmetic"] > 0
    assert rows["linear"]["bandwidth"] > 0
    if e3nn_network.installed():
        published = rows["published"]
        assert published["weights"] == rows["published, merged"]["weights"] == 17401
        ratio = published["microseconds"] / rows["linear"]["microseconds"]
        assert (
            metrics["benchmark/published_over_linear_64"] == rows["linear"]["ratio"] == pytest.approx(ratio)
        )
    assert "published/model" in capsys.readouterr().out


def test_without_e3nn_the_table_says_so_and_has_no_ratios(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(models, "SITES", 16)
    monkeypatch.setattr(models, "START", 4)
    monkeypatch.setattr(limits, "COPIED", 2**16)
    monkeypatch.setitem(limits.SIDE, "cpu", 32)
    monkeypatch.setattr(e3nn_network, "installed", lambda: False)
    chosen = ("task.parts=[models]", "task.models=[equivariant]", "lattice=square", "lattice.shape=[4,4]")
    _, stored, folder = benchmarked(tmp_path, *chosen)
    assert [row["ratio"] for row in stored["models"]["rows"]] == [None]
    assert stored["models"]["published"] in (folder / "report.html").read_text()


@pytest.mark.skipif(not e3nn_network.installed(), reason="e3nn is not installed")
def test_the_published_network_is_one_of_spin_rotations_in_both_orders() -> None:
    lattice = make_lattice("square", (5, 4))
    rng = np.random.default_rng(0)
    spins = torch.tensor(random_spins(20, rng, (1,)))
    R = torch.tensor(random_rotation(rng))
    for merged in (False, True):
        torch.manual_seed(0)
        network = e3nn_network.PublishedNetwork(lattice, merged).double().eval()
        energy, field = network(spins)
        turned, field_turned = network(spins @ R.T)
        torch.testing.assert_close(turned, energy)
        torch.testing.assert_close(field_turned, field @ R.T)
        assert field.abs().max() > 1e-6


def test_what_an_evaluation_moves_and_multiplies_is_counted() -> None:
    a, b = torch.rand(5, 7), torch.rand(7, 3)
    work = limits.work_of(lambda: (a @ b).T.add_(1.0))
    assert work.operations == 2 * 5 * 7 * 3
    assert work.bytes == 4 * (35 + 21 + 15) + 4 * (15 + 15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sparse tensors are in beta
        sparse = a.to_sparse_csr()
    assert limits.work_of(lambda: sparse @ b).operations == 0  # only what is dense has a known cost


def test_models_of_the_benchmark_are_options_or_presets() -> None:
    with pytest.raises(ConfigError, match=r"task\.models.*bp.*equivariant.*linear"):
        check(compose([*JOB, "task.models=[mlp]"]))
