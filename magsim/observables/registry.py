"""Observables by name: scalars per frame for series, tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.observables.chirality import TETRAHEDRAL_CHIRALITY, mean_abs_chirality, mean_chirality
from magsim.observables.correlation import nn_correlation
from magsim.observables.correlation_length import chirality_correlation_length, correlation_length
from magsim.observables.domains import chirality_domain_size
from magsim.observables.magnetisation import magnetisation
from magsim.observables.skyrmion import skyrmion_number


@dataclass(frozen=True)
class Observable:
    """A scalar of one frame.

    Attributes:
        name: key in the registry and in stored series.
        compute: ``(lattice, spins (..., N, 3)) -> (...)``; None for the energy, which the effective field
            gives.
        symbol: axis label in mathtext.
        unit: unit for labels and tables, empty for pure numbers.
        two_dimensional: whether it needs a two-dimensional lattice.
        references: values of perfect orders, to draw as lines: label -> value.
    """

    name: str
    compute: Callable[[Lattice, Any], Any] | None
    symbol: str
    unit: str = ""
    two_dimensional: bool = False
    references: tuple[tuple[str, float], ...] = ()

    @property
    def label(self) -> str:
        """Symbol with unit, ready for an axis."""
        return f"{self.symbol} ({self.unit})" if self.unit else self.symbol

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
    Observable("energy", None, r"$E/N$", "t"),
    Observable("magnetisation", magnetisation, r"$|m|$"),
    Observable(
        "nn_correlation",
        nn_correlation,
        r"$\langle \mathbf{S}_i\cdot\mathbf{S}_j\rangle_\mathrm{nn}$",
        references=(("tetrahedral", -1.0 / 3.0),),
    ),
    Observable(
        "mean_abs_chirality",
        mean_abs_chirality,
        r"$\langle|\chi|\rangle$",
        two_dimensional=True,
        references=(("tetrahedral", float(TETRAHEDRAL_CHIRALITY)),),
    ),
    Observable("mean_chirality", mean_chirality, r"$\langle\chi\rangle$", two_dimensional=True),
    Observable("chirality_domain_size", chirality_domain_size, r"$L_\chi$", "a", two_dimensional=True),
    Observable("correlation_length", correlation_length, r"$\xi$", "a"),
    Observable(
        "chirality_correlation_length", chirality_correlation_length, r"$\xi_\chi$", "a", two_dimensional=True
    ),
    Observable("skyrmion_number", skyrmion_number, r"$Q$", two_dimensional=True),
)

OBSERVABLES: dict[str, Observable] = {observable.name: observable for observable in _ALL}
"""Every observable by name."""


def select(names: Sequence[str] | None, lattice: Lattice) -> tuple[str, ...]:
    """The observables to record on a lattice.

    Args:
        names: what was asked for; None or ``["all"]`` for everything that the lattice allows.

    Raises:
        ConfigError: an unknown name, a name given twice, or one that needs a two-dimensional lattice.
    """
    if names is None or list(names) == ["all"]:
        return tuple(o.name for o in _ALL if lattice.dim == 2 or not o.two_dimensional)
    for name in names:
        if name not in OBSERVABLES:
            raise ConfigError(
                "observables.names", name, f"known observables are all, {', '.join(OBSERVABLES)}."
            )
        if OBSERVABLES[name].two_dimensional and lattice.dim != 2:
            raise ConfigError(
                "observables.names", name, f"needs a two-dimensional lattice, not {lattice.name}."
            )
    if len(set(names)) < len(names):
        raise ConfigError("observables.names", list(names), "each observable once.")
    return tuple(names)


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
