"""Bands, densities of states and the task that draws them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import Electrons, ProjectedDoubleExchange, SDHamiltonian
from magsim.labelers.bands import aligned_bands, band_levels, gap_at, magnetic_cell, mesh
from magsim.labelers.greens.spectral import local_density_of_states
from magsim.labelers.spectrum import (
    broadened,
    density_of_states,
    eigenstates,
    fermi_energy,
    momentum_weights,
    site_weights,
)
from magsim.lattice import Lattice, make_lattice
from magsim.lattice.brillouin import reciprocal_vectors, symmetry_path, symmetry_points, zone_corners
from magsim.runs import read_json
from magsim.spins import TEXTURES, ferromagnet, neel, order_120, random_spins, spiral, tetrahedral
from magsim.tasks.cli import main

TRIANGULAR = make_lattice("triangular", (12, 12))


def sd(lattice: Lattice, **more: float) -> SDHamiltonian:
    hopping = (1.0,)
    return SDHamiltonian(lattice=lattice, hopping=hopping, **{"J": 3.0, "mu": -3.2, **more})


def allowed(lattice: Lattice, vectors: np.ndarray) -> np.ndarray:
    """Wavevectors of the finite lattice, each once up to reciprocal vectors of the magnetic cell."""
    sides = lattice.vectors * np.array(lattice.shape)[:, None]
    steps = np.indices(tuple(2 * n for n in lattice.shape)).reshape(lattice.dim, -1).T
    k = steps @ reciprocal_vectors(sides)
    turns = np.round(k @ vectors.T / (2 * np.pi) % 1, 6) % 1
    return k[np.unique(turns, axis=0, return_index=True)[1]]


CASES = [
    ("triangular", (6, 6), tetrahedral, 4),
    ("triangular", (6, 6), order_120, 3),
    ("triangular", (4, 6), ferromagnet, 1),
    ("square", (4, 4), neel, 2),
    ("square", (4, 6), lambda lattice: spiral(lattice, np.array([np.pi / 2, 2 * np.pi / 3])), 12),
    ("kagome", (3, 3), ferromagnet, 3),
    ("honeycomb", (4, 3), neel, 2),
    ("chain", (8,), neel, 2),
    ("cubic", (4, 4, 2), neel, 2),
]


@pytest.mark.parametrize("kind", [SDHamiltonian, ProjectedDoubleExchange])
@pytest.mark.parametrize(("name", "shape", "texture", "sites"), CASES)
def test_bands_at_the_wavevectors_of_a_finite_lattice_are_its_levels(
    name: str, shape: tuple[int, ...], texture, sites: int, kind: type[Electrons]
) -> None:
    lattice = make_lattice(name, shape)
    more = {"J": 1.3} if kind is SDHamiltonian else {}
    hamiltonian = kind(lattice=lattice, hopping=(1.0, -0.3), mu=0.0, **more)
    spins = texture(lattice)
    cell = magnetic_cell(hamiltonian, spins)
    assert cell.n_sites == sites
    levels = band_levels(hamiltonian, cell, allowed(lattice, cell.vectors), chunk=5)
    direct = np.linalg.eigvalsh(hamiltonian.dense(spins[None])[0])
    np.testing.assert_allclose(np.sort(levels.ravel()), direct, atol=1e-11)


def test_tetrahedral_bands_are_twofold_and_the_gap_at_quarter_filling_is_that_of_the_reference() -> None:
    hamiltonian = sd(TRIANGULAR)
    cell = magnetic_cell(hamiltonian, tetrahedral(TRIANGULAR))
    levels = band_levels(hamiltonian, cell, mesh(cell, 6))
    np.testing.assert_allclose(levels[:, ::2], levels[:, 1::2], atol=1e-12)
    assert np.diff(levels[:, ::2], axis=1).min() > 0.1, "not more than twofold"
    gap = gap_at(levels, -3.2)
    assert (gap.below, gap.above) == pytest.approx((-4.0, -2.60555), abs=5e-6)
    assert gap.filled == 2, "of 8: filling 1/4"


@pytest.mark.parametrize(("J", "width"), [(3.0, 2.0), (6.0, 8.0)])
def test_the_gap_of_120_degree_order_at_half_filling(J: float, width: float) -> None:
    hamiltonian = sd(TRIANGULAR, J=J, mu=1.0)
    cell = magnetic_cell(hamiltonian, order_120(TRIANGULAR))
    gap = gap_at(band_levels(hamiltonian, cell, mesh(cell, 24)), 1.0)
    assert (gap.width, gap.filled) == (pytest.approx(width, abs=1e-10), 3)


def test_the_band_with_third_neighbour_hopping_has_the_edges_of_the_reference() -> None:
    hamiltonian = SDHamiltonian(lattice=TRIANGULAR, hopping=(1.0, 0.0, -0.85), J=1.0, mu=-3.5)
    cell = magnetic_cell(hamiltonian, ferromagnet(TRIANGULAR))
    majority = band_levels(hamiltonian, cell, mesh(cell, 120))[:, 0] + hamiltonian.J
    assert majority.min() == pytest.approx(-4.528, abs=5e-4)
    assert majority.max() == pytest.approx(7.10, abs=5e-4)


def test_electrons_hop_downhill_and_follow_the_moments() -> None:
    """H = -t c+c - J S.sigma: the lowest level of a ferromagnet is -6 t - J, at k = 0, its spin parallel."""
    hamiltonian = sd(TRIANGULAR)
    cell = magnetic_cell(hamiltonian, ferromagnet(TRIANGULAR))
    levels, along = aligned_bands(hamiltonian, cell, np.zeros((1, 2)))
    assert levels[0] == pytest.approx([-9, -3])
    assert along[0] == pytest.approx([1, -1])


def test_a_metal_has_no_gap() -> None:
    hamiltonian = sd(TRIANGULAR)
    cell = magnetic_cell(hamiltonian, ferromagnet(TRIANGULAR))
    gap = gap_at(band_levels(hamiltonian, cell, mesh(cell, 24)), -3.2)
    assert (gap.width, gap.filled) == (0.0, None)


def test_spin_along_the_moments_is_a_mean_over_degenerate_levels_and_traceless() -> None:
    hamiltonian = sd(TRIANGULAR)
    cell = magnetic_cell(hamiltonian, tetrahedral(TRIANGULAR))
    along = aligned_bands(hamiltonian, cell, symmetry_path(cell.vectors, 40).k)[1]
    np.testing.assert_allclose(along[:, ::2], along[:, 1::2], atol=1e-10)
    np.testing.assert_allclose(along.sum(axis=1), 0, atol=1e-10)
    assert along[:, 0].min() > 0.6
    # dE/dJ = - <S.sigma>: Hellmann-Feynman for the mean of a doublet
    step = 1e-4
    up, down = (
        band_levels(sd(TRIANGULAR, J=3 + s), cell, symmetry_path(cell.vectors, 40).k) for s in (step, -step)
    )
    np.testing.assert_allclose((down - up) / (2 * step), along, atol=1e-6)


def test_an_irregular_state_is_its_own_cell_and_an_open_lattice_has_no_bands() -> None:
    lattice = make_lattice("square", (4, 4))
    spins = random_spins(16, np.random.default_rng(0))
    assert magnetic_cell(sd(lattice), spins).n_sites == 16
    with pytest.raises(ConfigError, match="periodic"):
        magnetic_cell(sd(make_lattice("square", (4, 4), "open")), spins)


def test_paths_go_through_the_points_of_the_zone() -> None:
    hexagonal, square = (make_lattice(name, (2, 2)).vectors for name in ("triangular", "square"))
    assert [name for name, _ in symmetry_points(hexagonal)] == ["Γ", "M", "K", "Γ"]
    assert [name for name, _ in symmetry_points(square)] == ["Γ", "X", "M", "Γ"]
    assert [name for name, _ in symmetry_points(np.diag([1.0, 2.0]))] == ["Γ", "X", "S", "Y", "Γ"]
    lengths = [np.linalg.norm(k) for _, k in symmetry_points(hexagonal)]
    assert lengths == pytest.approx([0, 2 * np.pi / np.sqrt(3), 4 * np.pi / 3, 0])
    assert len(zone_corners(hexagonal)) == 6
    path = symmetry_path(hexagonal, 100)
    assert path.k[[0, -1]] == pytest.approx(np.zeros((2, 2)))
    steps = np.linalg.norm(np.diff(path.k, axis=0), axis=1)
    np.testing.assert_allclose(steps, np.diff(path.distance), atol=1e-12)
    assert steps.max() < 1.2 * steps.min()


def test_local_densities_are_those_of_the_greens_function_and_count_all_states() -> None:
    lattice = make_lattice("kagome", (2, 2))
    hamiltonian = sd(lattice)
    spins = random_spins(12, np.random.default_rng(1))
    energies, eta = np.array([-3.0, -0.7, 2.2]), 0.13
    local = local_density_of_states(hamiltonian, spins, energies, eta)
    vectors = eigenstates(hamiltonian, spins)
    np.testing.assert_allclose(
        local, broadened(vectors[0], site_weights(vectors[1]), energies, eta), atol=1e-12
    )
    matrix = hamiltonian.dense(spins[None])[0]
    for energy, found in zip(energies, local, strict=True):
        greens = np.linalg.inv((energy + 1j * eta) * np.eye(24) - matrix)
        np.testing.assert_allclose(found, -greens.diagonal().imag.reshape(12, 2).sum(-1) / np.pi, atol=1e-12)
    wide = np.linspace(-2000, 2000, 200_001)
    levels, states = eigenstates(hamiltonian, spins)
    weights = site_weights(states)
    np.testing.assert_allclose(weights.sum(axis=1), 2, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-12)
    mean = (eta / np.pi / ((wide[:, None] - levels) ** 2 + eta**2)).sum(axis=1) / 12
    assert np.trapezoid(mean, wide) == pytest.approx(2, abs=2e-4)


def test_the_density_of_states_of_a_mesh_counts_all_states_and_keeps_the_gap_empty() -> None:
    hamiltonian = sd(TRIANGULAR)
    cell = magnetic_cell(hamiltonian, tetrahedral(TRIANGULAR))
    levels = band_levels(hamiltonian, cell, mesh(cell, 48))
    energies = np.linspace(-9, 7, 4001)
    density = density_of_states(levels, energies, 0.05, levels.size // 2)
    assert np.trapezoid(density, energies) == pytest.approx(2, abs=1e-6)
    occupied = np.trapezoid(density[energies < -3.3], energies[energies < -3.3])
    assert occupied == pytest.approx(0.5, abs=1e-6)
    assert density[np.abs(energies + 3.3) < 0.2].max() < 1e-6


def test_plane_waves_of_a_ferromagnet_are_its_bands_and_carry_all_states() -> None:
    lattice = make_lattice("triangular", (6, 4))
    hamiltonian = sd(lattice)
    levels, states = eigenstates(hamiltonian, ferromagnet(lattice))
    k = allowed(lattice, lattice.vectors)
    weights = momentum_weights(lattice, states, k)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 2, atol=1e-12)
    cell = magnetic_cell(hamiltonian, ferromagnet(lattice))
    bands = band_levels(hamiltonian, cell, k)
    np.testing.assert_allclose(weights @ levels, bands.sum(axis=1), atol=1e-10)
    np.testing.assert_allclose(weights @ levels**2, (bands**2).sum(axis=1), atol=1e-10)
    # a wavevector between those that fit goes to the nearest one
    np.testing.assert_allclose(momentum_weights(lattice, states, k[3:4] + 0.1), weights[3:4], atol=1e-12)


def test_mu_of_a_filling_lies_in_the_gap() -> None:
    filled = SDHamiltonian(lattice=TRIANGULAR, hopping=(1.0,), J=3.0, filling=0.25, T=0.02)
    levels = eigenstates(filled, tetrahedral(TRIANGULAR))[0]
    assert -4 < fermi_energy(filled, levels) < -2.6
    assert fermi_energy(sd(TRIANGULAR), levels) == -3.2


QUICK = ["task=spectrum", "logger=csv", "task.mesh=12"]


def test_the_task_finds_the_tetrahedral_state_and_its_gap(tmp_path: Path) -> None:
    assert main([*QUICK, "lattice.shape=[6,6]", f"output={tmp_path / 'run'}"]) == 0
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["spectrum/gap"] == pytest.approx(1.39445, abs=1e-5)
    assert metrics["spectrum/cell_sites"] == 4
    assert metrics["spectrum/electrons_per_site"] == pytest.approx(0.5, abs=1e-3)
    assert (tmp_path / "run" / "bands.png").stat().st_size > 5000
    page = (tmp_path / "run" / "report.html").read_text()
    assert "the same on every site" in page
    arrays = np.load(tmp_path / "run" / "spectrum.npz")
    assert arrays["path_levels"].shape == (len(arrays["path_k"]), 8)
    assert np.trapezoid(arrays["density"], arrays["energies"]) == pytest.approx(2, abs=1e-3)


def test_with_green_functions_the_densities_are_those_of_the_levels(tmp_path: Path) -> None:
    words = ["lattice.shape=[6,6]", "task.texture=random", "task.eta=0.2", "hamiltonian.T=0.1"]
    for name in ("ed", "greens"):
        assert main([*QUICK, *words, f"labeler={name}", f"output={tmp_path / name}"]) == 0
    levels = np.load(tmp_path / "ed" / "spectrum.npz")
    resolved = np.load(tmp_path / "greens" / "spectrum.npz")
    at = [np.interp(resolved["energies"], levels["energies"], site) for site in levels["local_density"].T]
    inside = (resolved["energies"] > -7) & (resolved["energies"] < 7)
    np.testing.assert_allclose(resolved["local_density"][inside], np.array(at).T[inside], atol=2e-3)
    assert (tmp_path / "greens" / "local_density.png").is_file()
    stored = json.loads((tmp_path / "greens" / "metrics.json").read_text())
    exact = json.loads((tmp_path / "ed" / "metrics.json").read_text())
    for key in ("spectrum/electrons_per_site", "spectrum/density_at_mu"):
        assert stored[key] == pytest.approx(exact[key], rel=1e-3)


@pytest.mark.parametrize(
    "words",
    [
        "task.texture=random lattice=square lattice.shape=[4,4] task.energies=[-1,2]",
        "task.texture=random lattice=chain lattice.shape=[6]",
        "task.texture=random lattice=cubic lattice.shape=[2,2,3]",
        "task.texture=neel lattice=square lattice.shape=[4,4] hamiltonian=double_exchange_projected",
        "task.texture=neel lattice=square lattice.shape=[4,4] lattice.boundary=[periodic,open]",
    ],
)
def test_every_kind_of_state_and_lattice_gets_a_page(words: str, tmp_path: Path) -> None:
    assert main([*QUICK, *words.split(), f"output={tmp_path / 'run'}"]) == 0
    assert (tmp_path / "run" / "report.html").is_file()
    flat = "cubic" not in words and "projected" not in words
    assert (tmp_path / "run" / "local_density.png").is_file() == flat


def test_the_last_snapshot_of_a_file_is_looked_at(tmp_path: Path) -> None:
    lattice = make_lattice("triangular", (6, 6))
    spins = np.stack([random_spins(36, np.random.default_rng(0)), tetrahedral(lattice)])
    np.savez(tmp_path / "spins.npz", spins=spins)
    words = [f"task.path={tmp_path / 'spins.npz'}", "lattice.shape=[6,6]"]
    assert main([*QUICK, *words, f"output={tmp_path / 'run'}"]) == 0
    assert read_json(tmp_path / "run" / "metrics.json")["spectrum/cell_sites"] == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("task.texture=cold", "must be one of random"),
        ("task.texture=neel", "lattice.name=triangular: the Neel"),
        ("task.eta=0", "task.eta=0"),
        ("task.mesh=0", "task.mesh=0"),
        ("task.path=nowhere.npz", "no such file"),
    ],
)
def test_what_cannot_be_drawn_is_refused(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, *words.split()]) == 2
    assert told in capsys.readouterr().err


def test_every_reference_texture_repeats_in_few_sites() -> None:
    sites = {"ferromagnet": 1, "neel": 2, "order_120": 3, "tetrahedral": 4}
    for name, texture in TEXTURES.items():
        lattice = make_lattice("square" if name == "neel" else "triangular", (6, 6))
        if name in sites:
            assert magnetic_cell(sd(lattice), texture(lattice)).n_sites == sites[name]
