"""Moments and gradients of many configurations at once, column block by column block on a pool of threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from magsim.errors import RunError
from magsim.labelers.kpm.chebyshev import Expansion, moments_of_pairs, pair_weights
from magsim.labelers.kpm.probing import Probes
from magsim.labelers.kpm.stencil import Recursion

MEMORY = 4 * 2**30  # bytes of vectors kept between moments and gradient; beyond, they are made again
DRIFT = 1e-6  # largest distance from the start after the way back


@dataclass(frozen=True, eq=False)
class Trace:
    """One configuration with one set of phases.

    Attributes:
        recursion: of the configuration.
        key: of the random stream.
    """

    recursion: Recursion
    key: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Solution:
    """What a trace gives: energy, mu, ``rho[pattern]``, and how far the way back missed the start."""

    energy: float
    mu: float
    elements: np.ndarray
    drift: float


@dataclass(frozen=True, eq=False)
class Block:
    """Some columns of a trace."""

    trace: Trace
    probes: Probes
    first: int
    last: int

    def columns(self) -> np.ndarray:
        return self.probes.columns_of(self.first, self.last, self.trace.key)

    def forward(self, steps: int, keep: bool = True) -> tuple[np.ndarray, Any]:
        """Pairs, and the last vectors or None."""
        pairs, state = self.trace.recursion.forward(self.columns(), steps)
        return pairs, state if keep else None

    def backward(self, state: Any, weights: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, float]:
        """Elements and drift."""
        if state is None:
            state = self.forward(len(weights[0]))[1]
        return self.trace.recursion.backward(self.columns(), state, *weights)


def solve(
    traces: Sequence[Trace],
    probes: Probes,
    expansion: Expansion,
    ensemble: tuple[float | None, float | None],
    pool: Executor,
) -> list[Solution]:
    """Solve every trace.

    Args:
        ensemble: mu and None, or None and the number of electrons.

    Raises:
        RunError: a recursion that lost its way, or moments that allow no mu.
    """
    mu, electrons = ensemble
    steps = expansion.n_moments // 2
    blocks = [Block(trace, probes, *span) for trace in traces for span in spans(probes, trace.recursion)]
    per_trace = len(blocks) // len(traces)
    if mu is not None:  # the weights are known: no block waits for another
        weights = [pair_weights(expansion.coefficients(mu))] * len(traces)
        mus = [mu] * len(traces)

        def both(block: Block) -> tuple[np.ndarray, np.ndarray, float]:
            pairs, state = block.forward(steps)
            return pairs, *block.backward(state, weights[0])

        done = list(pool.map(both, blocks))
    else:
        assert electrons is not None
        vectors = 32 * probes.hamiltonian.n_states * probes.n_columns * len(traces)
        forwarded = list(pool.map(lambda block: block.forward(steps, vectors < MEMORY), blocks))
        totals = [_summed(pairs for pairs, _ in part) for part in _grouped(forwarded, per_trace)]
        mus = [expansion.solve_mu(moments_of_pairs(*total.T), electrons) for total in totals]
        weights = [pair_weights(expansion.coefficients(x)) for x in mus]
        jobs = [
            (block, state, weights[k // per_trace])
            for k, (block, (_, state)) in enumerate(zip(blocks, forwarded, strict=True))
        ]
        gradients = pool.map(lambda job: job[0].backward(job[1], job[2]), jobs)
        done = [(pairs, *rest) for (pairs, _), rest in zip(forwarded, gradients, strict=True)]
    solutions = []
    for part, x, (p, q) in zip(_grouped(done, per_trace), mus, weights, strict=True):
        pairs, drift = _summed(one[0] for one in part), max(one[2] for one in part)
        if not drift < DRIFT:
            raise RunError(
                f"labeler=kpm: the recursion missed its start by {drift:.3g} on the way back; "
                "the spectrum leaves its interval, or labeler.moments is too large for float64."
            )
        energy = float(p @ pairs[:, 0] + q @ pairs[:, 1]) + (0.0 if electrons is None else x * electrons)
        solutions.append(Solution(energy, x, _summed(one[1] for one in part), drift))
    return solutions


def spans(probes: Probes, recursion: Recursion) -> list[tuple[int, int]]:
    """First and last column of each block."""
    n, width = probes.n_columns, recursion.width
    return [(k, min(k + width, n)) for k in range(0, n, width)]


def _grouped(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[k : k + size] for k in range(0, len(items), size)]


def _summed(arrays: Any) -> Any:
    """The sum in a fixed order, so that it does not depend on the number of threads."""
    total = None
    for array in arrays:
        total = array if total is None else total + array
    return total
