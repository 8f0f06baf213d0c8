"""The reference texture that a configuration means."""

from __future__ import annotations

import numpy as np
from omegaconf import DictConfig

from magsim.errors import ConfigError
from magsim.labelers import Labeler
from magsim.lattice import Lattice
from magsim.runs import Run
from magsim.spins import TEXTURES
from magsim.tasks.build import build_classical


def reference_texture(
    cfg: DictConfig, labeler: Labeler, name: str | None, run: Run
) -> tuple[str, np.ndarray]:
    """A texture by its name; None: of those that fit the lattice the one with the lowest energy, that of
    electrons and classical terms together.

    Returns:
        name and spins ``(N, 3)``.

    Raises:
        ConfigError: the texture does not fit the lattice.
    """
    lattice = labeler.hamiltonian.lattice
    if name is not None:
        return name, TEXTURES[name](lattice)
    fitting = _fitting(lattice)
    spins = np.stack(list(fitting.values()))
    energy = np.asarray(labeler.label(spins).energy)
    classical = build_classical(cfg, lattice)
    if classical is not None:
        energy = energy + np.asarray(classical(spins)[0])
    told = ", ".join(f"{name} {e / lattice.n_sites:.6f}" for name, e in zip(fitting, energy, strict=True))
    run.say(f"  energy per site of the textures that fit this lattice: {told}")
    best = list(fitting)[int(np.argmin(energy))]
    return best, fitting[best]


def _fitting(lattice: Lattice) -> dict[str, np.ndarray]:
    found = {}
    for name, texture in TEXTURES.items():
        try:
            found[name] = texture(lattice)
        except ConfigError:
            continue
    return found
