"""Errors of a predicted field, as every table and figure reports them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from magsim.spins import transverse


def torque_metrics(exact: np.ndarray, predicted: np.ndarray, spins: np.ndarray) -> dict[str, float]:
    """Errors of the transverse field, arrays ``(n, N, 3)``.

    Returns:
        ``torque_rmse`` and ``torque_rms`` per Cartesian component, ``torque_error`` = their ratio,
        ``torque_r2`` = 1 - ratio^2; ``field_rmse`` and ``field_rms`` are the same of the whole field, whose
        component along the spin is only learned with ``trainer.gamma`` below 1.
    """
    target = transverse(exact, spins)
    raw = float(np.sqrt(np.mean((predicted - exact) ** 2)))
    rmse = float(np.sqrt(np.mean((transverse(predicted, spins) - target) ** 2)))
    rms = float(np.sqrt(np.mean(target**2)))
    ratio = rmse / max(rms, 1e-300)
    return {
        "torque_rmse": rmse,
        "torque_rms": rms,
        "torque_error": ratio,
        "torque_r2": 1 - ratio**2,
        "field_rmse": raw,
        "field_rms": float(np.sqrt(np.mean(exact**2))),
    }


def energy_metrics(exact: np.ndarray, predicted: np.ndarray, n_sites: int) -> dict[str, float]:
    """Errors of the energy per site, from totals ``(n,)``; also without the mean error."""
    error = (predicted - exact) / n_sites
    return {
        "energy_rmse": float(np.sqrt(np.mean(error**2))),
        "energy_rmse_centred": float(np.std(error)),
        "energy_std": float(np.std(exact / n_sites)),
    }


def flatten(nested: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """``{"quench": {"torque_error": x}}`` -> ``{"quench/torque_error": x}``."""
    return {f"{source}/{name}": value for source, part in nested.items() for name, value in part.items()}
