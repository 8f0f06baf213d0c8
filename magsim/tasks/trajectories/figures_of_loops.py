"""Figures of runs in an external field."""

from __future__ import annotations

import numpy as np

from magsim.dynamics import FieldSweep, make_protocol
from magsim.report.hysteresis import coercivity, hysteresis_loop
from magsim.tasks.trajectories.scene import Drawn, Scene


def needs_loop(scene: Scene) -> str:
    """A field sweep that has reached its second value."""
    recipe = scene.trajectory.attributes["config"].get("protocol", {})
    if recipe.get("name") != FieldSweep.name:
        return "it needs protocol=field_sweep"
    return "" if len(_ends(scene, _sweep(scene))) > 1 else "the sweep is still at its first value"


def hysteresis(scene: Scene) -> Drawn:
    """The loop, from the states that each value of the field has led to."""
    drawn, sweep = Drawn(), _sweep(scene)
    ends = _ends(scene, sweep)
    n = np.asarray(sweep.direction) / np.linalg.norm(sweep.direction)
    field = np.array([sweep.value_at(int(scene.trajectory.step[k]) - 1) for k in ends])
    along = np.stack([scene.trajectory.spins(k).mean(axis=-2) @ n for k in ends])
    file = hysteresis_loop(scene.file("hysteresis"), field, along, scene.label)
    held = "at rest" if sweep.tolerance is not None else f"after {sweep.hold} steps"
    drawn.pictures.append(
        scene.shown(file, f"Mean spin along the field, {held} at each of {len(ends)} values.")
    )
    width = coercivity(field, along.mean(axis=1))
    if np.isfinite(width):
        drawn.metrics["coercive_field"] = width
    return drawn


def _sweep(scene: Scene) -> FieldSweep:
    sweep = make_protocol(**scene.trajectory.attributes["config"]["protocol"])
    assert isinstance(sweep, FieldSweep)
    return sweep


def _ends(scene: Scene, sweep: FieldSweep) -> list[int]:
    """Frames at the end of a value."""
    steps = scene.trajectory.step
    return [k for k in scene.frames if steps[k] and steps[k] % sweep.hold == 0]
