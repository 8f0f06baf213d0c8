"""Observables by name: scalars per frame for series, tables and figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.chirality import TETRAHEDRAL_CHIRALITY, mean_abs_chirality, mean_chirality
from magsim.observables.clusters import cluster_number, cluster_size, ferromagnetic_fraction
from magsim.observables.correlation import nn_correlation
from magsim.observables.correlation_length import chirality_correlation_length, correlation_length
from magsim.observables.domains import chirality_domain_size
from magsim.observables.magnetisation import magnetisation
from magsim.observables.ordering import ordering_wavenumber, ordering_weight
from magsim.observables.skyrmion import skyrmion_count, skyrmion_number
from magsim.observables.strip import afm_fm_wall_position, domain_wall_position
from magsim.observables.walls import wall_anisotropy, wall_density
from magsim.spins import ferromagnet


@dataclass(frozen=True)
class Observable:
    """A scalar of one frame.

    Attributes:
        name: key in the registry and in stored series.
        compute: ``(lattice, spins (..., N, 3)) -> (...)``; None for the energy, which the effective field
            gives.
        symbol: axis label in mathtext.
        unit: unit for labels and tables, empty for pure numbers.
        words: what it is, for tables and captions.
        references: values of perfect orders, to draw as lines: label -> value.
    """

    name: str
    compute: Callable[[Lattice, Any], Any] | None
    symbol: str
    unit: str = ""
    words: str = ""
    references: tuple[tuple[str, float], ...] = ()

    @property
    def label(self) -> str:
        """Symbol with unit, ready for an axis."""
        unit = re.sub(r"\b([at])\b", r"$\1$", self.unit)  # t and a are quantities
        return f"{self.symbol} ({unit})" if unit else self.symbol

    def __call__(self, lattice: Lattice, spins: Any, energy: Any = None) -> Any:
        """Value per frame; ``energy (...)`` is the total energy of the same frames.

        Raises:
            ConfigError: the observable is the energy and none was given.
        """
        if self.compute is not None:
            return self.compute(lattice, spins)
        if energy is None:
            raise ConfigError("observables.names", self.name, "needs the energy of the effective field.")
        return energy / lattice.n_sites


_ALL = (
    Observable("energy", None, r"$E/N$", "t", "energy per site"),
    Observable("magnetisation", magnetisation, r"$|m|$", "", "magnetisation"),
    Observable(
        "nn_correlation",
        nn_correlation,
        r"$\langle \mathbf{S}_i\cdot\mathbf{S}_j\rangle_\mathrm{nn}$",
        words="spin correlation of neighbours",
        references=(("tetrahedral", -1.0 / 3.0),),
    ),
    Observable(
        "mean_abs_chirality",
        mean_abs_chirality,
        r"$\langle|\chi|\rangle$",
        words="mean absolute chirality",
        references=(("tetrahedral", float(TETRAHEDRAL_CHIRALITY)),),
    ),
    Observable("mean_chirality", mean_chirality, r"$\langle\chi\rangle$", "", "mean chirality"),
    Observable("chirality_domain_size", chirality_domain_size, r"$L_\chi$", "a", "size of chiral domains"),
    Observable("correlation_length", correlation_length, r"$\xi$", "a", "correlation length of the spins"),
    Observable(
        "chirality_correlation_length",
        chirality_correlation_length,
        r"$\xi_\chi$",
        "a",
        "correlation length of the chirality",
    ),
    Observable("wall_density", wall_density, r"$\rho_\mathrm{wall}$", "1/a", "length of wall per area"),
    Observable(
        "wall_anisotropy",
        wall_anisotropy,
        r"$\langle\cos n\varphi\rangle_\mathrm{wall}$",
        "",
        "anisotropy of the walls",
    ),
    Observable(
        "ordering_wavenumber", ordering_wavenumber, r"$|\mathbf{Q}|$", "1/a", "ordering wavenumber |Q|"
    ),
    Observable(
        "ordering_weight",
        ordering_weight,
        r"$w_{|\mathbf{Q}|}$",
        "",
        "weight of S(q) at |Q|",
    ),
    Observable("skyrmion_number", skyrmion_number, r"$Q_\mathrm{top}$", "", "topological charge"),
    Observable("skyrmion_count", skyrmion_count, r"$|Q_\mathrm{top}|$", "", "absolute topological charge"),
    Observable(
        "ferromagnetic_fraction",
        ferromagnetic_fraction,
        r"$f_\mathrm{FM}$",
        "",
        "fraction of ferromagnetic sites",
    ),
    Observable(
        "cluster_size",
        cluster_size,
        r"$\langle s\rangle_\mathrm{FM}$",
        "sites",
        "mean size of ferromagnetic clusters",
    ),
    Observable("cluster_number", cluster_number, r"$n_\mathrm{FM}$", "", "number of ferromagnetic clusters"),
    Observable(
        "afm_fm_wall_position", afm_fm_wall_position, r"wall position $x_w$", "a", "position of the wall"
    ),
    Observable(
        "domain_wall_position", domain_wall_position, r"wall position $x_w$", "a", "position of the wall"
    ),
)

OBSERVABLES: dict[str, Observable] = {observable.name: observable for observable in _ALL}
"""Every observable by name."""


def select(names: Sequence[str] | None, lattice: Lattice) -> tuple[str, ...]:
    """The observables to record on a lattice.

    Args:
        names: what was asked for; None or ``["all"]`` for everything that the lattice allows.

    Raises:
        ConfigError: an unknown name, a name given twice, or one that the lattice is too small or
            of the wrong dimension for.
    """
    # what a lattice lacks (triangles, bonds, wavevectors) shows at the same number of cells below four
    probe = lattice.with_shape([min(n, 4) for n in lattice.shape])
    if names is None or list(names) == ["all"]:
        return tuple(observable.name for observable in _ALL if _obstacle(observable, probe) is None)
    for name in names:
        if name not in OBSERVABLES:
            raise ConfigError(
                "observables.names", name, f"known observables are all, {', '.join(OBSERVABLES)}."
            )
        obstacle = _obstacle(OBSERVABLES[name], probe)
        if obstacle is not None:
            raise ConfigError("observables.names", name, f"cannot be measured on this lattice ({obstacle})")
    if len(set(names)) < len(names):
        raise ConfigError("observables.names", list(names), "each observable once.")
    return tuple(names)


def _obstacle(observable: Observable, lattice: Lattice) -> str | None:
    """Why an observable cannot be measured on a lattice; None if it can."""
    try:
        observable(lattice, ferromagnet(lattice), energy=0.0)
    except ConfigError as error:
        return error.allowed
    return None


def measure(names: Sequence[str], lattice: Lattice, spins: Any, energy: Any = None) -> dict[str, Any]:
    """Evaluate observables on frames.

    Args:
        names: checked names, see :func:`select`.
        spins: ``(..., N, 3)`` NumPy, CuPy or torch array.
        energy: ``(...)`` total energies of the frames; needed by ``energy`` only.

    Returns:
        name -> ``(...)`` values, same kind of array as ``spins``.
    """
    return {name: OBSERVABLES[name](lattice, spins, energy) for name in names}
