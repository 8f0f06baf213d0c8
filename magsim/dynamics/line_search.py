"""A lower point on a path, for all replicas at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from magsim.dynamics.integrators import FieldFunction
from magsim.dynamics.llg import perpendicular
from magsim.dynamics.share import Share
from magsim.dynamics.sphere import Geodesic

ARMIJO = 1e-4  # a step lowers the energy by at least this part of what its first slope promises
ROUNDING = 1e-6  # of the energy: differences below it are left to the slopes
TRIALS = 12
GROWTH = 3.0  # of a step whose end still leads steeply down


@dataclass(frozen=True, eq=False)
class Point:
    """Energy and slope ``(R,)`` at a length ``(R,)`` along the path."""

    length: Tensor
    energy: Tensor
    slope: Tensor


@dataclass(frozen=True, eq=False)
class End:
    """Where the search ended: length ``(R,)`` (0: nowhere better), spins, energy and field there."""

    length: Tensor
    spins: Tensor
    energy: Tensor
    force: Tensor


def search(
    field: FieldFunction,
    path: Geodesic,
    start: Point,
    wolfe: float,
    share: Share,
    state: tuple[Tensor, Tensor, Tensor],
) -> End:
    """A point with a lower energy and a slope of at most ``wolfe`` times that at the start (strong Wolfe
    conditions), by bracketing and the secant of the slopes; the first trial is at length 1.

    Energies closer than their rounding cannot be compared; there the slope decides, which must not have grown
    beyond 0.8 of the first one with the other sign (approximate Wolfe conditions: Hager and Zhang,
    doi:10.1137/030601880). After 12 trials the lowest admissible point is taken.

    Args:
        state: spins, energy and field of the start, taken where nothing better is found.
    """
    length = torch.where(start.slope < 0, 1.0, 0.0).to(start.slope)
    low, low_slope = torch.zeros_like(length), start.slope
    high = torch.full_like(length, torch.inf)
    high_slope = torch.full_like(length, torch.inf)
    done = length == 0
    best = End(torch.zeros_like(length), *state)
    for _ in range(TRIALS):
        spins = path.at(length)
        energy, force = field(spins)
        total = share.total(energy)
        slope = -share.total((perpendicular(spins, force) * path.velocity(length)).sum((-2, -1)))
        lower = total <= start.energy + ARMIJO * length * start.slope
        close = (total - start.energy).abs() <= ROUNDING * start.energy.abs()
        lower = (lower | (close & (slope <= -0.8 * start.slope))) & (length > 0)
        flat = slope.abs() <= -wolfe * start.slope
        # what is lower than the start is kept until something flatter is found
        taken = lower & ~done
        best = _chosen(taken, End(length, spins, energy, force), best)
        done = done | (lower & flat)
        if bool(done.all()):
            break
        short = lower & (slope < 0)  # beyond it goes further down
        low, low_slope = torch.where(short, length, low), torch.where(short, slope, low_slope)
        high, high_slope = torch.where(short, high, length), torch.where(short, high_slope, slope)
        length = torch.where(done, best.length, _next(low, low_slope, high, high_slope, length))
    return best


def _next(low: Tensor, low_slope: Tensor, high: Tensor, high_slope: Tensor, length: Tensor) -> Tensor:
    """Between the ends of the bracket where there are two, else further on."""
    usable = high_slope > 0  # a slope down at the upper end: there is a hill in between
    part = torch.where(usable, low_slope / (low_slope - high_slope), 0.5).clamp(0.1, 0.9)
    inside = low + part * (high - low)
    return torch.where(high.isfinite(), inside, GROWTH * length)


def _chosen(taken: Tensor, new: End, old: End) -> End:
    wide = taken[:, None, None]
    return End(
        torch.where(taken, new.length, old.length),
        torch.where(wide, new.spins, old.spins),
        torch.where(taken, new.energy, old.energy),
        torch.where(wide, new.force, old.force),
    )
