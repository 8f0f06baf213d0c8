"""What state a snapshot is in, told by its torque; errors are quoted by class of state."""

from __future__ import annotations

import numpy as np

from magsim.datasets.dataset import SpinDataset
from magsim.spins import transverse

STATES = ("random", "early", "late", "ordered")
# rms torque relative to that of a random state
EARLY = 0.5  # from here on up: before order has set in
ORDERED = 0.05  # below: the torque is nearly gone
VOLTAGES = 12


def state_classes(dataset: SpinDataset) -> np.ndarray:
    """Class of state of every snapshot, by ``r`` = its rms torque over that of a random state:

    ========= =================================================================
    random    the source ``random``; without one, independent snapshots (step
              0, no other of their trajectory) with r >= 0.5
    early     other snapshots with r >= 0.5
    late      0.05 <= r < 0.5: domains grow, torques sit in their walls
    ordered   r < 0.05
    ========= =================================================================

    The torque of a random state is the rms over the source ``random``; without one, over the independent
    snapshots; without those, that of the trajectory that starts with the largest. The published quench of the
    double-exchange model (30x30, 40000 steps) is early up to step 9500 and late from 14000 on, where r has
    levelled at 0.23 to 0.33.

    Returns:
        ``(n,)`` names out of :data:`STATES`.
    """
    square = np.array(
        [np.mean(transverse(f, s) ** 2) for f, s in zip(dataset.field, dataset.spins, strict=True)]
    )
    random = dataset.source_names == "random"
    known = bool(random.any())
    if not known:
        random = _independent(dataset)
    typical = square[random].mean() if random.any() else _starts(dataset, square).max()
    ratio = np.sqrt(square / max(typical, np.finfo(float).tiny))
    names = np.where(ratio >= EARLY, "early", np.where(ratio >= ORDERED, "late", "ordered"))
    names = names.astype(f"<U{max(map(len, STATES))}")
    names[random if known else random & (ratio >= EARLY)] = "random"
    return names


def groups(dataset: SpinDataset) -> dict[str, np.ndarray]:
    """What errors are quoted for: masks ``(n,)`` of the sources that occur, then of the classes of state that
    are not one of the sources under another name, then of each voltage where there are several (up to
    :data:`VOLTAGES`)."""
    sources = {name: dataset.source_names == name for name in dataset.sources}
    found = {name: mask for name, mask in sources.items() if mask.any()}
    classes = state_classes(dataset)
    for name in STATES:
        mask = classes == name
        if mask.any() and name not in found and not any((mask == own).all() for own in sources.values()):
            found[name] = mask
    voltages = np.empty(0) if dataset.voltage is None else np.unique(dataset.voltage)
    if 1 < len(voltages) <= VOLTAGES:
        found |= {f"eV={voltage:g}": dataset.voltage == voltage for voltage in voltages}
    return found


def _independent(dataset: SpinDataset) -> np.ndarray:
    """``(n,)`` whether a snapshot is at step 0 and the only one of its trajectory and source."""
    own = np.stack([dataset.source.astype(np.int64), dataset.trajectory.astype(np.int64)], axis=1)
    _, place, count = np.unique(own, axis=0, return_inverse=True, return_counts=True)
    return (count[place.reshape(-1)] == 1) & (dataset.step <= 0)


def _starts(dataset: SpinDataset, square: np.ndarray) -> np.ndarray:
    """Values of the first snapshot of each trajectory."""
    order = np.lexsort((dataset.step, dataset.trajectory, dataset.source))
    own = np.stack([dataset.source[order], dataset.trajectory[order]], axis=1)
    _, first = np.unique(own, axis=0, return_index=True)
    return square[order[first]]
