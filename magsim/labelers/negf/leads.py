"""Self-energies of the two leads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from magsim.hamiltonian.driven import DrivenStrip
from magsim.hamiltonian.electronic import PAULI

Array = Any


@dataclass(frozen=True, eq=False)
class Lead:
    """One lead, seen from the column of the strip that it is connected to; states are ``2 y + s``.

    Attributes:
        strip: the driven system.
        side: ``"L"`` or ``"R"``.
    """

    strip: DrivenStrip
    side: str

    @property
    def other(self) -> Lead:
        """The lead at the other end."""
        return Lead(self.strip, "R" if self.side == "L" else "L")

    @property
    def mu(self) -> float:
        """Chemical potential."""
        return self.strip.chemical_potentials[0 if self.side == "L" else 1]

    @property
    def potential(self) -> float:
        """u, which shifts the bands."""
        return self.strip.lead_potentials[0 if self.side == "L" else 1]

    @cached_property
    def moment(self) -> np.ndarray:
        """``(3,)`` M, zero if there is none."""
        h = self.strip
        given = h.lead_moment_L if self.side == "L" else h.lead_moment_R
        return np.zeros(3) if given is None else np.asarray(given, dtype=np.float64)

    @property
    def magnetised(self) -> bool:
        """Whether spins up and down differ."""
        return bool(self.moment.any())

    @cached_property
    def modes(self) -> tuple[np.ndarray, np.ndarray]:
        """Transverse energies ``(Ly,)`` and modes ``(Ly, Ly)`` in columns: plane waves or sines."""
        return np.linalg.eigh(self.strip.transverse_hopping)

    @cached_property
    def channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the bands ``(2 Ly,)`` and their states ``(2 Ly, 2 Ly)`` in columns, for each mode with
        its spin along and against M."""
        energies, modes = self.modes
        axis = self.moment / (np.linalg.norm(self.moment) or 1.0)
        against, spinors = np.linalg.eigh(np.einsum("k,kab->ab", axis, PAULI))
        split = self.strip.J * np.linalg.norm(self.moment) * against
        centres = (energies[:, None] - split[None]).ravel() + self.potential
        return centres, np.kron(modes, spinors)

    @property
    def band_edges(self) -> np.ndarray:
        """Energies at which channels open and close; none with wide bands."""
        if self.strip.leads == "wide_band":
            return np.empty(0)
        reach = 2 * abs(self.strip.hopping[0])
        return np.unique(np.concatenate([self.channels[0] - reach, self.channels[0] + reach]).round(12))

    def _channel_sigma(self, z: np.ndarray) -> np.ndarray:
        """``(P, 2 Ly)`` t^2 g for each channel, with Im z >= 0 (retarded)."""
        t = abs(self.strip.hopping[0])
        w = np.asarray(z, dtype=np.complex128)[:, None] - self.channels[0]
        return 0.5 * (w - np.sqrt(w - 2 * t) * np.sqrt(w + 2 * t))

    @cached_property
    def _wide_gamma(self) -> np.ndarray:
        """``(2, 2)`` Gamma of a site."""
        return self.strip.gamma * (np.eye(2) + np.einsum("k,kab->ab", self.moment, PAULI))

    def sigma(self, z: np.ndarray, xp: ModuleType = np) -> Array:
        """``(P or 1, 2 Ly, 2 Ly)`` retarded self-energy at energies ``z`` ``(P,)``, Im z >= 0."""
        if self.strip.leads == "wide_band":
            width = self.strip.lattice.shape[1]
            return xp.asarray(np.kron(np.eye(width), -0.5j * self._wide_gamma)[None])
        states = xp.asarray(self.channels[1])
        values = xp.asarray(self._channel_sigma(z))
        return xp.matmul(states * values[:, None, :], states.conj().T)

    def amplitudes(self, energies: np.ndarray, xp: ModuleType = np) -> Array:
        """``(P or 1, 2 Ly, 2 Ly)`` A with ``A A+ = Gamma = i (Sigma - Sigma+)`` at real energies ``(P,)``."""
        if self.strip.leads == "wide_band":
            width = self.strip.lattice.shape[1]
            values, vectors = np.linalg.eigh(self._wide_gamma)
            root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T
            return xp.asarray(np.kron(np.eye(width), root)[None])
        states = xp.asarray(self.channels[1])
        rates = np.maximum(-2 * self._channel_sigma(np.asarray(energies)).imag, 0.0)
        return states * xp.asarray(np.sqrt(rates))[:, None, :]
