"""task=spectrum on lattices that are too large to be diagonalised: densities of states from the resolvent."""

from __future__ import annotations

from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.labelers import Labeler
from magsim.labelers.greens.spectral import local_density_of_states
from magsim.observables import scalar_chirality
from magsim.report.page import Metric, Picture, Section
from magsim.report.spectrum import Density, density_figure, local_density_map
from magsim.runs import Run
from magsim.tasks.build import labeler_device
from magsim.tasks.pages import publish
from magsim.tasks.words import system

PER_WIDTH = 2  # energies in the width of a level
SHARE = 24  # energies between two lines of progress


def run_resolved(cfg: DictConfig, run: Run, labeler: Labeler, name: str, spins: np.ndarray) -> dict[str, Any]:
    """Density of states and its maps at mu and at ``task.energies``, from Green's functions at E + i eta;
    no bands and no levels. Arrays go to ``spectrum.npz``.

    Returns:
        ``spectrum/mu``, ``spectrum/electrons_per_site``, ``spectrum/density_at_mu``.
    """
    hamiltonian, eta = labeler.hamiltonian, float(cfg.task.eta)
    lattice, device = hamiltonian.lattice, labeler_device(cfg)
    labels = labeler.label(spins[None])
    run.say("  densities of states from the resolvent; levels and bands need labeler=ed")
    mu = float(labels.mu[0])
    low, high = hamiltonian.bounds
    energies = np.linspace(low, high, max(200, int(PER_WIDTH * (high - low) / eta)))
    local = []
    with run.progress("density of states", len(energies), "energies") as bar:
        for start in range(0, len(energies), SHARE):
            part = energies[start : start + SHARE]
            local.append(local_density_of_states(hamiltonian, spins, part, eta, device))
            bar.advance(len(part))
    found = np.concatenate(local)
    density = Density(energies, found.mean(axis=1), np.quantile(found, (0.1, 0.9), axis=1))
    mapped = np.array([mu, *map(float, cfg.task.energies)])
    maps = local_density_of_states(hamiltonian, spins, mapped, eta, device)
    np.savez_compressed(
        run.folder / "spectrum.npz", energies=energies, local_density=found, density=density.values, mu=mu
    )
    metrics = {
        "spectrum/mu": mu,
        "spectrum/electrons_per_site": float(labels.density.mean()),
        "spectrum/density_at_mu": float(maps[0].mean()),
    }
    for key, value in metrics.items():
        run.say(f"  {key.removeprefix('spectrum/').replace('_', ' ')}: {value:.6g}")
    figure = density_figure(run.folder / "density_of_states.png", density, mu)
    run.image("density_of_states", figure)
    caption = f"Density of states of {lattice.n_sites} sites from G(E + iη), η = {eta:g}."
    pictures = [Picture(figure, caption)]
    if lattice.dim == 2:
        titles = [f"$E$ = {energy:.4g}" + (r" ($\mu$)" if k == 0 else "") for k, energy in enumerate(mapped)]
        chirality = scalar_chirality(lattice, spins) if len(lattice.triangles()) else None
        path = local_density_map(run.folder / "local_density.png", lattice, maps, titles, chirality)
        run.image("local_density", path)
        pictures.append(
            Picture(path, "Local density of states, beside the chirality where there are triangles.")
        )
    title = f"Spectrum of the {system(cfg)}: {name}"
    cards = [
        Metric("chemical potential μ", mu, "t"),
        Metric("electrons per site", metrics["spectrum/electrons_per_site"]),
    ]
    publish(cfg, run, title, [Section("Density of states", pictures=pictures)], cards)
    return metrics
