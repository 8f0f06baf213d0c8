"""Spin dynamics: effective fields, integrators, thermostat, protocols, trajectories."""

from __future__ import annotations

from magsim.dynamics.committee import CommitteeField
from magsim.dynamics.effective_field import ClassicalField, EffectiveField, ExactField, LearnedField, SumField
from magsim.dynamics.evolve import EvolutionError, Frame, evolve
from magsim.dynamics.integrators import (
    INTEGRATORS,
    RK4,
    SIB,
    Depondt,
    Heun,
    Integrator,
    Midpoint,
    SuzukiTrotter,
    make_integrator,
    suggest_timestep,
)
from magsim.dynamics.learned_field import load_field
from magsim.dynamics.make_walk import kind_of_steps
from magsim.dynamics.protocols import (
    PROTOCOLS,
    Anneal,
    Drive,
    FieldSweep,
    Protocol,
    Quench,
    Relax,
    Schedule,
    initial_spins,
    make_protocol,
)
from magsim.dynamics.thermostat import Noise, diffusion
from magsim.dynamics.trajectory import Trajectory, open_trajectory
from magsim.dynamics.trajectory_writer import TrajectoryWriter, open_trajectory_writer

__all__ = [
    "INTEGRATORS",
    "PROTOCOLS",
    "RK4",
    "SIB",
    "Anneal",
    "ClassicalField",
    "CommitteeField",
    "Depondt",
    "Drive",
    "EffectiveField",
    "EvolutionError",
    "ExactField",
    "FieldSweep",
    "Frame",
    "Heun",
    "Integrator",
    "LearnedField",
    "Midpoint",
    "Noise",
    "Protocol",
    "Quench",
    "Relax",
    "Schedule",
    "SumField",
    "SuzukiTrotter",
    "Trajectory",
    "TrajectoryWriter",
    "diffusion",
    "evolve",
    "initial_spins",
    "kind_of_steps",
    "load_field",
    "make_integrator",
    "make_protocol",
    "open_trajectory",
    "open_trajectory_writer",
    "suggest_timestep",
]
