"""The ``spirit`` package (https://spirit-code.github.io) as a yardstick; optional.

G. P. Mueller et al., Phys. Rev. B 99, 224414, doi:10.1103/PhysRevB.99.224414.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

SOLVERS = {"heun": "SOLVER_HEUN", "rk4": "SOLVER_RK4", "sib": "SOLVER_SIB", "depondt": "SOLVER_DEPONDT"}

EXCHANGE = 1.0  # meV
BOLTZMANN = 0.08617333  # meV / K
MANY = 2**31 - 1  # iterations; the end of a run is decided here
MOMENT = 2.0  # Bohr magnetons
PRECESSION = 0.1760859644 * EXCHANGE / (MOMENT * 0.057883817555)  # 1/ps: gamma J / moment


def load() -> SimpleNamespace | None:
    """Spirit's modules, or None where it is not installed (or another package has its name)."""
    try:
        from spirit import (
            configuration,
            geometry,
            hamiltonian,
            quantities,
            simulation,
            state,
            system,
            version,
        )
        from spirit.parameters import llg
    except (ImportError, OSError):  # OSError: its shared library does not fit this system
        return None
    return SimpleNamespace(
        configuration=configuration,
        geometry=geometry,
        hamiltonian=hamiltonian,
        llg=llg,
        quantities=quantities,
        simulation=simulation,
        state=state,
        system=system,
        version=version,
    )


def version() -> str:
    """Version and build."""
    found = load()
    if found is None:
        return "not installed"
    v = found.version
    return f"spirit {v.version}, {v.scalartype}, openmp {v.openmp}, threads {v.threads}, cuda {v.cuda}"


class Ferromagnet:
    """A running simulation of spirit."""

    def __init__(self, modules: SimpleNamespace, state: Any, n_spins: int) -> None:
        self._modules, self._state, self._n_spins = modules, state, n_spins

    def advance(self, steps: int) -> None:
        """Do so many time steps."""
        self._modules.simulation.n_shot(self._state, steps)

    @property
    def spins(self) -> np.ndarray:
        """``(N, 3)`` in the order of sites of :class:`magsim.lattice.Lattice`, a copy."""
        return self._by_column().transpose(1, 0, 2).reshape(-1, 3).copy()

    @spins.setter
    def spins(self, spins: np.ndarray) -> None:
        view = self._by_column()
        view[...] = spins.reshape(view.shape[1], view.shape[0], 3).transpose(1, 0, 2)

    def _by_column(self) -> np.ndarray:
        """Its own spins, ``(Ly, Lx, 3)``: there x runs first."""
        side = round(self._n_spins**0.5)
        return self._modules.system.get_spin_directions(self._state).reshape(side, side, 3)

    def topological_charge(self) -> float:
        """Of its own counting."""
        return float(self._modules.quantities.get_topological_charge(self._state))

    def energy(self) -> float:
        """Energy per spin in units of the exchange."""
        self._modules.system.update_data(self._state)
        return float(self._modules.system.get_energy(self._state)) / (self._n_spins * EXCHANGE)


@contextmanager
def ferromagnet(solver: str, T: float, side: int, dt: float, alpha: float) -> Iterator[Ferromagnet | None]:
    """A Heisenberg ferromagnet, E = -J sum_<ij> S_i.S_j on a periodic square lattice, from random spins.

    Its equation is dS/dt = -S x F - alpha S x (S x F) with times in units of (1 + alpha^2)/J.

    Args:
        solver: one of :data:`SOLVERS`.
        T: temperature in units of J.
        side: the lattice has ``side x side`` spins.
        dt: time step in these units.
        alpha: damping.

    Yields:
        the simulation; None where spirit is not installed.
    """
    s = load()
    if s is None:
        yield None
        return
    with _silence():
        state = s.state.setup("", True)
    try:
        s.geometry.set_bravais_lattice_type(state, s.geometry.BRAVAIS_LATTICE_SC)
        s.geometry.set_n_cells(state, [side, side, 1])
        s.geometry.set_mu_s(state, MOMENT)
        h = s.hamiltonian
        h.set_boundary_conditions(state, [True, True, False])
        h.set_field(state, 0.0, [0.0, 0.0, 1.0])
        h.set_anisotropy(state, 0.0, [0.0, 0.0, 1.0])
        h.set_exchange(state, 1, [EXCHANGE])
        h.set_dmi(state, 0, [])
        h.set_ddi(state, h.DDI_METHOD_NONE)
        s.configuration.random(state)
        s.llg.set_output_general(state, any=False)
        s.llg.set_convergence(state, 0.0)
        s.llg.set_timestep(state, dt * (1 + alpha**2) / PRECESSION)
        s.llg.set_damping(state, alpha)
        s.llg.set_temperature(state, T * EXCHANGE / BOLTZMANN)
        run = s.simulation
        run.start(state, run.METHOD_LLG, getattr(run, SOLVERS[solver]), MANY, MANY, single_shot=True)
        try:
            yield Ferromagnet(s, state, side**2)
        finally:
            with _silence():
                run.stop(state)
    finally:
        with _silence():
            s.state.delete(state)


@contextmanager
def _silence() -> Iterator[None]:
    """Its library writes a banner to the standard output of the process, past Python's."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
