"""Growth laws: exponents with their errors, effective exponents, the scaling of a structure factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PowerLaw:
    """L(t) = A t^n within a window of time.

    Attributes:
        exponent: n, mean over replicas.
        error: standard error of that mean; NaN for a single replica, whose fit cannot know it.
        prefactor: A, from the mean exponent and the geometric mean of the replicas.
        window: first and last time of the points that were fitted.
        points: number of times, and
        replicas: of independent runs.
    """

    exponent: float
    error: float
    prefactor: float
    window: tuple[float, float]
    points: int
    replicas: int

    def __call__(self, time: np.ndarray) -> np.ndarray:
        """The fitted law."""
        return self.prefactor * np.asarray(time, dtype=float) ** self.exponent

    @property
    def text(self) -> str:
        """``0.98 ± 0.03``; without a sign of error where there is none."""
        if np.isnan(self.error):
            return f"{self.exponent:.2f}"
        digits = max(2, -int(np.floor(np.log10(self.error))) if self.error > 0 else 2)
        return f"{self.exponent:.{digits}f} ± {self.error:.{digits}f}"


def fit_growth(time: np.ndarray, size: np.ndarray, window: tuple[float, float]) -> PowerLaw:
    """Exponent of L ~ t^n by least squares on logarithms, replica by replica.

    Points of one run are correlated in time, so that the residuals of its fit say nothing about the error of
    its exponent: that comes from the scatter of the exponents of independent runs. Points are weighted by the
    part of ln t that they stand for: frames at equal intervals of time would weigh the end of the run only.

    Args:
        time: ``(T,)``.
        size: ``(T,)`` or ``(T, R)``, R independent runs.
        window: first and last time.

    Returns:
        the law; exponent NaN with fewer than two points in the window.
    """
    time, size = np.asarray(time, dtype=float), np.asarray(size, dtype=float).reshape(len(time), -1)
    inside = (time >= window[0]) & (time <= window[1]) & (time > 0) & (size > 0).all(axis=1)
    if inside.sum() < 2:
        return PowerLaw(float("nan"), float("nan"), float("nan"), window, int(inside.sum()), size.shape[1])
    x, y = np.log(time[inside]), np.log(size[inside])
    weight = np.gradient(x)
    slopes = np.polyfit(x, y, 1, w=np.sqrt(weight))[0]
    n = len(slopes)
    error = float(np.std(slopes, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    exponent = float(slopes.mean())
    offset = np.average(y.mean(axis=1) - exponent * x, weights=weight)
    kept = time[inside]
    return PowerLaw(
        exponent, error, float(np.exp(offset)), (float(kept[0]), float(kept[-1])), int(inside.sum()), n
    )


def effective_exponent(time: np.ndarray, size: np.ndarray, octaves: float = 1.0) -> np.ndarray:
    """Local slope n(t) = d ln L / d ln t of the mean over replicas, over an interval of time around t.

    Args:
        time: ``(T,)``.
        size: ``(T,)`` or ``(T, R)``.
        octaves: the interval reaches from t / 2^(octaves/2) to t 2^(octaves/2).

    Returns:
        ``(T,)``; NaN where the interval holds fewer than three times or leaves the run.
    """
    time, size = np.asarray(time, dtype=float), np.asarray(size, dtype=float).reshape(len(time), -1)
    mean, reach = size.mean(axis=1), 2 ** (octaves / 2)
    slopes = np.full(len(time), np.nan)
    for k, t in enumerate(time):
        near = (time >= t / reach * (1 - 1e-9)) & (time <= t * reach * (1 + 1e-9)) & (time > 0) & (mean > 0)
        if t > 0 and t * reach <= time[-1] * (1 + 1e-9) and near.sum() >= 3:
            slopes[k] = np.polyfit(np.log(time[near]), np.log(mean[near]), 1)[0]
    return slopes
