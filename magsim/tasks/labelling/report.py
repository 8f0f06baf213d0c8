"""What a dataset holds: metrics, lines to read, a figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.datasets.dataset import SpinDataset
from magsim.runs import Run
from magsim.spins import transverse


def describe(dataset: SpinDataset) -> dict[str, Any]:
    """Flat metrics of a dataset: sizes, hashes, rms field and torque per component, by source, and error."""
    torque = transverse(dataset.field, dataset.spins)
    metrics: dict[str, Any] = {
        "label/snapshots": len(dataset),
        "label/sites": dataset.n_sites,
        "label/path": str(dataset.path),
        "label/key": dataset.key,
        "label/content_hash": dataset.content_hash,
        "label/rms_field": rms(dataset.field),
        "label/rms_torque": rms(torque),
    }
    if dataset.error is not None:
        metrics["label/max_error"] = float(dataset.error.max())
    for code, name in enumerate(dataset.sources):
        mine = dataset.source == code
        if mine.any():
            metrics[f"label/snapshots_{name}"] = int(mine.sum())
            metrics[f"label/trajectories_{name}"] = len(np.unique(dataset.trajectory[mine]))
            metrics[f"label/rms_torque_{name}"] = rms(torque[mine])
    return metrics


def table(metrics: dict[str, Any], sources: tuple[str, ...]) -> list[str]:
    """The metrics of :func:`describe` as lines to read."""
    lines = [
        f"  {metrics['label/path']}",
        f"  {metrics['label/snapshots']} snapshots of {metrics['label/sites']} spins",
    ]
    for name in sources:
        if f"label/snapshots_{name}" in metrics:
            lines.append(
                f"  {name}: {metrics[f'label/snapshots_{name}']} snapshots of "
                f"{metrics[f'label/trajectories_{name}']} trajectories, rms torque "
                f"{metrics[f'label/rms_torque_{name}']:.4g} per component"
            )
    error = f", error at most {metrics['label/max_error']:.1e}" if "label/max_error" in metrics else ""
    lines.append(f"  rms field {metrics['label/rms_field']:.4g} per component{error}")
    return lines


def draw(dataset: SpinDataset, run: Run) -> None:
    """The figure of what the data cover: torques and energies by source."""
    from magsim.report.figures import dataset_overview

    torque = np.linalg.norm(transverse(dataset.field, dataset.spins), axis=-1)
    present = [(code, name) for code, name in enumerate(dataset.sources) if (dataset.source == code).any()]
    torques = {name: torque[dataset.source == code] for code, name in present}
    if not any((values > 0).any() for values in torques.values()):
        return  # perfectly ordered states: nothing to show on a logarithmic axis
    energies = None
    if dataset.energy is not None:
        energies = {name: dataset.energy[dataset.source == code] / dataset.n_sites for code, name in present}
    run.image("dataset", dataset_overview(run.folder / "dataset.png", torques, energies))


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
