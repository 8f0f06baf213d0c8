"""Lattice, Hamiltonians and samplers."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class LatticeConfig:
    """The crystal: its name, cells along each lattice vector, and ``periodic`` or ``open`` for each."""

    name: str = MISSING
    shape: list[int] = MISSING  # cells along each lattice vector
    boundary: list[str] = MISSING  # periodic or open, for each lattice vector


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

    J: float = MISSING  # of -J sum_i S_i . c+_i sigma c_i (Pauli matrices, no factor 1/2)


@dataclass
class ProjectedConfig(HamiltonianConfig):
    """Double exchange in the limit J -> infinity: the electron spin follows S_i, so there is no J."""


@dataclass
class DrivenConfig(SDConfig):
    """A strip of the s-d model between two leads; ``mu`` is that of the bath, ``filling`` is null."""

    voltage: float = MISSING  # eV = mu_L - mu_R
    split: str = MISSING  # symmetric: mu_L, mu_R = mu +- voltage/2; right: mu, mu - voltage
    mu_L: float | None = MISSING  # with mu_R, instead of voltage
    mu_R: float | None = MISSING  # of the right lead, with mu_L
    leads: str = MISSING  # wide_band or semi_infinite
    gamma: float = MISSING  # level width by a wide-band lead
    gamma_bath: float = MISSING  # level width by the bath on every site
    lead_moment_L: list[float] | None = MISSING  # wide_band: polarisation; semi_infinite: moments of the lead
    lead_moment_R: list[float] | None = MISSING  # the same of the right lead
    potential_drop: bool = MISSING  # a linear potential between the leads
    cut: float | None = MISSING  # energies below are left out, as in some published codes


@dataclass
class NoElectronsConfig(HamiltonianConfig):
    """No electrons: the classical terms are all there is."""


@dataclass
class ClassicalConfig:
    """Terms that the electrons do not carry: exchange by shell, DM, easy axis, field. Zero: absent."""

    name: str = MISSING
    heisenberg: list[float] = MISSING
    dm: float = MISSING  # D of sum_<ij> D_ij . (S_i x S_j), on the nearest neighbours
    dm_kind: str = MISSING
    easy_axis: float = MISSING  # K of -K sum_i (S_i . n)^2; negative: easy plane
    axis: list[float] = MISSING  # n, of any length
    zeeman: list[float] = MISSING  # B of -B . sum_i S_i


@dataclass
class SamplerConfig:
    """Where the spin configurations that get labels come from."""

    name: str = MISSING


@dataclass
class RandomSampler(SamplerConfig):
    """``count`` configurations, every spin uniform on the sphere."""

    count: int = MISSING  # configurations


@dataclass
class QuenchSampler(SamplerConfig):
    """Snapshots of exact LLG at T = 0 from random spins."""

    trajectories: int = MISSING  # each from its own random spins (thermal: at each temperature)
    steps: int = MISSING  # time steps that are recorded
    record_every: int = MISSING  # steps between snapshots
    dt: float | None = MISSING  # null: suggested from the torque
    alpha: float = MISSING  # damping
    integrator: str = MISSING  # any option of integrator but suzuki_trotter
    sense: int = MISSING  # +1 or -1: sign of the precession term


@dataclass
class ThermalSampler(QuenchSampler):
    """Snapshots of exact LLG with a bath, ``trajectories`` at each temperature."""

    temperatures: list[float] = MISSING  # of the bath
    burn_in: int = MISSING  # steps before the first snapshot, a multiple of record_every


@dataclass
class FileSampler(SamplerConfig):
    """The array ``spins (n, N, 3)`` of a file."""

    path: str | None = MISSING  # an .npz file, a dataset or a trajectory store
    limit: int | None = MISSING  # only the first so many
    select: list[int] | None = MISSING  # only these


@dataclass
class MixedSampler(SamplerConfig):
    """Random configurations and exact quenches in one dataset."""

    random: RandomSampler = field(default_factory=RandomSampler)
    quench: QuenchSampler = field(default_factory=QuenchSampler)
