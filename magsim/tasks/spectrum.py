"""task=spectrum: density of states, whole and local, and the bands of a periodic texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.hamiltonian.electronic import Electrons
from magsim.labelers.bands import (
    Gap,
    MagneticCell,
    aligned_bands,
    band_levels,
    gap_at,
    magnetic_cell,
    mesh,
)
from magsim.labelers.ensemble import fermi
from magsim.labelers.spectrum import (
    broadened,
    density_of_states,
    eigenstates,
    fermi_energy,
    momentum_weights,
    site_weights,
)
from magsim.lattice import Lattice
from magsim.lattice.brillouin import symmetry_path
from magsim.observables import scalar_chirality
from magsim.report.page import Metric, Picture, Section, metrics_table
from magsim.report.spectrum import (
    Density,
    bands_figure,
    density_figure,
    local_density_along,
    local_density_map,
    spectral_figure,
)
from magsim.runs import Run
from magsim.samplers import FileSampler
from magsim.spins import random_spins, rng
from magsim.tasks.build import build_labeler, labeler_device
from magsim.tasks.electrons.densities import run_resolved
from magsim.tasks.electrons.states import reference_texture
from magsim.tasks.pages import publish
from magsim.tasks.words import system

POINTS = 1600  # energies of a density of states
# Of a mesh that takes seconds: levels, operations, wavevectors along an axis.
LEVELS, OPERATIONS, FINEST = 5e5, 5e8, 5000
LEVELS_IN_WORDS = {
    "mu": ("chemical potential μ", "t"),
    "electrons_per_site": ("electrons per site", ""),
    "lowest": ("lowest level", "t"),
    "highest": ("highest level", "t"),
    "gap": ("gap around μ", "t"),
    "gap_below": ("lower edge of the gap", "t"),
    "gap_above": ("upper edge of the gap", "t"),
    "cell_sites": ("sites in the magnetic cell", ""),
    "density_at_mu": ("density of states at μ", "1/t per site"),
}
UNIFORM = 1e-6  # relative spread of densities that are the same on every site


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands of a texture.

    Attributes:
        cell: the magnetic cell.
        levels: ``(K, n)`` on a mesh of wavevectors.
        gap: around mu.
    """

    cell: MagneticCell
    levels: np.ndarray
    gap: Gap


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """Levels of one configuration: figures, ``spectrum.npz`` and page; with ``labeler=greens`` densities of
    states alone, on lattices of any size.

    Returns:
        ``spectrum/mu``, ``spectrum/electrons_per_site``, ``spectrum/density_at_mu``, edges of the spectrum,
        and of a texture the gap and the size of its cell.
    """
    labeler = build_labeler(cfg)
    hamiltonian = labeler.hamiltonian
    run.headline("Spectrum")
    name, spins = _state(cfg, run, labeler)
    if cfg.labeler.name == "greens":
        return run_resolved(cfg, run, labeler, name, spins)
    if cfg.labeler.name != "ed":
        run.say("  levels by diagonalisation; labeler=greens makes densities of states without it")
    eta = float(cfg.task.eta)
    levels, states = eigenstates(hamiltonian, spins, labeler_device(cfg))
    weights = site_weights(states)
    bands = _bands(cfg, run, hamiltonian, spins)
    all_levels = levels if bands is None else bands.levels
    mu = fermi_energy(hamiltonian, all_levels)
    margin = max(12 * eta, 0.3)
    energies = np.linspace(all_levels.min() - margin, all_levels.max() + margin, POINTS)
    local = broadened(levels, weights, energies, eta)
    metrics = _metrics(hamiltonian, all_levels, mu)
    pictures, density = [], Density(energies, local.mean(axis=1), np.quantile(local, (0.1, 0.9), axis=1))
    arrays = {"energies": energies, "levels": levels, "local_density": local, "mu": np.array(mu)}
    if bands is not None:
        values = density_of_states(bands.levels, energies, eta, bands.levels.size // _per_site(hamiltonian))
        density = Density(energies, values)
        picture, curves = _draw_bands(run, hamiltonian, bands, density, mu, name)
        pictures.append(picture)
        arrays |= curves
        metrics |= {"spectrum/gap": bands.gap.width, "spectrum/cell_sites": bands.cell.n_sites}
        if bands.gap.filled is not None:
            metrics |= {"spectrum/gap_below": bands.gap.below, "spectrum/gap_above": bands.gap.above}
    else:
        pictures += _draw_irregular(run, hamiltonian.lattice, levels, states, density, mu, eta)
    metrics["spectrum/density_at_mu"] = float(np.interp(mu, energies, density.values))
    arrays["density"] = density.values
    np.savez_compressed(run.folder / "spectrum.npz", **arrays)  # type: ignore[arg-type]
    maps, words = _local(cfg, run, hamiltonian.lattice, spins, (levels, weights), (energies, local), mu)
    for key, value in metrics.items():
        run.say(f"  {key.removeprefix('spectrum/').replace('_', ' ')}: {value:.6g}")
    _page(cfg, run, name, metrics, pictures, maps, words)
    return metrics


def _per_site(hamiltonian: Electrons) -> int:
    return hamiltonian.n_states // hamiltonian.lattice.n_sites


def _state(cfg: DictConfig, run: Run, labeler: Any) -> tuple[str, np.ndarray]:
    """What to look at, by name, and its spins ``(N, 3)``."""
    lattice = labeler.hamiltonian.lattice
    if cfg.task.path is not None:
        sampler = FileSampler(path=str(cfg.task.path), select=(-1,))
        sampler.check(lattice)
        return f"the last snapshot of {cfg.task.path}", sampler.configurations.spins[0]
    if cfg.task.texture == "random":
        return "random spins", random_spins(lattice.n_sites, rng(int(cfg.seed), "spectrum"))
    name, spins = reference_texture(cfg, labeler, cfg.task.texture, run)
    return f"{name.replace('_', ' ')} state" if name == "tetrahedral" else name.replace("_", " "), spins


def _bands(cfg: DictConfig, run: Run, hamiltonian: Electrons, spins: np.ndarray) -> Bands | None:
    """Bands on a mesh of the magnetic zone, where the spins repeat within the lattice."""
    lattice = hamiltonian.lattice
    if not all(lattice.periodic):
        run.say("  no bands: they need periodic boundaries along all axes")
        return None
    cell = magnetic_cell(hamiltonian, spins)
    if cell.n_sites == lattice.n_sites and lattice.n_cells > 1:
        run.say("  no bands: the spins do not repeat within the lattice")
        return None
    size = cell.n_sites * _per_site(hamiltonian)
    n = int(cfg.task.mesh or _fine(size, lattice.dim))
    run.say(f"  magnetic cell of {cell.n_sites} sites, {size} bands, {n} wavevectors along each axis")
    levels = band_levels(hamiltonian, cell, mesh(cell, n))
    return Bands(cell, levels, gap_at(levels, fermi_energy(hamiltonian, levels)))


def _fine(size: int, dim: int) -> int:
    """Wavevectors along an axis, such that symmetry points are among them."""
    n = min(LEVELS / size, OPERATIONS / size**3) ** (1 / dim)
    return max(12, 12 * int(min(n, FINEST) / 12))


def _metrics(hamiltonian: Electrons, levels: np.ndarray, mu: float) -> dict[str, Any]:
    occupied = fermi(levels.reshape(1, -1), np.array([mu]), hamiltonian.T)
    return {
        "spectrum/mu": mu,
        "spectrum/electrons_per_site": float(occupied.mean()) * _per_site(hamiltonian),
        "spectrum/lowest": float(levels.min()),
        "spectrum/highest": float(levels.max()),
    }


def _draw_bands(
    run: Run, hamiltonian: Electrons, bands: Bands, density: Density, mu: float, name: str
) -> tuple[Picture, dict[str, np.ndarray]]:
    route = symmetry_path(bands.cell.vectors)
    levels, along = aligned_bands(hamiltonian, bands.cell, route.k)
    gap = None if bands.gap.filled is None else (bands.gap.below, bands.gap.above)
    figure = bands_figure(run.folder / "bands.png", route, levels, along, density, mu, gap)
    run.image("bands", figure)
    count = len(bands.levels)
    caption = (
        f"Bands of the {name} on the {hamiltonian.lattice.name} lattice along lines of its magnetic "
        f"Brillouin zone ({bands.cell.n_sites} sites in the cell), coloured by the spin of the electrons "
        f"along the local moments, and the density of states of the infinite lattice ({count} wavevectors), "
        "occupied part filled. Dashed: μ." + (" Shaded: the gap." if gap else "")
    )
    return Picture(figure, caption), {"path_k": route.k, "path_levels": levels, "path_spin": along}


def _draw_irregular(
    run: Run,
    lattice: Lattice,
    levels: np.ndarray,
    states: np.ndarray,
    density: Density,
    mu: float,
    eta: float,
) -> list[Picture]:
    """Spectral function and density of states of spins that do not repeat."""
    route = symmetry_path(lattice.vectors)
    plain_waves = momentum_weights(lattice, states, route.k)
    intensity = broadened(levels, plain_waves, density.energies, 2 * eta).T
    spectral = spectral_figure(
        run.folder / "spectral_function.png", route, intensity, Density(density.energies, density.values), mu
    )
    figure = density_figure(run.folder / "density_of_states.png", density, mu)
    run.image("spectral_function", spectral)
    run.image("density_of_states", figure)
    words = (
        "Weight of plane waves along lines of the Brillouin zone of the crystal, at the wavevectors that fit "
        f"on the lattice, levels broadened by {2 * eta:g}; and the density of states, occupied part filled."
    )
    caption = f"Density of states of {lattice.n_sites} sites, levels broadened by {eta:g}."
    return [Picture(spectral, words), Picture(figure, caption)]


def _local(
    cfg: DictConfig,
    run: Run,
    lattice: Lattice,
    spins: np.ndarray,
    states: tuple[np.ndarray, np.ndarray],
    curves: tuple[np.ndarray, np.ndarray],
    mu: float,
) -> tuple[list[Picture], str]:
    """Maps of the local density of states, or a sentence where there is nothing to see."""
    eta = float(cfg.task.eta)
    energies = [mu, *map(float, cfg.task.energies)]
    densities = broadened(*states, np.array(energies), eta)
    scale = float(densities.max())
    if np.ptp(densities, axis=1).max() <= UNIFORM * scale:
        return [], "The local density of states is the same on every site."
    if lattice.dim == 2:
        titles = [
            f"$E$ = {energy:.4g}" + (r" ($\mu$)" if k == 0 else "") for k, energy in enumerate(energies)
        ]
        chirality = scalar_chirality(lattice, spins) if len(lattice.triangles()) else None
        figure = local_density_map(run.folder / "local_density.png", lattice, densities, titles, chirality)
    elif lattice.dim == 1:
        figure = local_density_along(run.folder / "local_density.png", *curves, mu)
    else:
        return [], "The local density of states is in spectrum.npz; in three dimensions it is not drawn."
    run.image("local_density", figure)
    caption = f"Local density of states, both spins together, levels broadened by {eta:g}"
    beside = "; beside the scalar chirality of the spins" if lattice.dim == 2 else ""
    return [Picture(figure, f"{caption}{beside}.")], ""


def _page(
    cfg: DictConfig,
    run: Run,
    name: str,
    metrics: dict[str, Any],
    pictures: list[Picture],
    maps: list[Picture],
    words: str,
) -> None:
    # the tail of a Lorentzian or Gaussian far inside a gap is nothing
    found = {key.removeprefix("spectrum/"): round(value, 9) for key, value in metrics.items()}
    levels = {LEVELS_IN_WORDS[key][0]: (found[key], LEVELS_IN_WORDS[key][1]) for key in found}
    headline = [Metric("chemical potential μ", metrics["spectrum/mu"], "t")]
    if "spectrum/gap" in metrics:
        headline.append(Metric("gap", metrics["spectrum/gap"], "t"))
    headline.append(Metric("electrons per site", metrics["spectrum/electrons_per_site"]))
    publish(
        cfg,
        run,
        f"Spectrum of the {system(cfg)}: {name}",
        [
            Section("Levels", pictures=pictures, tables=[metrics_table(levels)]),
            Section("Local density of states", words, pictures=maps),
        ],
        headline,
    )
