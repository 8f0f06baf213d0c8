"""Green's functions at given filling: the chemical potential is found fast, and published labels with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_labelers import build

from magsim import open_dataset
from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers import EDLabeler, GreensLabeler
from magsim.labelers.greens.electrons import GreensSolver
from magsim.lattice import make_lattice
from magsim.spins import random_spins, rng, transverse

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("file", "J", "filling", "bars"),
    [
        ("kondo_square_30x30.npz", 3.5, 0.48, (2e-6, 1.2e-5, 6e-6)),
        ("double_exchange_30x30.npz", 6.0, 0.485, (1.5e-5, 1.5e-4, 6e-5)),
    ],
    ids=["kondo", "double exchange"],
)
def test_published_fields_at_zero_temperature_are_reproduced_with_the_smearing_of_the_defaults(
    file: str, J: float, filling: float, bars: tuple[float, float, float]
) -> None:
    """As well as exact diagonalisation does (tests/test_label_task.py); sources in tests/data/README.md."""
    published = open_dataset(DATA / file)
    hamiltonian = SDHamiltonian(make_lattice("square", (30, 30)), (1.0,), J=J, filling=filling, T=0.0)
    labels = GreensLabeler(hamiltonian).label(published.spins)
    difference = labels.field - published.field
    assert np.sqrt(np.mean(difference**2)) < bars[0]
    assert np.abs(difference).max() < bars[1]
    assert np.abs(transverse(difference, published.spins)).max() < bars[2]
    assert labels.error[0] < 1e-5
    if published.energy is not None:
        assert abs(labels.energy[0] - published.energy[0]) / 900 < 1e-6
    if published.density is not None:
        assert np.abs(labels.density - published.density).max() < 5e-5


def test_levels_are_counted_exactly_below_any_energy() -> None:
    for name in ("square canonical T=0.2", "projected kagome open"):
        lattice, hamiltonian = build(name)
        solver = GreensSolver(hamiltonian)
        spins = random_spins(lattice.n_sites, rng(7, name), (1,))
        levels = np.linalg.eigvalsh(hamiltonian.dense(spins)[0])
        values = solver.values(spins[0])
        between = 0.5 * (levels[1:] + levels[:-1])[np.diff(levels) > 1e-6]
        for energy in [levels[0] - 1, *between[::5], levels[-1] + 1]:
            assert solver.levels_below(values, energy) == (levels < energy).sum()


@pytest.mark.parametrize("T", [1e-5, 1e-3, 0.02, 0.3])
def test_few_solutions_find_the_chemical_potential_at_any_temperature(
    T: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From isolated levels to many within T of mu, and where mu lies on a level (half an electron)."""
    solve, calls = GreensSolver.solve, []
    monkeypatch.setattr(GreensSolver, "solve", lambda *a: calls.append(1) or solve(*a))
    lattice = make_lattice("square", (8, 8))
    spins = random_spins(64, rng(8, "mu"), (4,))
    for electrons in (37.0, 44.5):
        hamiltonian = SDHamiltonian(lattice, (1.0,), J=1.5, filling=electrons / 128, T=T)
        exact, found = EDLabeler(hamiltonian).label(spins), GreensLabeler(hamiltonian).label(spins)
        assert np.abs(exact.field - found.field).max() <= found.error.max() < 1e-7
    assert len(calls) <= 8 * 4
