"""Which configurations of several trajectories are worth an exact label."""

from __future__ import annotations

import numpy as np


def disagreement(
    spread: np.ndarray, torque: np.ndarray, stage: np.ndarray, floor: float | None
) -> np.ndarray:
    """How much a committee disagrees on the torque of each configuration, relative to its stage,

        d = spread / sqrt(<torque^2>_stage + floor^2 <torque^2>) .

    Late in a quench torques are small, and so is every absolute disagreement on them. The torque that counts
    is that of the stage, not of the configuration itself: in that measure the configurations that have come
    to rest first win, which have least to teach.

    Args:
        spread: ``(n,)`` standard deviation over the members of the transverse field, rms over sites.
        torque: ``(n,)`` rms transverse field of the committee, in the same unit.
        stage: ``(n,)`` whole numbers: which configurations are of one stage of the runs.
        floor: fraction of the typical torque below which a torque counts as this much; None: absolute, d =
            spread.
    """
    if floor is None:
        return np.asarray(spread, dtype=float)
    square = np.square(torque)
    _, place = np.unique(stage, return_inverse=True)
    typical = (np.bincount(place, square) / np.bincount(place))[place]
    return spread / np.sqrt(typical + floor**2 * square.mean())


def spread_out(
    score: np.ndarray,
    trajectory: np.ndarray,
    step: np.ndarray,
    count: int,
    separation: int,
    most: int | None = None,
) -> np.ndarray:
    """The configurations of largest score that are different.

    Greedy from the largest score on, with two rules. One that lies less than ``separation`` steps from one
    that is chosen already, in the same trajectory, is passed over: snapshots nearby in time are nearly
    copies. So is one from a time window (``separation`` steps, the same for all trajectories) that has given
    ``most`` already: what the committee has not learned it has not learned at one stage of all trajectories,
    and the first few labels of that stage settle it. Of equal scores the earlier index wins.

    Args:
        score: ``(n,)``; what is not finite is never chosen.
        trajectory, step: ``(n,)``.
        count: how many.
        separation: at least 1.
        most: of one window; None: any number.

    Returns:
        ``(m,)`` indices by descending score; m < count only if there are no more that keep their distance.
    """
    chosen: list[int] = []
    taken: dict[int, list[int]] = {}
    filled: dict[int, int] = {}
    for k in np.argsort(-np.asarray(score, dtype=float), kind="stable"):
        if len(chosen) == count:
            break
        window = int(step[k]) // separation
        if not np.isfinite(score[k]) or filled.get(window, 0) == most:
            continue
        others = taken.setdefault(int(trajectory[k]), [])
        if all(abs(int(step[k]) - other) >= separation for other in others):
            others.append(int(step[k]))
            chosen.append(int(k))
            filled[window] = filled.get(window, 0) + 1
    return np.array(chosen, dtype=int)
