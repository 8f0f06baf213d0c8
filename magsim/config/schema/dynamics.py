"""Integrator, protocol and observables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class IntegratorConfig:
    """One step of dS/dt = sense S x F - alpha S x (S x F), with a bath at T."""

    name: str = MISSING
    dt: float | None = MISSING  # null: suggested from the torque
    alpha: float = MISSING
    T: float = MISSING
    sense: int = MISSING  # +1 conserves S + sigma/2, -1 is the sign of the published codes
    tolerance: float | None = MISSING  # null: steps of dt, else parts of it that err less per unit of time


@dataclass
class ProtocolConfig:
    """What a run does with the integrator."""

    name: str = MISSING
    steps: int | None = MISSING  # time steps; field_sweep: null for the whole loop
    record_every: int = MISSING  # steps between stored frames
    replicas: int = MISSING  # independent copies, side by side
    initial: str = MISSING  # random or the name of a texture


@dataclass
class RelaxConfig(ProtocolConfig):
    """T = 0 until no torque exceeds ``tolerance``."""

    method: str = (
        MISSING  # llg: damped motion; cg, lbfgs: minimisers on the sphere, for fields with an energy
    )
    tolerance: float = MISSING  # largest torque |S x F| that counts as none


@dataclass
class AnnealConfig(ProtocolConfig):
    """The temperature of the bath falls from ``T_start`` to ``T_end`` over the run."""

    T_start: float = MISSING  # of the bath at the first step
    T_end: float = MISSING  # of the bath at the last step
    schedule: str = MISSING


@dataclass
class FieldSweepConfig(ProtocolConfig):
    """Hysteresis loop: a field along one direction from ``B_max`` down to ``-B_max`` and up again."""

    direction: list[float] = MISSING  # of the field, of any length
    B_max: float = MISSING  # largest field times the moment
    points: int = MISSING  # values of one branch, -B_max and B_max among them
    hold: int = MISSING  # steps at each value, at most; a multiple of record_every
    # the next value as soon as no torque exceeds this; null: hold steps at every value
    tolerance: float | None = MISSING


@dataclass
class ScheduleConfig(ProtocolConfig):
    """Temperature and external field by tables, linear between their rows."""

    clock: str = MISSING  # what the first column counts: steps, or time = steps * dt
    T: list[Any] = MISSING  # of the bath, rows [when, T]; empty: integrator.T
    B: list[Any] = MISSING  # field times the moment, rows [when, Bx, By, Bz]; empty: none


@dataclass
class DriveConfig(ProtocolConfig):
    """A strip between two leads with a bias."""

    clock: str = MISSING  # what the first column of V counts: steps, or time = steps * dt
    # eV = mu_L - mu_R: a number, a list with one of each replica, or rows [when, V]
    V: Any = field(default=MISSING, metadata={"kind": float | list[float] | list[list[float]]})
    wall: float | None = MISSING  # place of the wall to begin with, in columns; null: the middle
    width: float = MISSING  # of a 180-degree wall to begin with, in columns
    tilt: float = MISSING  # rms angle by which the spins to begin with are turned at random


@dataclass
class ObservablesConfig:
    """What is measured along a trajectory."""

    names: list[str] | None = MISSING  # null: all that the lattice allows
    every: int = MISSING  # measured on every n-th recorded frame
    sample_every: int | None = MISSING  # steps between samples of the spin waves
    figures: list[str] | None = MISSING  # null: those that fit the lattice and what was measured
    fit: list[float] | None = MISSING  # times between which growth laws are fitted
    waiting: list[float] = MISSING  # times that two-time correlations refer to
    transport: int = MISSING  # frames of a drive whose currents and densities are solved exactly


@dataclass
class AuditConfig:
    """Exact labels of the states that a simulation with a learned field reaches."""

    every: int | None = MISSING  # steps between audits, a multiple of protocol.record_every; null: none
    max_sites: int = MISSING  # up to here the whole lattice is solved, beyond it random blocks
    blocks: int = MISSING  # in one audit
    side: int = MISSING  # cells of a block along each axis
    margin: float = MISSING  # sites of a block nearer to a cut are solved, not compared
    labeler: str = MISSING  # ed, greens or auto: the faster of the two
    tolerance: float = MISSING  # of a field component, of the labels
    warn: float = MISSING  # torque errors, true or expected, above so many times that of the test are told
