"""Honest splits: what a model is tested on shares no trajectory with what it learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.states import STATES, state_classes
from magsim.errors import DataError
from magsim.spins import rng

MIN_TRAJECTORIES = 3  # one for each part
MIN_BLOCKS = 5  # snapshots of a single trajectory below which it only trains


@dataclass(frozen=True, eq=False)
class Split:
    """Snapshot indices of the three parts, and how they were chosen.

    Attributes:
        train, validation, test: sorted, disjoint; snapshots next to a held-out block of steps are in none,
            nor are those beyond ``max_snapshots``. Validation and test may be empty.
        description: one line per source.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    description: str


def split_dataset(
    dataset: SpinDataset,
    seed: int,
    validation: float = 0.1,
    test: float = 0.15,
    max_snapshots: int | None = None,
) -> Split:
    """Split each source by whole trajectories.

    A source with at least three trajectories gives whole trajectories, drawn at random, to validation and
    test (at least one each). A source that is a single trajectory (or two) is cut into contiguous blocks of
    steps instead, one of which goes to validation and one to test, with one snapshot left out on either side
    of a block: neighbouring snapshots of a trajectory are nearly copies. A trajectory of fewer than five
    snapshots only trains.

    Args:
        dataset: what to split.
        seed: the same seed and dataset give the same split.
        validation, test: fractions, each in [0, 0.5); zero holds nothing out.
        max_snapshots: of the training part, see :func:`subset`; None: all.

    Raises:
        DataError: a part that was asked for would be empty.
    """
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    lines = []
    for code, name in enumerate(dataset.sources):
        members = np.flatnonzero(dataset.source == code)
        if not len(members):
            continue
        trajectories = np.unique(dataset.trajectory[members])
        generator = rng(seed, "split", name)
        if len(trajectories) >= MIN_TRAJECTORIES:
            chosen = _by_trajectory(dataset.trajectory[members], trajectories, generator, validation, test)
            how = f"whole trajectories ({len(trajectories)})"
        else:
            masks = [
                _by_block(
                    dataset.step[members], dataset.trajectory[members] == t, generator, validation, test
                )
                for t in trajectories
            ]
            chosen = {part: np.any([mask[part] for mask in masks], axis=0) for part in parts}
            how = f"contiguous blocks of steps (too few trajectories to hold one out: {len(trajectories)})"
        for part, mask in chosen.items():
            parts[part].append(members[mask])
        counts = " / ".join(str(int(chosen[part].sum())) for part in parts)
        lines.append(
            f"{name}: {counts} snapshots train / validation / test, held out by {how}"
            if validation or test
            else f"{name}: all {len(members)} snapshots train, nothing is held out"
        )
    indices = {part: np.sort(np.concatenate(found)) for part, found in parts.items()}
    wanted = {"train": 1.0, "validation": validation, "test": test}
    for part, index in indices.items():
        if wanted[part] and not len(index):
            raise DataError(
                dataset.path,
                f"{len(dataset)} snapshots are too few to hold out a {part} part (a source needs "
                f"{MIN_TRAJECTORIES} trajectories, or one of {MIN_BLOCKS} snapshots).",
            )
    if max_snapshots is not None and max_snapshots < len(indices["train"]):
        lines.append(f"{max_snapshots} of {len(indices['train'])} training snapshots are used")
        indices["train"] = subset(state_classes(dataset), indices["train"], max_snapshots, seed)
    return Split(**indices, description="\n".join(lines))


def subset(classes: np.ndarray, members: np.ndarray, size: int, seed: int) -> np.ndarray:
    """``size`` of some snapshots, the classes of state in turn, each in a random order of its own.

    A class that runs out leaves its turn to the others. A smaller subset is part of every larger one.

    Args:
        classes: ``(n,)`` names, see :func:`magsim.datasets.states.state_classes`.
        members: indices to draw from.
        size: how many.
        seed: of the order.

    Returns:
        sorted indices.
    """
    turns = []
    for place, name in enumerate(STATES):
        own = rng(seed, "subset", name).permutation(members[classes[members] == name])
        turns += [(turn, place, int(index)) for turn, index in enumerate(own)]
    return np.array(sorted(index for _, _, index in sorted(turns)[:size]), dtype=members.dtype)


def _by_trajectory(
    trajectory: np.ndarray,
    trajectories: np.ndarray,
    generator: np.random.Generator,
    validation: float,
    test: float,
) -> dict[str, np.ndarray]:
    """Masks over snapshots; at least one trajectory in each part that is asked for."""
    n = len(trajectories)
    n_test = min(_share(test, n), n - 2)
    n_validation = min(_share(validation, n), n - n_test - 1)
    order = generator.permutation(trajectories)
    held = {"test": order[:n_test], "validation": order[n_test : n_test + n_validation]}
    masks = {part: np.isin(trajectory, ids) for part, ids in held.items()}
    return {"train": ~(masks["test"] | masks["validation"]), **masks}


def _share(fraction: float, n: int) -> int:
    """Of n trajectories or snapshots: at least one, unless nothing is to be held out."""
    return max(1, round(fraction * n)) if fraction else 0


def _by_block(
    step: np.ndarray,
    own: np.ndarray,
    generator: np.random.Generator,
    validation: float,
    test: float,
) -> dict[str, np.ndarray]:
    """Masks over snapshots for one trajectory (``own``) cut along its steps."""
    empty = np.zeros(len(step), dtype=bool)
    order = np.flatnonzero(own)[np.argsort(step[own], kind="stable")]
    n = len(order)
    if n < MIN_BLOCKS:
        return {"train": own.copy(), "validation": empty, "test": empty.copy()}
    n_test, n_validation = _share(test, n), _share(validation, n)
    gap = 1 if n >= 4 * MIN_BLOCKS else 0
    # place the two blocks without overlap: draw how the remaining snapshots lie before, between and after
    free = n - n_test - n_validation - 2 * gap
    cuts = np.sort(generator.integers(0, free + 1, size=2))
    sizes = [("test", n_test), ("validation", n_validation)]
    if generator.random() < 0.5:
        sizes.reverse()
    masks = {part: empty.copy() for part in ("train", "validation", "test")}
    masks["train"][order] = True
    start = int(cuts[0])
    for k, (part, size) in enumerate(sizes):
        if not size:
            continue
        masks["train"][order[max(0, start - gap) : start + size + gap]] = False
        masks[part][order[start : start + size]] = True
        start += size + 2 * gap + int(cuts[1] - cuts[0]) if k == 0 else 0
    return masks
