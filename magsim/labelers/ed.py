"""Exact diagonalisation: the reference labeler, O(N^3), LAPACK or cuSOLVER."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from magsim.arrays import array_module, eigh, free_memory, to_numpy
from magsim.hamiltonian.electronic import Electrons
from magsim.labelers.ensemble import DEGENERATE, canonical_T0, fermi, grand_potential, solve_mu
from magsim.labelers.labels import Labels, refuse_driven

# Occupations below this do not change a label in float64.
NEGLIGIBLE = 1e-17


@dataclass(frozen=True, eq=False)
class EDLabeler:
    """Labels from all eigenvalues and eigenvectors,

        rho_ab = sum_n f(e_n) V_an V_bn* ,   F = Omega + mu N_e ,

    and the field ``F_i = -dE/dS_i`` from the elements of rho that the Hamiltonian names.

    A degenerate Fermi level at T = 0 is filled evenly (the T -> 0 limit); the field is then one element of
    the energy's subdifferential, and unique by symmetry.

    Attributes:
        hamiltonian: what to solve.
        device: ``"cpu"`` (NumPy) or ``"cuda"`` (CuPy, batched on the GPU).
        batch_size: configurations solved together; None chooses by memory.
    """

    hamiltonian: Electrons
    device: str = "cpu"
    batch_size: int | None = None

    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse_driven(self.hamiltonian, "ed")

    def identity(self) -> dict[str, Any]:
        """What determines the labels beside the Hamiltonian: nothing but the method, which is exact."""
        return {"name": "ed"}

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)``; NumPy arrays in and out.

        The error estimate is that of rounding, see :meth:`_error`.
        """
        start = time.perf_counter()
        xp = array_module(self.device)
        spins = np.asarray(spins, dtype=np.float64)
        fits = self._batch_that_fits(xp)
        size = min(self.batch_size or fits, fits)
        parts = [self._label_batch(xp.asarray(spins[k : k + size]), xp) for k in range(0, len(spins), size)]
        energy, field, density, mu, error = (
            np.concatenate([to_numpy(part) for part in column]) for column in zip(*parts, strict=True)
        )
        method, wall_time = f"ed/{xp.__name__}", time.perf_counter() - start
        return Labels(energy, field, density, mu, error, method, wall_time)

    def _batch_that_fits(self, xp: ModuleType) -> int:
        # H, its eigenvectors and LAPACK's workspace: about six complex matrices per configuration
        per_configuration = 6 * 16.0 * self.hamiltonian.n_states**2
        limit = 16 if xp is np else 256  # more gains nothing
        return max(1, min(limit, int(free_memory(xp) / per_configuration)))

    def _label_batch(self, spins: Any, xp: ModuleType) -> tuple[Any, Any, Any, Any, Any]:
        h = self.hamiltonian
        levels, vectors = eigh(h.dense(spins, xp), xp)
        if h.filling is None:
            mu = xp.full(len(spins), h.mu, dtype=np.float64)
            occupation = fermi(levels, mu, h.T, xp)
            energy = grand_potential(levels, mu, h.T, xp)
        else:
            electrons = h.filling * h.n_states
            if h.T == 0.0:
                occupation, mu = canonical_T0(levels, electrons, xp)
                energy = (occupation * levels).sum(axis=1)
            else:
                mu = solve_mu(levels, electrons, h.T, xp)
                occupation = fermi(levels, mu, h.T, xp)
                energy = grand_potential(levels, mu, h.T, xp) + mu * electrons
        field, density = h.observe(spins, self._elements(vectors, occupation, xp), xp)
        return energy, field, density, mu, self._error(levels, mu, xp)

    def _elements(self, vectors: Any, occupation: Any, xp: ModuleType) -> Any:
        """``rho[pattern]`` ``(B, len(pattern))``, occupied states only."""
        rows, columns = (xp.asarray(index) for index in self.hamiltonian.pattern)
        elements = xp.empty((len(vectors), len(rows)), dtype=np.complex128)
        for b in range(len(vectors)):
            occupied = int((occupation[b] > NEGLIGIBLE).sum())
            v = vectors[b, :, :occupied]
            elements[b] = xp.einsum("en,en->e", (v * occupation[b, :occupied])[rows], v[columns].conj())
        return elements

    def _error(self, levels: Any, mu: Any, xp: ModuleType) -> Any:
        """``eps |H| J / w``: rounding of the levels against the width w over which occupations change,

        w = T + the distance of mu to the nearest level. Levels at mu itself (T = 0) are one shell, filled
        evenly whatever rounding does to them: they do not count.
        """
        distance = xp.abs(levels - mu[:, None])
        width = xp.where(distance < DEGENERATE, xp.inf, distance).min(axis=1) + self.hamiltonian.T
        scale = xp.abs(levels).max(axis=1)
        coupling = max(abs(getattr(self.hamiltonian, "J", 0.0)), 1.0)
        return np.finfo(np.float64).eps * scale * coupling / width
