"""Nearsightedness: the part of a torque that spins beyond a radius decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers import EDLabeler
from magsim.labelers.labels import Labels
from magsim.labelers.locality import (
    Floor,
    central_site,
    reach,
    shell_radii,
    sufficient_radius,
    summarise,
    torque_variance,
    within,
)
from magsim.lattice import Lattice, make_lattice
from magsim.runs import read_json
from magsim.samplers.surroundings import FittingConfigurations, IndependentSpins
from magsim.spins import random_rotation, random_spins, tetrahedral, transverse
from magsim.tasks.cli import main
from magsim.tasks.training.floors import floor_file, reach_of

SQUARE = make_lattice("square", (6, 6))


class Exchange:
    """A labeler with a known floor: the field of a site is g1 times the sum of its nearest neighbours plus g2
    times that of its second shell."""

    def __init__(self, lattice: Lattice, g: tuple[float, float]) -> None:
        self.hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), mu=0.0)
        self.couplings = [(coupling, shell) for coupling, shell in zip(g, lattice.shells(2), strict=True)]

    def identity(self) -> dict[str, str]:
        return {"name": "exchange"}

    def label(self, spins: np.ndarray) -> Labels:
        field = np.zeros_like(spins)
        for coupling, shell in self.couplings:
            for b in range(len(spins)):
                np.add.at(field[b], shell.i, coupling * spins[b, shell.j])
        nothing = np.zeros(len(spins))
        return Labels(nothing, field, nothing, nothing, nothing + 1e-9, "exchange", 0.0)


def test_shells_and_masks_are_those_of_the_geometry() -> None:
    assert shell_radii(SQUARE) == pytest.approx([1, np.sqrt(2), 2, np.sqrt(5), np.sqrt(8)])
    assert reach(SQUARE) == pytest.approx(3)
    site = central_site(SQUARE)
    assert [int(within(SQUARE, site, r).sum()) for r in (0, 1, 1.5, 2)] == [1, 5, 9, 13]
    strip = make_lattice("square", (5, 7), ["open", "open"])
    assert strip.cells[central_site(strip)].tolist() == [2, 3]
    kagome = make_lattice("kagome", (6, 6))
    assert [int(within(kagome, central_site(kagome), r).sum()) for r in (1, np.sqrt(3))] == [5, 9]


def test_the_floor_of_a_known_interaction_is_its_own_and_unbiased() -> None:
    """4 random spins with coupling g: variance 4 g^2 x 1/3 x 2/3 per component of the transverse part."""
    labeler, site = Exchange(SQUARE, (1.0, 0.3)), central_site(SQUARE)
    ensemble = IndependentSpins.make(36, 400, seed=1)
    for radius, expected in ((0.0, 4 * (1 + 0.09) * 2 / 9), (1.0, 4 * 0.09 * 2 / 9), (1.5, 0.0)):
        inside = within(SQUARE, site, radius)
        # two draws: a biased estimate would be half of it
        found = [
            torque_variance(labeler, site, inside, ensemble.states[i], ensemble.draw(i, inside, 2))
            for i in range(400)
        ]
        floor = summarise(radius, inside, [variance for variance, _ in found])
        assert floor.floor == pytest.approx(np.sqrt(expected), abs=4 * floor.error + 1e-12)
        assert floor.error < 0.08 * floor.floor + 1e-12
        assert {error for _, error in found} == {1e-9}


def test_the_error_bar_of_a_floor_covers_its_scatter() -> None:
    """Repeated measurements scatter as each of them says."""
    labeler, site = Exchange(SQUARE, (1.0, 0.3)), central_site(SQUARE)
    inside = within(SQUARE, site, 1.0)
    floors = []
    for seed in range(60):
        ensemble = IndependentSpins.make(36, 12, seed)
        variances = [
            torque_variance(labeler, site, inside, ensemble.states[i], ensemble.draw(i, inside, 4))[0]
            for i in range(12)
        ]
        floors.append(summarise(1.0, inside, variances))
    scatter = np.std([f.floor for f in floors])
    assert np.mean([f.error for f in floors]) == pytest.approx(scatter, rel=0.3)


def test_electrons_are_nearsighted_and_everything_inside_leaves_nothing() -> None:
    lattice = make_lattice("triangular", (6, 6))
    labeler = EDLabeler(SDHamiltonian(lattice=lattice, hopping=(1.0,), J=3.0, mu=-3.2, T=0.1))
    ensemble, site = IndependentSpins.make(36, 6, seed=0), central_site(lattice)
    floors = []
    for radius in (0.0, 1.0, 2.0, 9.0):
        inside = within(lattice, site, radius)
        found = [
            torque_variance(labeler, site, inside, ensemble.states[i], ensemble.draw(i, inside, 6))[0]
            for i in range(6)
        ]
        floors.append(summarise(radius, inside, found).floor)
    assert floors[0] > floors[1] > floors[2] > 5e-4
    assert floors[3] < 1e-12


def test_the_response_to_small_turns_is_linear_in_the_angle() -> None:
    lattice = make_lattice("triangular", (6, 6))
    labeler = EDLabeler(SDHamiltonian(lattice=lattice, hopping=(1.0,), J=3.0, mu=-3.2, T=0.1))
    inside = within(lattice, central_site(lattice), 1.0)
    shares = []
    for angle in (0.01, 0.02):
        ensemble = IndependentSpins.make(36, 4, 0, tetrahedral(lattice), angle)
        pairs = [(ensemble.states[i], ensemble.draw(i, inside, 4)) for i in range(4)]
        found = [torque_variance(labeler, central_site(lattice), inside, *pair)[0] for pair in pairs]
        field = transverse(labeler.label(ensemble.states).field, ensemble.states)
        shares.append((summarise(1.0, inside, found).floor / angle, np.sqrt(np.mean(field**2)) / angle))
    assert shares[0] == pytest.approx(shares[1], rel=0.03)


def test_alternatives_of_independent_spins_are_new_outside_and_the_same_for_every_radius() -> None:
    ensemble = IndependentSpins.make(36, 3, seed=5)
    small, large = within(SQUARE, 0, 1.0), within(SQUARE, 0, 2.0)
    first = ensemble.draw(1, small, 4)
    assert np.array_equal(first, ensemble.draw(1, large, 4))
    assert not np.array_equal(first, ensemble.draw(2, small, 4))
    assert np.abs(first - ensemble.states[1]).max() > 1
    assert np.linalg.norm(first, axis=-1) == pytest.approx(1)


def test_the_rest_of_a_correlated_state_is_moved_and_turned_to_fit_the_inside() -> None:
    """An image of the same state under a translation, a rotation and time reversal fits without any misfit,
    and comes before others; frames of one trajectory are not taken."""
    lattice = make_lattice("triangular", (6, 6))
    stream = np.random.default_rng(3)
    state = random_spins(36, stream)
    grid = state.reshape(6, 6, 3)
    image = -np.roll(grid, (2, 5), (0, 1)).reshape(36, 3) @ random_rotation(stream).T
    states = np.stack([state, random_spins(36, stream), image, state])
    ensemble = FittingConfigurations(lattice, states, np.array([0, 1, 2, 0]))
    inside = within(lattice, central_site(lattice), 1.0)
    best, other = ensemble.draw(0, inside, 2)
    np.testing.assert_allclose(best, state, atol=1e-12)
    assert np.abs(other[inside] - state[inside]).max() > 0.1
    assert len(ensemble.draw(0, inside, 8)) == 2, "those of other families"
    assert ensemble.misfit(0, inside, best[None]) < 1e-6 < ensemble.misfit(0, inside, other[None])


def test_moves_respect_open_boundaries() -> None:
    lattice = make_lattice("square", (4, 3), ["open", "periodic"])
    state = random_spins(12, np.random.default_rng(0))
    moved = np.roll(state.reshape(4, 3, 3), 1, axis=1).reshape(12, 3)
    shifted = np.roll(state.reshape(4, 3, 3), 1, axis=0).reshape(12, 3)
    ensemble = FittingConfigurations(lattice, np.stack([state, moved, shifted]), np.arange(3))
    inside = within(lattice, central_site(lattice), 1.0)
    assert len(ensemble._translations) == 3
    np.testing.assert_allclose(ensemble.draw(0, inside, 1)[0], state, atol=1e-12)
    assert ensemble.misfit(0, inside, ensemble.draw(0, inside, 2)) > 0.1


def test_the_sufficient_radius_is_the_one_from_which_on_all_floors_are_low() -> None:
    floors = [Floor(r, 1, f, 0.0, f) for r, f in ((0, 0.9), (1, 0.2), (2, 0.3), (3, 0.1))]
    assert sufficient_radius(floors, 0.25) == 3
    assert sufficient_radius(floors, 0.35) == 1
    assert sufficient_radius(floors, 0.05) is None


def test_a_variance_needs_two_draws() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        torque_variance(Exchange(SQUARE, (1, 0)), 0, within(SQUARE, 0, 1), *[np.ones((1, 36, 3))] * 2)


SMALL = ["lattice=square", "lattice.shape=[4,4]", "hamiltonian.mu=-2", "logger=csv"]


def test_the_task_writes_floors_that_the_page_of_a_model_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    quick = ["task.insides=2", "task.outsides=2", "task.burn_in=3"]
    train = [*SMALL, "task=train", "model=linear", "descriptor.cutoff=1", "descriptor.references=2"]
    train += ["sampler=random", "sampler.count=12"]
    assert main([*train, f"output={tmp_path / 'before'}"]) == 0
    assert "python run.py task=locality" in (tmp_path / "before" / "report.html").read_text()
    assert main([*SMALL, "task=locality", *quick, f"output={tmp_path / 'floors'}"]) == 0
    metrics, stored = (read_json(tmp_path / "floors" / f"{name}.json") for name in ("metrics", "locality"))
    assert set(stored["states"]) == {"random", "thermal", "ordered"}
    for kind, found in stored["states"].items():
        assert [row["radius"] for row in found["floors"]] == pytest.approx([0, 1, np.sqrt(2)])
        assert found["floors"][1]["floor"] == metrics[f"locality/{kind}/floor_1.000"] > 0
        assert found["rms_torque"] == metrics[f"locality/{kind}/rms_torque"] > 0
    assert stored["states"]["ordered"]["texture"] in ("neel", "ferromagnet")
    page = (tmp_path / "floors" / "report.html").read_text()
    assert "Which cutoff" in page
    assert main([*train, f"output={tmp_path / 'after'}"]) == 0
    # pages carry uncommitted changes of the program too: look for what only the section knows
    before, after = ((tmp_path / run / "report.html").read_text() for run in ("before", "after"))
    source = f"From <code>locality/{floor_file(stored['lattice'], stored['hamiltonian']).name}</code>"
    assert source in after
    assert source not in before
    # another measurement of one kind replaces that kind alone
    assert main([*SMALL, "task=locality", *quick, "task.state=[random]", "task.radii=[1]", "seed=1"]) == 0
    kept = read_json(floor_file(stored["lattice"], stored["hamiltonian"]))["states"]
    assert set(kept) == {"random", "thermal T=0.1", f"ordered {stored['states']['ordered']['texture']}"}
    assert kept["thermal T=0.1"] == stored["states"]["thermal"]
    assert len(kept["random"]["floors"]) == 2
    # one whose labels are as wrong as the floors are low replaces nothing
    rough = ["labeler=kpm", "labeler.columns=4", "task.state=[random]", "seed=2"]
    assert main([*SMALL, "task=locality", *quick, *rough]) == 0
    assert read_json(floor_file(stored["lattice"], stored["hamiltonian"]))["states"] == kept


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("task.state=[cold]", "task.state=['cold']"),
        ("task.state=[random,random]", "at most once"),
        ("task.radii=[3]", "no larger than half the lattice, 2"),
        ("task.outsides=1", "task.outsides=1"),
        ("task.insides=2 task.outsides=3", "task.insides=2 thermal states have 2 others"),
        ("hamiltonian.T=0", "task.temperature=null"),
        ("task.texture=tetrahedral", "needs the triangular lattice"),
        ("task.texture=spiral", "must be one of"),
        ("task.angle=0", "task.angle=0"),
        ("lattice.shape=[2,2]", "larger one"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "task=locality", *words.split()]) == 2
    assert told in capsys.readouterr().err


def test_the_field_of_an_energy_model_sees_twice_its_cutoff_and_no_further() -> None:
    """The page of a trained model compares it with the floor at that radius."""
    import torch
    from random_models import trained

    lattice = make_lattice("square", (8, 8))
    model = trained(lattice, cutoff=1.0)
    spins = random_spins(64, np.random.default_rng(0))
    before = model(torch.tensor(spins[None]))[1][0].detach().numpy()
    turned = spins.copy()
    turned[0] = -turned[0]
    change = np.abs(model(torch.tensor(turned[None]))[1][0].detach().numpy() - before).max(axis=1)
    seen = within(lattice, 0, 2.0)
    assert change[within(lattice, 0, 2.0) & ~within(lattice, 0, 1.9)].min() > 1e-6
    assert change[~seen].max() < 1e-12


@pytest.mark.parametrize(
    ("model", "radii"),
    [
        ({"name": "bp"}, [2.0, 4.0]),
        ({"name": "equivariant", "layers": 3, "output": "energy"}, [6.0, 12.0]),
        ({"name": "equivariant", "layers": 2, "output": "torque"}, [4.0]),
    ],
)
def test_the_floor_is_that_of_the_reach_of_all_layers(model: dict[str, Any], radii: list[float]) -> None:
    assert [radius for _, radius in reach_of({"cutoff": 2.0}, model)] == radii
