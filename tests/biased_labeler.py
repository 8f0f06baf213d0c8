"""A strip between two leads that needs no electrons: what drives know of labels, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.labelers import Labels
from magsim.lattice import Lattice


@dataclass(frozen=True)
class Strip:
    """The part of a driven Hamiltonian that others than its labeler look at."""

    conservative: ClassVar[bool] = False

    lattice: Lattice
    voltage: float = 0.0


@dataclass(frozen=True, eq=False)
class BiasedLabeler:
    """F_i = sum_j S_j + (V/2) S_i x (S_{i+x} - S_{i-x}): exchange, and a torque by which textures move with
    velocity V; the density is 1 - V x/L_x and the current V."""

    hamiltonian: Strip

    def with_voltage(self, voltage: float) -> BiasedLabeler:
        return BiasedLabeler(replace(self.hamiltonian, voltage=float(voltage)))

    def identity(self) -> dict[str, Any]:
        return {"name": "biased"}

    def label(self, spins: Any) -> Labels:
        strip, n = self.hamiltonian, len(spins)
        exchange = _exchange(strip.lattice).energy_and_field(spins)[1]
        grid = np.asarray(spins).reshape(n, *strip.lattice.shape, 3)
        slope = np.gradient(grid, axis=1).reshape(spins.shape)
        field = exchange + strip.voltage * np.cross(spins, slope)
        x = strip.lattice.cells[:, 0] / strip.lattice.shape[0]
        return Labels(
            energy=None,
            field=field,
            density=np.tile(1 - strip.voltage * x, (n, 1)),
            mu=np.zeros(n),
            error=np.zeros(n),
            method="biased",
            wall_time=0.0,
            extra={
                "voltage": np.full(n, strip.voltage),
                "terminal_current": np.tile([strip.voltage, -strip.voltage, 0.0], (n, 1)),
            },
        )


@cache
def _exchange(lattice: Lattice) -> ClassicalHamiltonian:
    return ClassicalHamiltonian(lattice, heisenberg=[-1.0])
