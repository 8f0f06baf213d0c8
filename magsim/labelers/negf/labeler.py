"""Labels of a driven strip: field, density and currents out of equilibrium."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from magsim.arrays import array_module, cores, free_memory, to_numpy
from magsim.errors import ConfigError
from magsim.hamiltonian.driven import DrivenStrip
from magsim.hamiltonian.electronic import PAULI, Electrons
from magsim.labelers.labels import Labels
from magsim.labelers.negf.bias_window import bias_levels, remaining
from magsim.labelers.negf.blocks import Elements
from magsim.labelers.negf.fermi_nodes import FermiNodes, Levels, fermi_nodes
from magsim.labelers.negf.recursion import Columns, equilibrium, injected

NUMBERS = 20_000  # of a column that are worked on together on the CPU, to stay in its cache
ENERGIES = 8192  # that are solved together on a GPU, at most
BATCH = {"cpu": 16, "cuda": 256}  # configurations
SHARE = 0.1  # of the tolerance that is for the equilibrium part, where energies are cheap
TAIL = 0.1  # that is for occupations beyond the ends of a bias window
MOST_LEVELS = 12


@dataclass(frozen=True, eq=False)
class NEGFLabeler:
    """Labels out of equilibrium,

        rho = rho_eq(mu) + sum_{l=L,R} int dE/(2 pi) (f_l - f_b) G Gamma_l G+ ,

    the first by Gauss-Matsubara nodes (:mod:`.fermi_nodes`), the second on the real axis where the
    occupations differ (:mod:`.bias_window`), both by the slice recursion (:mod:`.recursion`).

    ``extra`` holds ``voltage`` ``(B,)``, ``terminal_current`` ``(B, 3)`` (electrons per time that flow out of
    the left lead, the right lead and the bath into the strip; they sum to zero), ``terminal_spin_current``
    ``(B, 3, 3)`` likewise for the spin sigma/2, which add up to ``sum_i S_i x F_i``, ``bond_current``
    ``(B, bonds)`` and ``bond_spin_current`` ``(B, bonds, 3)`` from the first to the second site of
    :attr:`magsim.hamiltonian.driven.DrivenStrip.current_bonds`, and ``nodes`` ``(B,)``, energies solved.

    Attributes:
        hamiltonian: what to solve.
        device: ``"cpu"`` or ``"cuda"``.
        batch_size: configurations in hand at a time; None: 16 (CPU), 256 (GPU).
        tolerance: of a field component.

    Raises:
        ConfigError: the Hamiltonian is none of a driven strip.
    """

    hamiltonian: Electrons
    device: str = "cpu"
    batch_size: int | None = None
    tolerance: float = 1e-6

    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.hamiltonian, DrivenStrip):
            raise ConfigError("labeler.name", "negf", "solves hamiltonian=driven only.")

    def identity(self) -> dict[str, Any]:
        """Method and tolerance."""
        return {"name": "negf", "tolerance": self.tolerance}

    def with_voltage(self, voltage: float) -> NEGFLabeler:
        """The labeler of the same strip at another voltage."""
        return replace(self, hamiltonian=self.strip.with_voltage(voltage))

    @property
    def strip(self) -> DrivenStrip:
        """The Hamiltonian."""
        assert isinstance(self.hamiltonian, DrivenStrip)
        return self.hamiltonian

    @cached_property
    def xp(self) -> ModuleType:
        return array_module(self.device)

    @cached_property
    def _occupation_tolerance(self) -> float:
        return max(self.tolerance / (2 * abs(self.strip.J)), 1e-13)

    @cached_property
    def levels(self) -> Levels:
        """Where the levels of the open strip lie."""
        h = self.strip
        moments = [0.0 if m is None else float(np.linalg.norm(m)) for m in (h.lead_moment_L, h.lead_moment_R)]
        potential = max(abs(u) for u in h.lead_potentials)
        narrow = 0.5 * h.gamma_bath
        band = 4 * abs(h.hopping[0]) + potential
        if h.leads == "wide_band":
            return Levels(band + abs(h.J), narrow, narrow + 0.5 * h.gamma * (1 + max(moments)))
        return Levels(band + abs(h.J) * max(1.0, *moments), 0.0, narrow)

    @cached_property
    def equilibrium_nodes(self) -> FermiNodes:
        """At the chemical potential of the bath; with a cut, less those of the states below it."""
        h = self.strip
        nodes = fermi_nodes(self.levels, h.chemical_potentials[2], h.T, SHARE * self._occupation_tolerance)
        if h.cut is None:
            return nodes
        below = fermi_nodes(self.levels, h.cut, 0.0, SHARE * self._occupation_tolerance)
        return FermiNodes(
            np.concatenate([nodes.z, below.z]),
            np.concatenate([nodes.weights, -below.weights]),
            nodes.error + below.error,
        )

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)``; NumPy arrays in and out."""
        start = time.perf_counter()
        spins = np.asarray(spins, dtype=np.float64)
        size = self.batch_size or BATCH[self.device]
        parts = [self._label_batch(spins[k : k + size]) for k in range(0, len(spins), size)]
        column = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        field, density, error = (column.pop(name) for name in ("field", "density", "error"))
        mu = np.full(len(spins), self.strip.mu)
        method = f"negf/{self.xp.__name__}"
        return Labels(None, field, density, mu, error, method, time.perf_counter() - start, column)

    def _label_batch(self, spins: np.ndarray) -> dict[str, np.ndarray]:
        h = self.strip
        columns = Columns.of(h, spins, self.xp)
        mirrored = columns.mirrored()
        still, error, nodes = self._equilibrium(columns)
        left, left_error, left_nodes = self._driven(columns)
        right, right_error, right_nodes = self._driven(mirrored)
        observed = self._observables(still, left + right.mirrored())
        return {
            **observed,
            "error": error + left_error + right_error,
            "nodes": nodes + left_nodes + right_nodes,
        }

    def _equilibrium(self, columns: Columns) -> tuple[Elements, np.ndarray, np.ndarray]:
        rule, batch = self.equilibrium_nodes, len(columns.blocks)
        owner = np.repeat(np.arange(batch), len(rule.z))
        every = np.tile(rule.z, batch), np.tile(rule.weights, batch)
        total = self._spread(equilibrium, columns, owner, *every)
        if self.strip.cut is None:
            total.site[..., 0, 0] += 0.5
            total.site[..., 1, 1] += 0.5
        bound = 2 * abs(self.strip.J) * rule.error
        return total, np.full(batch, bound), np.full(batch, len(rule.z))

    def _driven(self, columns: Columns) -> tuple[Elements, np.ndarray, np.ndarray]:
        """What the near lead adds, each configuration at the level that it needs."""
        batch = len(columns.blocks)
        total = Elements.zeros(batch, columns.shape, self.xp)
        error, solved = np.zeros(batch), np.zeros(batch, dtype=np.int64)
        active, last = np.arange(batch), None
        left, right, bath = self.strip.chemical_potentials
        allowed = (1 - SHARE) * self.tolerance / max(1, (left != bath) + (right != bath))
        for level, rule in enumerate(
            bias_levels(columns.near, self.tolerance, TAIL * self._occupation_tolerance)
        ):
            owner = np.repeat(active, len(rule.energies))
            every = np.tile(rule.energies, len(active)), np.tile(rule.weights, len(active))
            before = total
            refined = self._spread(injected, columns, owner, *every) + total * rule.keep
            total = total.where(active, refined)
            solved[active] += len(rule.energies)
            if level == 0:
                continue
            change = np.abs(self._field(total) - self._field(before)).max(axis=(1, 2))
            last, before_last = change, last
            if before_last is None:
                continue
            scale = np.abs(self._field(total)).max(axis=(1, 2)) + 1e-300
            estimate = remaining(columns.near, change, before_last, scale)
            error[active] = estimate[active] + TAIL * self.tolerance
            active = active[error[active] > allowed]
            if not len(active) or level == MOST_LEVELS:
                break
        return total, error, solved

    def _spread(
        self,
        solve: Callable[..., Elements],
        columns: Columns,
        owner: np.ndarray,
        z: np.ndarray,
        weights: np.ndarray,
    ) -> Elements:
        """Share energies among threads (CPU), or solve as many together as fit (GPU)."""
        size = self._together(columns)
        # on the CPU no share holds two configurations: labels do not depend on how they were grouped
        groups = (
            [np.flatnonzero(owner == k) for k in np.unique(owner)] if self.xp is np else [np.arange(len(z))]
        )
        shares = [share for group in groups for share in np.array_split(group, -(-len(group) // size))]
        total = Elements.zeros(len(columns.blocks), columns.shape, self.xp)

        def work(mine: np.ndarray) -> tuple[np.ndarray, Elements]:
            present, place = np.unique(owner[mine], return_inverse=True)
            return present, solve(columns.take(present), place, z[mine], weights[mine])

        if self.xp is not np:
            for share in shares:
                total.add_at(*work(share))
            return total
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores()) as pool:
            for part in pool.map(work, shares):
                total.add_at(*part)
        return total

    def _together(self, columns: Columns) -> int:
        n, width = columns.shape
        block = 4 * width**2
        if self.xp is np:
            return max(4, NUMBERS // block)
        return max(1, min(ENERGIES, int(free_memory(self.xp) / (16 * block * (n + 8)))))

    def _field(self, elements: Elements) -> np.ndarray:
        """``(B, N, 3)`` of the site blocks."""
        rho = to_numpy(elements.site).reshape(len(elements.site), -1, 2, 2)
        return self.strip.J * np.einsum("bnrs,ksr->bnk", rho, PAULI).real

    def _observables(self, still: Elements, driven: Elements) -> dict[str, np.ndarray]:
        """What labels hold, from the two parts of the density matrix."""
        h, total = self.strip, still + driven
        site, flux = to_numpy(total.site), to_numpy(total.flux)
        batch = len(site)
        i, _ = h.current_bonds
        along = to_numpy(total.along).reshape(batch, -1, 2, 2)
        across = to_numpy(total.across)[:, :, : self._bonds_up].reshape(batch, -1, 2, 2)
        bonds = np.concatenate([along, across], axis=1)
        assert bonds.shape[1] == len(i)
        t = h.hopping[0]
        spins = np.stack([np.eye(2, dtype=complex), *(0.5 * PAULI)])
        bath = -h.gamma_bath * np.einsum("bxyrs,ksr->bk", to_numpy(driven.site), spins).real
        terminal = np.concatenate([flux, bath[:, None]], axis=1)
        return {
            "field": self._field(total),
            "density": np.trace(site, axis1=-2, axis2=-1).real.reshape(batch, -1),
            "voltage": np.full(batch, h.voltage),
            "terminal_current": terminal[..., 0],
            "terminal_spin_current": terminal[..., 1:],
            "bond_current": -2 * t * np.trace(bonds, axis1=-2, axis2=-1).imag,
            "bond_spin_current": -t * np.einsum("bnrs,ksr->bnk", bonds, PAULI).imag,
        }

    @property
    def _bonds_up(self) -> int:
        width = self.strip.lattice.shape[1]
        return width if self.strip.lattice.periodic[1] and width > 1 else width - 1
