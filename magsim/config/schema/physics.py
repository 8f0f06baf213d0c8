"""Lattice, Hamiltonians, labeler and samplers."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class LatticeConfig:
    """The crystal: its name, cells along each lattice vector, and ``periodic`` or ``open`` for each."""

    name: str = MISSING
    shape: list[int] = MISSING
    boundary: list[str] = MISSING


@dataclass
class HamiltonianConfig:
    """What every electronic Hamiltonian has; exactly one of ``mu`` and ``filling`` is a number."""

    name: str = MISSING
    t: list[float] = MISSING  # hopping by neighbour shell, in units of the first
    mu: float | None = MISSING  # chemical potential (grand canonical)
    filling: float | None = MISSING  # electrons / (2 sites) (canonical)
    T: float = MISSING  # electronic temperature


@dataclass
class SDConfig(HamiltonianConfig):
    """Electrons coupled to classical spins with a finite exchange J."""

    J: float = MISSING


@dataclass
class ProjectedConfig(HamiltonianConfig):
    """Double exchange in the limit J -> infinity: the electron spin follows S_i, so there is no J."""


@dataclass
class ClassicalConfig:
    """Terms that the electrons do not carry: exchange by shell, DM, easy axis, field. Zero: absent."""

    name: str = MISSING
    heisenberg: list[float] = MISSING
    dm: float = MISSING
    dm_kind: str = MISSING
    easy_axis: float = MISSING
    axis: list[float] = MISSING
    zeeman: list[float] = MISSING


@dataclass
class LabelerConfig:
    """The solver of the electrons; ``batch_size`` configurations at a time."""

    name: str = MISSING
    batch_size: int = MISSING


@dataclass
class SamplerConfig:
    """Where the spin configurations that get labels come from."""

    name: str = MISSING


@dataclass
class RandomSampler(SamplerConfig):
    """``count`` configurations, every spin uniform on the sphere."""

    count: int = MISSING


@dataclass
class QuenchSampler(SamplerConfig):
    """Snapshots of exact LLG at T = 0 from random spins."""

    trajectories: int = MISSING
    steps: int = MISSING
    record_every: int = MISSING
    dt: float | None = MISSING  # null: suggested from the torque
    alpha: float = MISSING
    integrator: str = MISSING
    sense: int = MISSING


@dataclass
class ThermalSampler(QuenchSampler):
    """Snapshots of exact LLG with a bath, ``trajectories`` at each temperature."""

    temperatures: list[float] = MISSING
    burn_in: int = MISSING


@dataclass
class FileSampler(SamplerConfig):
    """The array ``spins (n, N, 3)`` of a file."""

    path: str | None = MISSING
    limit: int | None = MISSING  # only the first so many
    select: list[int] | None = MISSING  # only these


@dataclass
class MixedSampler(SamplerConfig):
    """Random configurations and exact quenches in one dataset."""

    random: RandomSampler = field(default_factory=RandomSampler)
    quench: QuenchSampler = field(default_factory=QuenchSampler)
