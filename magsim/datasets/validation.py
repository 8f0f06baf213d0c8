"""Checks that a dataset must pass before anything is learned from it.

Nothing is repaired: the first offender is named and the data refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import ARRAYS, REQUIRED, snapshot_hashes
from magsim.errors import ConfigError, DataError
from magsim.lattice import make_lattice
from magsim.spins import transverse

UNIT_LENGTH_TOLERANCE = 1e-4  # float32 spins pass, forgotten normalisation does not
MAX_ELECTRONS = 2.0  # per site: one orbital, two spins
DENSITY_TOLERANCE = 1e-6
MAX_MAGNITUDE = 1e6  # of a field component and of the energy per site, in units of the hopping
NO_TORQUE = 1e-12  # rms transverse field over rms field that is rounding
AXIS_WORDS = ("snapshot", "site", "component")
FIXED_POINT = 1e-6  # the same of a snapshot at which trajectories may meet


def check_spins(path: str | Path, spins: np.ndarray) -> None:
    """Check ``(n, N, 3)``, n > 0, finite, ``|S| = 1`` within ``UNIT_LENGTH_TOLERANCE``.

    Raises:
        DataError: naming the first snapshot and site that fails.
    """
    _check_numbers(path, "spins", spins)
    if spins.ndim != 3 or spins.shape[2] != 3:
        raise DataError(path, f"array 'spins' has shape {spins.shape}, must be (snapshots, sites, 3).")
    if 0 in spins.shape:
        raise DataError(path, f"array 'spins' is empty: shape {spins.shape}.")
    _check_finite(path, "spins", spins)
    deviation = np.abs(np.linalg.norm(np.asarray(spins, dtype=np.float64), axis=-1) - 1.0)
    if deviation.max() > UNIT_LENGTH_TOLERANCE:
        n, i = _first(deviation > UNIT_LENGTH_TOLERANCE)
        raise DataError(
            path,
            f"array 'spins' at snapshot {n}, site {i}: |S| differs from 1 by {deviation[n, i]:.3g}, "
            f"allowed is {UNIT_LENGTH_TOLERANCE:g} (largest deviation {deviation.max():.3g}).",
        )


def check_dataset(
    path: str | Path, arrays: Mapping[str, np.ndarray], lattice: Mapping[str, Any] | None
) -> None:
    """Check every array of a labelled dataset: presence, shape, finite numbers, unit spins, varying labels.

    Args:
        path: named in the error.
        arrays: by name, see :data:`magsim.datasets.dataset.ARRAYS`; others must be numbers, one row for each
            snapshot.
        lattice: ``{"name", "shape", "boundary"}``, name may be None; None: not checked.

    Raises:
        DataError: one sentence with array and index of the first offender.
    """
    for name in REQUIRED:
        if name not in arrays:
            raise DataError(
                path, f"array '{name}' is missing; there are: {', '.join(sorted(arrays)) or 'none'}."
            )
    check_spins(path, arrays["spins"])
    n, sites = arrays["spins"].shape[:2]
    for name, array in arrays.items():
        _check_numbers(path, name, array)
        axes = {"N": sites, "3": 3}
        known = name in ARRAYS
        expected = (n, *(axes[axis] for axis in ARRAYS[name][1])) if known else (n, *array.shape[1:])
        if array.shape != expected:
            raise DataError(
                path, f"array '{name}' has shape {array.shape}, must be {expected} to go with 'spins'."
            )
        _check_finite(path, name, array)
    check_lattice(path, sites, lattice)
    _check_magnitudes(path, arrays)
    _check_labels_vary(path, arrays)
    if "density" in arrays:
        density = arrays["density"]
        bad = (density < -DENSITY_TOLERANCE) | (density > MAX_ELECTRONS + DENSITY_TOLERANCE)
        if bad.any():
            k, i = _first(bad)
            raise DataError(
                path, f"array 'density' at snapshot {k}, site {i} is {density[k, i]:.6g}, must lie in [0, 2]."
            )


def check_learnable(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Check that a dataset teaches something and that its trajectories are different ones.

    Some snapshot must have a torque: a field along every spin moves none. A configuration may appear in two
    trajectories only where the torque vanishes (dynamics may end in the same state): all else are copies,
    which a split by trajectory would put on both sides.

    Args:
        path: named in the error.
        arrays: of a dataset that :func:`check_dataset` accepts; ``trajectory`` among them.

    Raises:
        DataError: one sentence with array and index of the first offender.
    """
    spins, field = arrays["spins"], np.asarray(arrays["field"], dtype=np.float64)
    force = transverse(field, np.asarray(spins, dtype=np.float64))
    torque, whole = (np.sqrt(np.mean(np.square(v), axis=(1, 2))) for v in (force, field))
    rms = [float(np.sqrt(np.mean(np.square(v)))) for v in (torque, whole)]
    coarsest = max(
        (np.finfo(a.dtype).eps for a in (spins, arrays["field"]) if a.dtype.kind == "f"), default=0
    )
    if rms[0] <= max(max(NO_TORQUE, 16 * float(coarsest)) * rms[1], NO_TORQUE):
        raise DataError(
            path,
            f"array 'field' is along the spins everywhere from snapshot 0 on: its transverse part has rms "
            f"{rms[0]:.3g} of {rms[1]:.3g}, so that there is no torque to learn.",
        )
    _check_copies(path, spins, arrays["trajectory"], torque > FIXED_POINT * rms[1])


def _check_copies(path: str | Path, spins: np.ndarray, trajectory: np.ndarray, moving: np.ndarray) -> None:
    """Refuse one configuration in two trajectories; a trajectory may repeat its own."""
    _, group = np.unique(snapshot_hashes(spins), return_inverse=True)
    order = np.argsort(group, kind="stable")
    pair = group[order[1:]] == group[order[:-1]]
    copies = pair & (trajectory[order[1:]] != trajectory[order[:-1]]) & moving[order[1:]]
    if copies.any():
        later = int(order[1:][copies].min())
        earlier = int(order[:-1][copies & (order[1:] == later)][0])
        raise DataError(
            path,
            f"array 'spins' at snapshot {later} repeats snapshot {earlier} in another trajectory "
            f"({int(trajectory[later])}, not {int(trajectory[earlier])}): copies cannot be held out.",
        )


def check_lattice(path: str | Path, n_sites: int, lattice: Mapping[str, Any] | None) -> None:
    """Check that a lattice has as many sites as the arrays.

    Raises:
        DataError: the numbers differ or the lattice itself makes no sense.
    """
    if lattice is None:
        return
    shape = [int(n) for n in lattice["shape"]]
    if not shape or min(shape) < 1:
        raise DataError(path, f"lattice shape {shape} must be positive numbers of cells.")
    if lattice.get("name"):
        try:
            expected = make_lattice(lattice["name"], shape, lattice.get("boundary")).n_sites
        except ConfigError as error:
            raise DataError(path, f"its lattice is not known: {error}") from error
        if expected != n_sites:
            raise DataError(
                path,
                f"array 'spins' has {n_sites} sites, but a {lattice['name']} lattice {shape} has {expected}.",
            )
    elif n_sites % int(np.prod(shape)):
        raise DataError(
            path, f"array 'spins' has {n_sites} sites, not a multiple of the {shape} cells of 'shape'."
        )


def _check_magnitudes(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse fields and energies that single precision cannot square and no model of this kind has."""
    sites = arrays["spins"].shape[1]
    for name, limit in (("field", MAX_MAGNITUDE), ("energy", MAX_MAGNITUDE * sites)):
        if name in arrays and (np.abs(arrays[name]) > limit).any():
            index = _first(np.abs(arrays[name]) > limit)
            where = ", ".join(f"{word} {k}" for word, k in zip(AXIS_WORDS, index, strict=False))
            raise DataError(
                path,
                f"array '{name}' at {where} is {arrays[name][index]:.3g}, allowed is at most {limit:.0e}: "
                "are the units those of the hopping?",
            )


def _check_labels_vary(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse labels that cannot come from the spins: zero, the same everywhere or copied."""
    spins, field = arrays["spins"], arrays["field"]
    # collinear spins may feel no field at all in the projected model
    noncollinear = np.abs(np.cross(spins, spins[:, :1])).max(axis=(1, 2)) > UNIT_LENGTH_TOLERANCE
    zero = ~field.any(axis=(1, 2)) & noncollinear
    if zero.any():
        raise DataError(path, f"array 'field' at snapshot {_first(zero)[0]} is zero on every site.")
    same_sites = (field == field[:, :1]).all(axis=(1, 2)) & noncollinear
    if same_sites.any():
        k = _first(same_sites)[0]
        raise DataError(
            path, f"array 'field' at snapshot {k} is constant: the same on every site, the spins are not."
        )
    copied = (field[1:] == field[:-1]).all(axis=(1, 2)) & (spins[1:] != spins[:-1]).any(axis=(1, 2))
    if copied.any():
        k = _first(copied)[0] + 1
        raise DataError(
            path, f"array 'field' at snapshot {k} is that of snapshot {k - 1}, the spins are not."
        )
    energy = arrays.get("energy")
    # two snapshots may be symmetry partners of one energy
    if energy is not None and len(energy) > 2 and (energy == energy[0]).all() and (spins != spins[0]).any():
        raise DataError(
            path, f"array 'energy' is constant from snapshot 0 on ({energy[0]:.6g}), the spins are not."
        )


def _check_numbers(path: str | Path, name: str, array: np.ndarray) -> None:
    integer = name in ARRAYS and ARRAYS[name][0][1] == "i"
    allowed = ("iu" if integer else "fiu") if name in ARRAYS else "fiucb"
    if array.dtype.kind not in allowed:
        raise DataError(
            path, f"array '{name}' holds {array.dtype}, must hold {'whole' if integer else 'real'} numbers."
        )


def _check_finite(path: str | Path, name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(array)
    if bad.any():
        index = _first(bad)
        where = ", ".join(f"{word} {k}" for word, k in zip(AXIS_WORDS, index, strict=False))
        raise DataError(path, f"array '{name}' at {where} is {array[index]}, must be finite.")


def _first(mask: np.ndarray) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(k) for k in np.unravel_index(int(mask.argmax()), mask.shape))
