"""Invariants that say nothing new: found by a rank-revealing factorisation of their values on data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from magsim.spins import random_spins

if TYPE_CHECKING:
    from magsim.descriptors.of_elements import ElementDescriptor

SAMPLES = 20  # environments per invariant: products of three bonds have long tails
CHUNK = 2048  # environments at a time
CONSTANT = 1e-7  # an invariant that varies less than this, relative to its mean, says nothing at all


def samples(descriptor: ElementDescriptor, spins: Tensor | None) -> Iterator[Tensor]:
    """Invariants ``(n, K)`` of environments, float64: random spins and, where there are training spins
    ``(B, N, 3)``, as many of theirs. Always the same ones (own seed)."""
    generator = np.random.default_rng(20130512)
    points, table = descriptor.table.shape[1], descriptor.table.cpu()
    for _ in range(-(-SAMPLES * descriptor.n_features // CHUNK)):
        environments = torch.tensor(random_spins(points, generator, (CHUNK,)))
        if spins is not None:
            snapshots, sites = (generator.integers(size, size=CHUNK // 2) for size in spins.shape[:2])
            chosen = torch.nn.functional.pad(spins[snapshots].detach().cpu().double(), (0, 0, 0, 1))
            index = table[sites, :, None].expand(-1, -1, 3)
            environments[: CHUNK // 2] = chosen.gather(1, index)
        yield descriptor.local(environments[None].to(descriptor.device))[0]


def independent(values: Iterable[Tensor], tolerance: float) -> Tensor:
    """Columns of values that give all others by linear combination and a constant.

    The columns are centred and scaled to unit variance. QR with column pivoting takes, again and again, the
    one whose residual, after regression on those taken, is the largest, and stops when no residual exceeds
    the tolerance. Without loss of digits it works on the triangular factor of all values, which is built up
    from one part of them after the other.

    Args:
        values: parts ``(n, K)``.
        tolerance: rms residual over standard deviation.

    Returns:
        Sorted indices.

    Source: Businger and Golub, Numer. Math. 7, 269, doi:10.1007/BF01436084.
    """
    from scipy.linalg import qr

    factor, count = np.empty((0, 0)), 0
    for part in values:
        rows = part.detach().cpu().double().numpy()
        rows = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
        count += len(rows)
        factor = qr(np.concatenate([factor.reshape(-1, rows.shape[1]), rows]), mode="r", check_finite=False)[
            0
        ]
        factor = factor[: rows.shape[1]]
    # beyond the first column, that of the constant, the factor is that of the centred values
    mean, centred = factor[0, 1:] / np.sqrt(count), factor[1:, 1:] / np.sqrt(count)
    deviation = np.linalg.norm(centred, axis=0)
    varies = np.flatnonzero(deviation > CONSTANT * np.maximum(np.abs(mean), 1.0))
    r, order = qr(centred[:, varies] / deviation[varies], mode="r", pivoting=True, check_finite=False)
    rank = max(1, int((np.abs(np.diag(r)) > tolerance).sum()))
    return torch.tensor(np.sort(varies[order[:rank]]))
