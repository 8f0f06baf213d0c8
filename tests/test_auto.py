"""labeler=auto: the cheapest labeler that meets the tolerance, and it says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magsim.config import compose
from magsim.errors import DataError
from magsim.hamiltonian.electronic import ProjectedDoubleExchange, SDHamiltonian
from magsim.labelers import AutoLabeler, Costs, EDLabeler, GreensLabeler
from magsim.labelers.auto import solutions
from magsim.labelers.greens.electrons import GreensSolver
from magsim.lattice import make_lattice
from magsim.runs import write_json
from magsim.spins import random_spins, rng
from magsim.tasks.build import build_labeler, build_sampler
from magsim.tasks.costs import costs_file, load_costs, store_costs
from magsim.tasks.labelling.dataset import dataset_key


def hamiltonian(*shape: int, T: float = 0.1, **ensemble: float) -> SDHamiltonian:
    return SDHamiltonian(make_lattice("triangular", shape), (1.0,), T=T, J=3.0, **(ensemble or {"mu": -3.2}))


def test_small_systems_are_diagonalised_large_ones_take_green_functions() -> None:
    assert AutoLabeler(hamiltonian(3, 3)).chosen.name == "ed"
    assert AutoLabeler(hamiltonian(24, 24)).chosen.name == "greens"


def test_a_loose_tolerance_on_a_large_lattice_takes_chebyshev_moments() -> None:
    costs = Costs(kpm=1e9, greens=1e9)
    assert AutoLabeler(hamiltonian(60, 60, T=0.5), tolerance=0.05, costs=costs).chosen.name == "kpm"
    assert AutoLabeler(hamiltonian(60, 60, T=0.5), tolerance=1e-8, costs=costs).chosen.name == "greens"


def test_where_moments_have_no_kernel_for_the_gpu_they_are_no_choice() -> None:
    projected = ProjectedDoubleExchange(make_lattice("square", (6, 6)), (1.0,), T=0.5, filling=0.4)
    assert not AutoLabeler(projected, tolerance=0.05)._kpm().refused
    assert "no GPU" in AutoLabeler(projected, device="cuda", tolerance=0.05)._kpm().refused


def test_at_zero_temperature_moments_are_no_choice() -> None:
    cold = AutoLabeler(hamiltonian(8, 8, T=0.0), tolerance=0.05)
    assert {c.name: c.refused for c in cold.candidates}["kpm"] == "is not exact at T = 0"


def test_at_zero_temperature_ed_is_taken_as_long_as_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert AutoLabeler(hamiltonian(24, 24, T=0.0)).chosen.name == "ed"
    needed = AutoLabeler(hamiltonian(24, 24, T=0.0))._ed().bytes
    monkeypatch.setattr("magsim.labelers.auto.physical_memory", lambda: 0.99 * needed)
    assert AutoLabeler(hamiltonian(24, 24, T=0.0)).chosen.name == "greens"


def test_the_choice_follows_the_measured_rates_and_says_why() -> None:
    slow_greens = AutoLabeler(hamiltonian(12, 12), costs=Costs(greens=1e5, machine="an abacus"))
    assert slow_greens.chosen.name == "ed"
    for words in ("takes ed", "greens", "kpm", "288 states", "an abacus"):
        assert words in slow_greens.reason
    fast_greens = AutoLabeler(hamiltonian(12, 12), costs=Costs(greens=1e12, greens_start=1e-6))
    assert fast_greens.chosen.name == "greens"


def test_what_a_search_for_mu_is_taken_to_cost_is_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    h = hamiltonian(10, 10, filling=0.35)
    labeler, full, counts = GreensLabeler(h), [], []
    solve, below = GreensSolver.solve, GreensSolver.levels_below
    monkeypatch.setattr(GreensSolver, "solve", lambda *args: full.append(1) or solve(*args))
    monkeypatch.setattr(GreensSolver, "levels_below", lambda *args: counts.append(1) or below(*args))
    labels = 4
    labeler.label(random_spins(100, rng(0, "search"), (labels,)))
    needed = (len(full) + len(counts) / labeler.n_poles) / labels
    assert 0.5 * needed < solutions(h) < 2 * needed


def test_what_does_not_fit_into_memory_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("magsim.labelers.auto.physical_memory", lambda: 1e6)
    labeler = AutoLabeler(hamiltonian(24, 24), costs=Costs(kpm=1e3))
    assert all(c.refused == "does not fit" for c in labeler.candidates if c.name != "kpm")


@pytest.mark.parametrize("shape", [(3, 3), (10, 10)])
@pytest.mark.parametrize("ensemble", [{"mu": -3.2}, {"filling": 0.25}])
def test_the_label_meets_the_tolerance_and_names_the_method(
    shape: tuple[int, int], ensemble: dict[str, float]
) -> None:
    h = hamiltonian(*shape, **ensemble)
    spins = random_spins(h.lattice.n_sites, rng(0, "auto"), (2,))
    auto = AutoLabeler(h, tolerance=1e-7)
    found = auto.label(spins)
    assert np.abs(found.field - EDLabeler(h).label(spins).field).max() < 1e-7
    assert found.method.startswith(auto.chosen.name)
    assert auto.identity()["name"] == auto.chosen.name


def test_a_dataset_of_auto_is_that_of_the_method_it_chose() -> None:
    def key(*overrides: str) -> str:
        cfg = compose(["lattice.shape=[3,3]", "descriptor.cutoff=1", *overrides])
        return dataset_key(cfg, build_sampler(cfg), None)

    assert key("labeler=auto") == key("labeler=ed") != key("labeler=greens")


def test_rates_are_kept_for_each_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    assert load_costs("cpu") == Costs()
    mine = replace(Costs(), greens=1.0e5, machine="this one")
    store_costs("cpu", mine)
    store_costs("cuda", Costs(machine="its GPU"))
    assert load_costs("cpu") == mine
    assert load_costs("cuda").machine == "its GPU"
    built = build_labeler(compose(["labeler=auto", "compute=cpu"]))
    assert isinstance(built, AutoLabeler)
    assert built.costs == mine


@pytest.mark.parametrize(
    "content",
    [
        {"cpu": {"greens": -1}},
        {"cpu": {"ed": "fast"}},
        {"cpu": {"kpm": None}},
        {"cpu": {"kpm_error": 1e308}},
        {"cpu": 3},
    ],
)
def test_rates_that_are_no_rates_are_refused_by_name_of_the_file(
    content: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    write_json(costs_file(), content)
    with pytest.raises(DataError, match=r"costs\.json.*(positive number|object).*task=benchmark"):
        load_costs("cpu")


def test_a_file_of_rates_that_is_broken_is_refused_and_mended_by_a_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    costs_file().write_text('{"cpu": {"ed"')
    with pytest.raises(DataError, match=r"costs\.json.*delete the file"):
        load_costs("cpu")
    store_costs("cpu", Costs(machine="this one"))
    assert load_costs("cpu").machine == "this one"
