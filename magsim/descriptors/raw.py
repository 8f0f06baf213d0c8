"""Bonds and chiralities of a neighbourhood as they are: the inputs of published networks, for comparison.

- bonds ``S_0 . S_j`` of the centre with all spins within ``cutoff``,
- bonds ``S_j . S_k`` among its neighbours within ``pair_cutoff``,
- chiralities ``S_0 . (S_j x S_k)``, where k follows j counter-clockwise in the same shell.

On the square lattice, out to sqrt(26) and 3, these are 88 + 378 + 88 = 554 numbers. They do not change when
all spins turn, but lattice operations permute them and time reversal flips the chiralities: a network must
learn these symmetries. The numbers are those of Zhang, Chern, Phys. Rev. Lett. 127, 146401, arXiv:2105.08221;
which 88 triangles carry the chiralities is a choice made here.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from torch import Tensor

from magsim.descriptors.environment import Environment, check_cutoff, make_environment
from magsim.descriptors.of_elements import ElementDescriptor
from magsim.errors import ConfigError
from magsim.lattice import Lattice


class RawDescriptor(ElementDescriptor):
    """``(B, N, K)`` bonds and chiralities of spins ``(B, N, 3)``.

    Args:
        lattice: the crystal and, for now, its size.
        cutoff: of the bonds of the centre, and of the chiralities.
        pair_cutoff: of the neighbours whose bonds with each other are taken.
        chiralities: whether to take them; they need a lattice in the plane.

    Raises:
        ConfigError: a cutoff beyond half of a periodic side, a crystal with inequivalent sites, or
            chiralities out of the plane.
    """

    def __init__(
        self, lattice: Lattice, cutoff: float = 5.1, pair_cutoff: float = 3.0, chiralities: bool = True
    ) -> None:
        check_cutoff(lattice, cutoff)
        if chiralities and lattice.dim != 2:
            raise ConfigError("descriptor.chiralities", True, "needs a two-dimensional lattice.")
        super().__init__(lattice, _environment(lattice, cutoff, pair_cutoff, chiralities))

    @property
    def n_features(self) -> int:
        return self.n_elements

    def vectors(self, elements: Tensor) -> list[Tensor]:
        return [elements]

    def pull_vectors(self, gradient: list[Tensor]) -> Tensor:
        return gradient[0]

    def invariants(self, vectors: list[Tensor]) -> Tensor:
        return vectors[0].transpose(1, 2).contiguous()

    def pull(self, vectors: list[Tensor], gradient: Tensor) -> list[Tensor]:
        return [gradient.transpose(1, 2)]


def _environment(lattice: Lattice, cutoff: float, pair_cutoff: float, chiralities: bool) -> Environment:
    whole = make_environment(lattice, cutoff, 0.0)
    distance = np.linalg.norm(whole.points, axis=1)
    near = np.flatnonzero((distance < pair_cutoff + 1e-6) & (distance > 0))
    bonds = [(0, p) for p in range(1, len(distance))] + list(combinations(near.tolist(), 2))
    triangles = _in_shells(whole.points, distance) if chiralities else []
    return Environment(
        whole.points,
        whole.group,
        np.array(bonds, dtype=np.int64),
        np.array(triangles, dtype=np.int64).reshape(-1, 3),
    )


def _in_shells(points: np.ndarray, distance: np.ndarray) -> list[tuple[int, int, int]]:
    """(centre, member of a shell, the next one counter-clockwise)."""
    angle = np.arctan2(points[:, 1], points[:, 0])
    triples = []
    for radius in np.unique(np.round(distance[1:], 6)):
        shell = np.flatnonzero(np.abs(distance - radius) < 1e-5)
        around = shell[np.argsort(angle[shell])].tolist()
        triples += [(0, j, k) for j, k in zip(around, around[1:] + around[:1], strict=True)]
    return triples
