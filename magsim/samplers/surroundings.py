"""Ensembles of configurations in which the spins outside a region can be drawn again.

Each holds independent configurations ``states (n, N, 3)`` and answers, for one of them and a region, with K
configurations whose spins outside go together with what lies inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from magsim.lattice import Lattice
from magsim.spins import normalise, random_spins, rng


class Surroundings(Protocol):
    """Configurations of which each has alternatives for its spins outside a region."""

    @property
    def states(self) -> np.ndarray:
        """``(n, N, 3)``."""
        ...

    def draw(self, index: int, inside: np.ndarray, count: int) -> np.ndarray:
        """``(count, N, 3)`` configurations for the spins outside the mask ``inside (N,)`` of a state; what
        they have inside is not used."""
        ...


@dataclass(frozen=True, eq=False)
class IndependentSpins:
    """Spins that know nothing of each other, so that the rest is drawn without regard to what lies inside.

    Without a texture every spin is uniform on the sphere. With one, ``S = normalise(S_0 + angle g)`` with
    normal numbers g: spins turned from the texture by small random angles.

    The alternatives of a state are the same for every region: floors of several radii then share their
    chance, and their decrease is clearer than their errors suggest.

    Attributes:
        states: ``(n, N, 3)``.
        texture: ``(N, 3)``, or None.
        angle: rms angle in radians about each of the two axes normal to the spin.
        seed: of the alternatives.
    """

    states: np.ndarray
    texture: np.ndarray | None
    angle: float
    seed: int

    @classmethod
    def make(
        cls, n_sites: int, count: int, seed: int, texture: np.ndarray | None = None, angle: float = 0.1
    ) -> IndependentSpins:
        """``count`` states on ``n_sites`` sites."""
        stream = rng(seed, "locality", "inside")
        return cls(_independent(n_sites, count, stream, texture, angle), texture, angle, seed)

    def draw(self, index: int, inside: np.ndarray, count: int) -> np.ndarray:
        stream = rng(self.seed, "locality", "outside", index)
        return _independent(len(inside), count, stream, self.texture, self.angle)


def _independent(
    n_sites: int, count: int, stream: np.random.Generator, texture: np.ndarray | None, angle: float
) -> np.ndarray:
    if texture is None:
        return random_spins(n_sites, stream, (count,))
    return normalise(texture + angle * stream.normal(size=(count, n_sites, 3)))


@dataclass(frozen=True, eq=False)
class FittingConfigurations:
    """Correlated configurations, such as those of thermal equilibrium: the rest is taken from others of them.

    Each of the others is first moved by the lattice translation and turned by the orthogonal matrix that
    bring it closest to the spins inside (least squares by the singular values of the correlation matrix:
    Kabsch, Acta Cryst. A32, 922, doi:10.1107/S0567739476001873). All images of a state are equally probable,
    because the energy of the electrons does not change under translations, common rotations and time
    reversal. The closest ones are taken. This approximates the distribution of the rest given the inside
    from above: what remains of the misfit at the rim adds to the variance, the less the more configurations
    there are.

    Attributes:
        lattice: of the spins.
        states: ``(n, N, 3)``.
        family: ``(n,)`` configurations of one family (frames of one trajectory) are no alternatives to each
            other.
    """

    lattice: Lattice
    states: np.ndarray
    family: np.ndarray

    def draw(self, index: int, inside: np.ndarray, count: int) -> np.ndarray:
        others = np.flatnonzero(self.family != self.family[index]).tolist()
        fits = sorted((self._fit(index, other, inside) for other in others), key=lambda fit: -fit[0])
        return np.stack(
            [self.states[other][self._translations[move]] @ turn for _, other, move, turn in fits[:count]]
        )

    def misfit(self, index: int, inside: np.ndarray, drawn: np.ndarray) -> float:
        """rms distance ``|S - S'|`` between the spins inside and those of alternatives ``(K, N, 3)``."""
        difference = drawn[:, inside] - self.states[index, inside]
        return float(np.sqrt((difference**2).sum(-1).mean()))

    def _fit(self, index: int, other: int, inside: np.ndarray) -> tuple[float, int, int, np.ndarray]:
        """Overlap of the best image of another state with the inside; the state, its move and its turn."""
        moved = self.states[other][self._translations[:, inside]]  # (moves, spins inside, 3)
        correlation = np.einsum("tma,mb->tab", moved, self.states[index, inside])
        left, overlap, right = np.linalg.svd(correlation)
        best = int(np.argmax(overlap.sum(axis=1)))
        return float(overlap[best].sum()), other, best, left[best] @ right[best]

    @cached_property
    def _translations(self) -> np.ndarray:
        """``(moves, N)`` site that each site takes its spin from, for every move along the periodic axes."""
        lattice = self.lattice
        along = np.where(lattice.periodic, lattice.shape, 1)
        moves = np.stack(np.unravel_index(np.arange(np.prod(along)), along), axis=-1)
        cells = lattice.cells[None, :, None, :] + moves[:, None, None, :]
        return lattice.site_index(cells, np.arange(lattice.n_basis)).reshape(len(moves), -1)
