"""Labelers: the solvers of the electrons."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class LabelerConfig:
    """The solver of the electrons; ``batch_size`` configurations at a time."""

    name: str = MISSING
    batch_size: int | None = MISSING  # configurations solved at a time, null: what fits; labels are the same


@dataclass
class KPMConfig(LabelerConfig):
    """Chebyshev moments of probe vectors, O(N)."""

    probes: str = MISSING  # colour, random or identity
    columns: int = MISSING  # probe vectors of one repeat
    repeats: int = MISSING  # independent sets of phases; their spread is the error
    moments: int | None = MISSING  # even; null: from tolerance, temperature and bandwidth
    tolerance: float = MISSING  # of a field component, by truncation
    jackson: bool = MISSING  # damp the moments
    smearing: float = MISSING  # temperature of the occupations where hamiltonian.T=0
    redraw: bool = MISSING  # phases of each configuration from its content
    seed: int = MISSING  # of the phases


@dataclass
class AutoConfig(LabelerConfig):
    """The fastest of the others that meets a tolerance."""

    tolerance: float = MISSING  # of a field component


@dataclass
class GreensConfig(LabelerConfig):
    """Fermi poles and selected inversion."""

    tolerance: float = MISSING  # of a field component
    precision: str = MISSING  # complex128 or complex64
    smearing: float = MISSING  # temperature that stands for T = 0


@dataclass
class NEGFConfig(LabelerConfig):
    """Nonequilibrium Green's functions of a driven strip."""

    tolerance: float = MISSING  # of a field component
