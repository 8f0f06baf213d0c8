"""The Langevin bath: strength from fluctuation-dissipation, noise without a state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from magsim.spins import seed_sequence


def diffusion(alpha: float, T: float, sense: int = 1) -> float:
    """Strength D of the thermal field, ``<h_a(t) h_b(t')> = 2 D delta_ab delta(t - t')``,

        D = alpha T / (alpha^2 + s^2) .

    Derivation. With h added to F in both terms, ``dS/dt = M (F + h)``, ``M v = s S x v - alpha S x (S x v)``.
    On the tangent plane at S, ``M = alpha P + s R`` with P the identity and R the quarter turn, so
    ``M M^T = (alpha^2 + s^2) P``: the noise spreads S isotropically with
    ``<dS dS> = 2 D (alpha^2 + s^2) dt P``. Read in the sense of Stratonovich this is Brownian motion on the
    sphere, and the density p of S obeys

        dp/dt = -div(p M F) + D (alpha^2 + s^2) lap p ,   F_perp = -grad E .

    For ``p ~ exp(-E/T)`` precession drops out (``grad p . (S x grad E) = 0``), damping gives
    ``alpha div(p grad E) = -alpha T lap p``; both balance when ``D (alpha^2 + s^2) = alpha T``. For s = +-1
    this is Brown's ``alpha T / (1 + alpha^2)`` (Phys. Rev. 130, 1677, doi:10.1103/PhysRev.130.1677).
    """
    return alpha * T / (alpha**2 + sense**2) if alpha > 0 else 0.0


@dataclass(frozen=True)
class Noise:
    """Standard normal numbers that depend on (seed, replica, step) and on nothing else.

    A counter-based generator (Philox; Salmon et al., SC11, doi:10.1145/2063384.2063405) takes its key from
    seed and replica and its counter from the step: a run resumed at step n draws what the whole run would
    have drawn, and a replica draws the same alone as in a batch. The numbers are made on the CPU, so that all
    devices see the same.

    Attributes:
        seed: the seed of the run.
        replicas: index of each replica of the batch.
    """

    seed: int
    replicas: tuple[int, ...]

    @cached_property
    def _keys(self) -> list[np.ndarray]:
        return [seed_sequence(self.seed, "thermostat", r).generate_state(2, np.uint64) for r in self.replicas]

    def normals(self, step: int, n_sites: int) -> np.ndarray:
        """``(R, N, 3)`` float64 for one step."""
        # the generator counts up in the low words: each step owns 2^192 blocks of its own
        counter = np.array([0, 0, 0, step], dtype=np.uint64)
        streams = (np.random.Generator(np.random.Philox(key=key, counter=counter)) for key in self._keys)
        # component by component, the memory order in which spins are integrated
        return np.stack([stream.standard_normal((3, n_sites)) for stream in streams]).swapaxes(-1, -2)

    def field(self, step: int, spins: torch.Tensor, D: float, dt: float) -> torch.Tensor | None:
        """Thermal field ``h = sqrt(2 D / dt) xi`` like ``spins`` ``(R, N, 3)``, constant over the step; None
        if D = 0."""
        if D == 0:
            return None
        return torch.from_numpy(np.sqrt(2 * D / dt) * self.normals(step, spins.shape[-2])).to(spins)
