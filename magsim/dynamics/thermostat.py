"""The Langevin bath: strength from fluctuation-dissipation, noise without a state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from magsim.dynamics import philox
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
    """Standard normal numbers that depend on (seed, replica, step, site) and on nothing else.

    A counter-based generator (:mod:`magsim.dynamics.philox`) takes its key from seed and replica and its
    counter from step and site: a run resumed at step n draws what the whole run would have drawn, a replica
    draws the same alone as in a batch, and every device draws the same to rounding, where it needs it.

    Attributes:
        seed: the seed of the run.
        replicas: index of each replica of the batch.
        first: number of the first site in the whole lattice.
    """

    seed: int
    replicas: tuple[int, ...]
    first: int = 0

    @cached_property
    def keys(self) -> np.ndarray:
        """``(R, 2)`` words of 32 bits, as uint64."""
        states = [seed_sequence(self.seed, "thermostat", r).generate_state(2) for r in self.replicas]
        return np.array(states, dtype=np.uint64).reshape(-1, 2)

    @cached_property
    def _counters(self) -> dict[torch.device, tuple[torch.Tensor, torch.Tensor]]:
        """The keys and the number of the first site as int64, sent to a device once."""
        return {}

    def on_device(
        self, step: int | torch.Tensor, n_sites: int, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """:meth:`normals` by torch operations, of a step that may be an int64 ``()`` on the device."""
        place = torch.device(device)
        if place not in self._counters:
            keys = torch.from_numpy(self.keys.astype(np.int64)).to(place)
            self._counters[place] = keys, torch.tensor(self.first, device=place)
        keys, first = self._counters[place]
        return philox.normals(keys, step, first, n_sites).transpose(-1, -2)

    def normals(self, step: int, n_sites: int, device: torch.device | str = "cpu") -> torch.Tensor:
        """``(R, N, 3)`` float64 for one step, made on the device."""
        if torch.device(device).type != "cpu":
            return self.on_device(step, n_sites, device)
        # component by component, the memory order in which spins are integrated
        out = np.empty((len(self.keys), 3 * n_sites))
        for (a, b), numbers in zip(self.keys, out, strict=True):
            philox.fill(a, b, np.uint64(step), self.first, 1, n_sites, 1.0, numbers, 0, n_sites)
        return torch.from_numpy(out.reshape(-1, 3, n_sites)).transpose(-1, -2)

    def field(self, step: int, spins: torch.Tensor, D: float, dt: float) -> torch.Tensor | None:
        """Thermal field ``h = sqrt(2 D / dt) xi`` like ``spins`` ``(R, N, 3)``, constant over the step; None
        if D = 0."""
        if D == 0:
            return None
        return ((2 * D / dt) ** 0.5 * self.normals(step, spins.shape[-2], spins.device)).to(spins.dtype)

    def recorded_field(
        self, step: torch.Tensor, spins: torch.Tensor, D: torch.Tensor, dt: float
    ) -> torch.Tensor:
        """:meth:`field` of a step and a strength ``()`` that lie on the device of the spins."""
        drawn = self.on_device(step, spins.shape[-2], spins.device)
        return ((2 * D / dt).sqrt() * drawn).to(spins.dtype)
