"""Vectors R with ``sum_columns R R+ ~ 1``, which turn traces into a few products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import Electrons
from magsim.spins.seeds import seed_sequence

KINDS = ("colour", "random", "identity")


@dataclass(frozen=True, eq=False)
class Probes:
    """Probe vectors of one Hamiltonian.

    ``colour``: the states are divided into classes, one column for each, with random phases on the states of
    the class. The trace then misses only correlations within a class, whose sites lie far apart; the spin
    states of a site are in classes of their own. With S columns in two dimensions the distance is
    ``~ sqrt(S)``.
    ``random``: phases on all states, ``1/sqrt(S)`` each (the error falls as ``S^-1/2``).
    ``identity``: unit vectors, exact.

    Source: J. M. Tang and Y. Saad, Numer. Linear Algebra Appl. 19, 485 (doi:10.1002/nla.779) for probing;
    Z. Wang et al., J. Chem. Phys. 148, 094107 (arXiv:1711.10570) for its use here.

    Attributes:
        hamiltonian: whose states.
        kind: colour, random or identity.
        columns: S, of one repeat; colour uses the largest multiple of the states per site.
    """

    hamiltonian: Electrons
    kind: str
    columns: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError("labeler.probes", self.kind, f"must be one of {', '.join(KINDS)}.")
        if self.kind == "colour" and self.columns < self.states_per_site:
            raise ConfigError(
                "labeler.columns", self.columns, f"colour probing needs {self.states_per_site} or more."
            )

    @property
    def states_per_site(self) -> int:
        return self.hamiltonian.n_states // self.hamiltonian.lattice.n_sites

    @property
    def exact(self) -> bool:
        """Whether the trace has no stochastic error."""
        return self.kind == "identity" or (
            self.kind == "colour" and self.columns >= self.hamiltonian.n_states
        )

    @cached_property
    def classes(self) -> np.ndarray:
        """``(n_states,)`` the column of every state (colour and identity)."""
        n, per_site = self.hamiltonian.n_states, self.states_per_site
        if self.exact:
            return np.arange(n)
        from magsim.labelers.kpm.colouring import colour_sites

        colours = colour_sites(self.hamiltonian, self.columns // per_site)
        return (colours[:, None] * per_site + np.arange(per_site)).ravel()

    @cached_property
    def n_columns(self) -> int:
        """Columns that there are."""
        return self.columns if self.kind == "random" else int(self.classes.max()) + 1

    def columns_of(self, first: int, last: int, key: tuple[int | str, ...]) -> np.ndarray:
        """Columns first..last of the vectors of a random stream, ``(n_states, last - first)`` complex128.

        Args:
            key: seed, and whatever else tells streams apart.
        """
        n = self.hamiltonian.n_states
        if self.kind == "random":
            return np.stack([_phases(n, *key, s) for s in range(first, last)], axis=1) / np.sqrt(self.columns)
        vectors = np.zeros((n, last - first), dtype=np.complex128)
        states = np.flatnonzero((self.classes >= first) & (self.classes < last))
        phases = np.ones(n) if self.exact else _phases(n, *key)
        vectors[states, self.classes[states] - first] = phases[states]
        return vectors


def _phases(n: int, seed: int | str, *purpose: int | str) -> np.ndarray:
    generator = np.random.default_rng(seed_sequence(int(seed), "kpm", *purpose))
    return np.exp(2j * np.pi * generator.random(n))
