"""Labels from Green's functions: exact to a chosen tolerance, O(N^1.5) on planar lattices."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from magsim.hamiltonian.electronic import Electrons, SDHamiltonian
from magsim.labelers.ensemble import ONE_LEVEL
from magsim.labelers.greens.chemical_potential import Canonical, solve_mu
from magsim.labelers.greens.electrons import GreensSolver, Solution
from magsim.labelers.greens.rational import FermiPoles, fermi_poles
from magsim.labelers.labels import Labels, refuse_driven

OUTSIDE = 40  # mu is sought up to so many T outside the levels
LEAST = {"complex128": 1e-12, "complex64": 1e-7}  # tolerances of occupations that rounding allows


@dataclass(frozen=True, eq=False)
class GreensLabeler:
    """Labels without eigenvectors,

        rho = c + sum_p [w_p G(z_p) + h.c.] ,   G(z) = (z - H)^-1 ,

    with about 11 poles where diagonalisation would find 2N eigenvectors. Of G only the elements that the
    field needs are computed, by nested dissection. Energies are the exact antiderivative of the fields.

    T = 0 is the limit of small T: the label is computed at the temperature ``smearing``, T. In an insulator
    nothing changes as long as that is far below the gap; in a metal the levels within a few T of mu are
    partly filled, and the field converges only once T is below their spacing. A level at ``mu + x T`` is
    wrongly filled by ``f(|x|) <= 2.17 [f(x - 1) - f(x)]``, so ``2.17 max |F(mu + T) - F(mu)|`` at the same
    temperature bounds what a single level does and is the error stated for several.

    Attributes:
        hamiltonian: what to solve.
        device: ``"cpu"`` or ``"cuda"``.
        batch_size: configurations solved together; None: 16.
        tolerance: bound on the error of a field component that the number of poles leaves.
        precision: ``"complex128"``, or ``"complex64"``: twice as fast, errors of about 1e-6.
        smearing: temperature that stands for T = 0.
    """

    hamiltonian: Electrons
    device: str = "cpu"
    batch_size: int | None = None
    tolerance: float = 1e-10
    precision: str = "complex128"
    smearing: float = 1e-4

    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse_driven(self.hamiltonian, "greens")

    def identity(self) -> dict[str, Any]:
        """Method, tolerance, precision and, at T = 0, the smearing."""
        chosen = {"name": "greens", "tolerance": self.tolerance, "precision": self.precision}
        return {**chosen, "smearing": self.smearing} if self.hamiltonian.T == 0.0 else chosen

    @cached_property
    def solver(self) -> GreensSolver:
        """The dissected Hamiltonian; made once."""
        return GreensSolver(self.hamiltonian, self.device)

    @property
    def n_poles(self) -> int:
        """Number of poles of one solution."""
        h = self.hamiltonian
        T, mu = h.T or self.smearing, 0.0 if h.mu is None else h.mu
        return len(self._poles(mu, T, self._occupation_tolerance).poles)

    @property
    def dtype(self) -> Any:
        return np.dtype(self.precision)

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)``; NumPy arrays in and out."""
        start = time.perf_counter()
        spins = np.asarray(spins, dtype=np.float64)
        size = self.batch_size or 16
        parts = [self._label_batch(spins[k : k + size]) for k in range(0, len(spins), size)]
        energy, field, density, mu, error = (np.concatenate(column) for column in zip(*parts, strict=True))
        method = f"greens/{self.solver.xp.__name__}/{self.precision}"
        return Labels(energy, field, density, mu, error, method, time.perf_counter() - start)

    def _label_batch(self, spins: np.ndarray) -> tuple[np.ndarray, ...]:
        h = self.hamiltonian
        if h.T > 0.0:
            return self._at(spins, h.T)
        energy, field, density, mu, error = self._at(spins, self.smearing)
        values = [self.solver.values(one) for one in spins]
        shifted = self._solved(values, (mu + self.smearing).tolist(), self.smearing)
        beside = h.observe(spins, np.stack([one.elements for one in shifted]))[0]
        return energy, field, density, mu, error + ONE_LEVEL * np.abs(beside - field).max(axis=(1, 2))

    def _at(self, spins: np.ndarray, T: float) -> tuple[np.ndarray, ...]:
        """Energy, field, density, mu and error at temperature T > 0."""
        h = self.hamiltonian
        values = [self.solver.values(one) for one in spins]
        if h.mu is not None:
            found = [Canonical(one, 0.0) for one in self._solved(values, [h.mu] * len(values), T)]
            electrons = 0.0
        else:
            electrons = float(h.filling or 0.0) * h.n_states
            found = [self._canonical(one, electrons, T) for one in values]
        solutions = [one.solution for one in found]
        field, density = h.observe(spins, np.stack([one.elements for one in solutions]))
        mu = np.array([one.mu for one in solutions])
        energy = np.array([one.grand_potential for one in solutions]) + mu * electrons
        left = np.array([one.error for one in found])
        return energy, field, density, mu, self._error(T) + 2 * self._coupling * left

    def _solved(self, values: list[np.ndarray], mu: list[float], T: float) -> list[Solution]:
        """One solution for each configuration at its own mu."""
        poles = [self._poles(one, T, self._occupation_tolerance) for one in mu]
        return self.solver.solve(values, poles, mu, self.dtype)

    def _canonical(self, values: np.ndarray, electrons: float, T: float) -> Canonical:
        low, high = self.hamiltonian.bounds
        return solve_mu(
            below=lambda energy: self.solver.levels_below(values, energy),
            precise=lambda mu: self._solved([values], [mu], T)[0],
            electrons=electrons,
            bracket=(low - OUTSIDE * T, high + OUTSIDE * T),
            T=T,
            tolerance=self._occupation_tolerance,
        )

    def _poles(self, mu: float, T: float, tolerance: float) -> FermiPoles:
        low, high = self.hamiltonian.bounds
        if self.hamiltonian.filling is not None:  # one set of poles, which moves with mu
            reach = high - low + OUTSIDE * T
            low, high = mu - reach, mu + reach
        return fermi_poles(low, high, mu, T, tolerance)

    @property
    def _coupling(self) -> float:
        """A field component changes by at most twice this times the error of the occupations."""
        h = self.hamiltonian
        return abs(h.J) if isinstance(h, SDHamiltonian) else max(map(abs, h.bounds))

    @property
    def _occupation_tolerance(self) -> float:
        return max(self.tolerance / (2 * self._coupling), LEAST[self.precision])

    def _error(self, T: float) -> float:
        """What the poles leave out, and rounding."""
        h = self.hamiltonian
        poles = self._poles(h.mu if h.mu is not None else 0.0, T, self._occupation_tolerance)
        return 2 * self._coupling * (poles.error + self.solver.rounding(poles, self.dtype))
