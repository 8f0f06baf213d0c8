"""The spread of a committee against its true error: fitted, judged on other trajectories, kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from magsim.learning.calibration import Calibration
from magsim.runs import outputs_root, read_json, write_json


def calibration_file(model: str) -> Path:
    """``outputs/calibration/<hash of the committee>.json``."""
    return outputs_root() / "calibration" / f"{model[:16]}.json"


def known_calibration(model: str) -> Calibration | None:
    """What task=evaluate has found for the committee of this hash; None if it has not been asked."""
    path = calibration_file(model)
    return Calibration(**read_json(path)["calibration"]) if path.is_file() else None


def remember(model: str, calibration: Calibration) -> Path:
    """Keep it for the simulations with the same committee."""
    path = calibration_file(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"model": model, "calibration": asdict(calibration)})
    return path
