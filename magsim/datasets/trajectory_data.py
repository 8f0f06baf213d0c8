"""A simulated trajectory as a dataset: its frames are snapshots, labelled by the field that moved them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import UNITS, SpinDataset, snapshot_hashes
from magsim.datasets.validation import check_dataset, check_learnable
from magsim.errors import DataError
from magsim.zarr_store import TRAJECTORY, attributes_of, first_hash, next_hash, open_store, read_array


def open_trajectory_dataset(
    path: Path, *, allow_incomplete: bool = False, verify: bool = True, learnable: bool = True
) -> SpinDataset:
    """The snapshots of a trajectory store: frames and replicas in one axis, each replica a trajectory.

    The labels are the field of the run, exact or learned, with the classical terms it had; of a driven strip
    each frame has the voltage of its replica and time, and of a state that occurs twice the first counts.
    ``content_hash`` is the hash of the trajectory.

    Args:
        path: the store.
        allow_incomplete: also read the frames of a run that has not finished.
        verify: recompute the chain of hashes.
        learnable: see :func:`magsim.datasets.validation.check_learnable`.

    Raises:
        DataError: unfinished, altered, or data that cannot be learned from.
    """
    group = open_store(path, TRAJECTORY, "r")
    attributes = attributes_of(group)
    count = int(attributes["frames"])
    if not attributes["complete"] and not allow_incomplete:
        raise DataError(path, f"unfinished ({count} frames so far); resume=<its run folder> continues it.")
    frames = {name: read_array(path, group, name, count, "frames") for name in TRAJECTORY.arrays}
    replicas = frames["energy"].shape[1]
    arrays: dict[str, Any] = {
        "spins": frames["spins"].reshape(-1, *frames["spins"].shape[2:]),
        "field": frames["field"].reshape(-1, *frames["field"].shape[2:]),
        "trajectory": np.tile(np.arange(replicas, dtype="i4"), count),
        "step": np.repeat(frames["step"], replicas).astype("i4"),
        "source": np.zeros(count * replicas, dtype="i1"),
    }
    if attributes.get("conservative", True):
        arrays["energy"] = frames["energy"].reshape(-1)
    config = attributes.get("config", {})
    dt = config.get("dt")
    bias = _voltages(config.get("protocol") or {}, frames["step"], frames["time"], replicas)
    if bias is not None:  # replicas of several voltages start from one state
        first = np.sort(np.unique(snapshot_hashes(arrays["spins"]), return_index=True)[1])
        arrays = {name: array[first] for name, array in arrays.items()}
        bias = bias.reshape(-1)[first]
    check_dataset(path, arrays, attributes["lattice"])
    if verify:
        chain = first_hash(str(attributes["key"]))
        for k in range(count):
            chain = next_hash(chain, {name: array[k] for name, array in frames.items()})
        if chain != attributes["chain"]:
            raise DataError(
                path, "the arrays do not match their content hash: altered since they were written."
            )
    if learnable:
        check_learnable(path, arrays)
    return SpinDataset(
        path=path,
        **arrays,
        extra={} if bias is None else {"voltage": bias},
        sources=("trajectory",),
        lattice=attributes["lattice"],
        config=config,
        units={name: unit for name, unit in UNITS.items() if name in arrays},
        key=attributes["key"],
        method="learned" if "model" in attributes.get("parents", {}) else "exact",
        dt=None if dt is None else float(dt),
        content_hash=str(attributes["chain"]),
        complete=bool(attributes["complete"]),
    )


def _voltages(
    protocol: Mapping[str, Any], step: np.ndarray, time: np.ndarray, replicas: int
) -> np.ndarray | None:
    """``(F, R)`` bias of each frame, see :class:`magsim.dynamics.protocols.drive.Drive`; None without one."""
    if "V" not in protocol:
        return None
    V = np.asarray(protocol["V"], dtype=float)
    if V.ndim < 2:  # constant: one for all, or one for each replica
        return np.broadcast_to(V, (len(step), replicas)).copy()
    when = step if protocol["clock"] == "steps" else time
    columns = np.stack([np.interp(when, V[:, 0], column) for column in V.T[1:]], axis=1)
    return np.broadcast_to(columns, (len(step), replicas)).copy()
