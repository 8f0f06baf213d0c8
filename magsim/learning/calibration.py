"""From the spread of a committee to the error of its mean.

With ``s_i`` the spread of ``M`` members (:func:`magsim.dynamics.committee.spread_of`) and ``e_i = |dF_i| /
sqrt(2)`` the error of their mean at a site, both per component of the tangent plane, the calibration is

    sigma(s) = a s^b         the rms of e over sites of spread s
    P(e^2 > r sigma^2) = [1 + r / (c - 1)]^-c

*The map.* ``(a, b)`` minimise ``sum_i [e_i^2 / sigma_i^2 + log sigma_i^2]``. That is the likelihood of a
Gaussian in the plane, but the minimum is a consistent estimate of the conditional mean square whatever the
distribution (quasi-likelihood: McCullagh and Nelder, Generalized Linear Models, ch. 9), and it is convex in
``(log a, b)``. A site of a late quench counts as much as one of a random state, since only ratios enter.

*The law of the ratio.* Were all error due to the seed, ``F_m = F + d_m`` with Gaussian ``d_m`` of variance
``tau^2`` per component, then ``M e^2 / tau^2 ~ chi^2_2 / 2`` and ``s^2 / tau^2 ~ chi^2_n / n`` with ``n = 2
(M - 1)``, independent of each other. Where ``tau`` varies from site to site over a range much wider than
that of ``s / tau``,

    M e^2 / s^2 ~ F(2, n),     P(M e^2 / s^2 > x) = (1 + x / c)^-c,     c = n / 2 = M - 1 :

for few members far from the exponential of a Gaussian error (``c -> infinity``): three members cover 95.4 %
only at 2.7 times ``s / sqrt(M)`` where a known ``tau`` would do at 1.75. Divided by its mean ``c / (c -
1)`` it is the law above; the mean exists for three members or more. What all members miss alike adds an
error that the spread does not know, so ``a``, ``b`` and ``c`` are fitted, ``c`` by maximum likelihood at
given ``a`` and ``b``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = (0.5, 0.683, 0.9, 0.954)
MIN_MEMBERS = 3
IGNORED = 1e-9  # of the rms spread: sites where nothing turns, by symmetry
HEAVIEST, LIGHTEST = 1.02, 1e3  # tails between no mean square and a Gaussian


@dataclass(frozen=True)
class Calibration:
    """The map from spread to error and the law of their ratio.

    Attributes:
        members: M.
        scale, power: a, b; both spread and error in units of the hopping.
        tail: c.
        rmse: of the committee on the sites of the fit, per component of the tangent plane.
        sites: how many those were.
    """

    members: int
    scale: float
    power: float
    tail: float
    rmse: float
    sites: int

    def expected(self, spread: np.ndarray) -> np.ndarray:
        """rms error ``sigma`` at a given spread, per component of the tangent plane."""
        return self.scale * np.asarray(spread) ** self.power

    def quantile(self, level: float) -> float:
        """``e / sigma`` below which a share ``level`` of the errors lies."""
        return float(tail_quantile(self.tail, level))


def tail_quantile(tail: float | np.ndarray, level: float) -> np.ndarray:
    """``e / sigma`` below which a share ``level`` lies, for tails c of any shape."""
    c = np.asarray(tail)
    return np.sqrt((c - 1) * ((1 - level) ** (-1 / c) - 1))


def seed_quantile(members: int, level: float) -> float:
    """``sqrt(M) e / s`` below which a share ``level`` of the errors would lie if all of them were due to the
    seed: the root of the quantile of F(2, 2(M - 1))."""
    c = members - 1
    return float(np.sqrt(c * ((1 - level) ** (-1 / c) - 1)))


def gaussian_quantile(level: float) -> float:
    """The same for a Gaussian error of known size in the plane."""
    return float(np.sqrt(-np.log1p(-level)))


def fit_calibration(spread: np.ndarray, error: np.ndarray, members: int) -> Calibration:
    """Fit the map and the law to sites of known error.

    Args:
        spread, error: ``(n,)`` s and e.
        members: M, at least 3: with two, the mean square of the ratio does not exist.

    Raises:
        ValueError: fewer than three members, or fewer than ten sites with a spread.
    """
    if members < MIN_MEMBERS:
        raise ValueError(f"{members} members are too few to calibrate; at least {MIN_MEMBERS}.")
    square, u = np.asarray(spread, float) ** 2, np.asarray(error, float) ** 2
    known = (square > IGNORED**2 * square.mean()) & (u > 0)
    if known.sum() < 10:
        raise ValueError(f"only {int(known.sum())} sites have a spread; at least 10 are needed.")
    rmse = float(np.sqrt(u.mean()))
    x, u = np.log(square[known]), u[known]
    power, offset = _fit_map(x, u)
    ratio = u / np.exp(offset + power * x)
    return Calibration(members, float(np.exp(offset / 2)), power, _fit_tail(ratio), rmse, int(known.sum()))


def _fit_map(x: np.ndarray, u: np.ndarray) -> tuple[float, float]:
    """``(b, o)`` that minimise ``mean[u exp(-o - b x) + o + b x]`` with ``b >= 0``, by Newton's method."""
    centre, width = float(x.mean()), max(float(x.std()), 1e-12)
    design = np.stack([np.ones_like(x), (x - centre) / width])

    def loss(p: np.ndarray) -> float:
        eta = p @ design
        return float(np.mean(u * np.exp(-eta) + eta))

    p = np.array([np.log(u.mean()), 0.0])
    for _ in range(100):
        w = u * np.exp(-(p @ design))
        gradient = (design * (1 - w)).mean(1)
        step = np.linalg.solve((design * w) @ design.T / len(x) + 1e-12 * np.eye(2), gradient)
        damping = 1.0
        while loss(p - damping * step) > loss(p) and damping > 1e-6:
            damping /= 2
        p = p - damping * step
        if np.abs(step).max() < 1e-10:
            break
    power = float(p[1] / width)
    if power <= 0:  # the spread tells nothing: one error for all
        return 0.0, float(np.log(u.mean()))
    return power, float(p[0] - power * centre)


def _fit_tail(ratio: np.ndarray) -> float:
    """c by maximum likelihood of ``c / (c - 1) [1 + r / (c - 1)]^(-c - 1)``."""
    from scipy.optimize import minimize_scalar

    def loss(log_excess: float) -> float:
        excess = np.exp(log_excess)
        return float(np.log(excess / (1 + excess)) + (2 + excess) * np.mean(np.log1p(ratio / excess)))

    limits = (np.log(HEAVIEST - 1), np.log(LIGHTEST - 1))
    return float(1 + np.exp(minimize_scalar(loss, bounds=limits, method="bounded").x))


def covered(error: np.ndarray, sigma: np.ndarray, quantile: float | np.ndarray) -> float:
    """Share of sites with ``e <= quantile * sigma``."""
    return float(np.mean(np.asarray(error) <= quantile * np.asarray(sigma)))


def halves(group: np.ndarray, trajectory: np.ndarray) -> np.ndarray:
    """``(n,)`` mask that sends whole trajectories alternately to one half or the other, within each group
    (source of the data): a map fitted on one half is judged on the other."""
    second = np.zeros(len(trajectory), dtype=bool)
    for name in np.unique(group):
        mine = group == name
        order = np.unique(trajectory[mine], return_inverse=True)[1]
        second[mine] = order % 2 == 1
    return second
