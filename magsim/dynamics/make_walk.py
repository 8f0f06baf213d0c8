"""Which way a run moves."""

from __future__ import annotations

from torch import Tensor

from magsim.dynamics.compiled import compilable
from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.protocols import Protocol
from magsim.dynamics.recorded import STEPS, RecordedWalk, chosen, replayable
from magsim.dynamics.share import WHOLE, Share
from magsim.dynamics.thermostat import Noise
from magsim.dynamics.walk import AdaptiveWalk, CompiledWalk, Course, MinimiserWalk, TorchWalk, Walk
from magsim.errors import ConfigError

KINDS = ("minimiser", "adaptive", "loops", "graph", "fused", "eager")
"""How the steps of a run can be done."""
WALKS: dict[str, type[Walk]] = {
    "minimiser": MinimiserWalk,
    "adaptive": AdaptiveWalk,
    "loops": CompiledWalk,
    "eager": TorchWalk,
}


def kind_of_steps(
    field: FieldFunction,
    integrator: Integrator,
    protocol: Protocol,
    spins: Tensor,
    share: Share = WHOLE,
    steps: str = "auto",
) -> str:
    """How the steps of a run are done: by the ``minimiser`` of the protocol if it has one, ``adaptive`` if
    the integrator has a tolerance, in compiled ``loops`` on a CPU or as a recorded ``graph`` or ``fused``
    kernels on a GPU where that can be had, else ``eager``, one operation of torch after the other.

    Args:
        spins: ``(R, N, 3)``; only their dtype, device and number matter.
        share: which sites of the run the spins are.
        steps: what was asked for, one of :data:`magsim.dynamics.recorded.STEPS`.

    Returns:
        one of :data:`KINDS`.

    Raises:
        ConfigError: ``graph`` or ``fused`` steps where nothing can be recorded.
        ValueError: ``steps`` is unknown.
    """
    if steps not in STEPS:
        raise ValueError(f"steps={steps!r}: must be one of {', '.join(STEPS)}.")
    kind = "eager"
    if protocol.minimiser is not None:
        kind = "minimiser"
    elif integrator.tolerance is not None:
        kind = "adaptive"
    elif steps == "auto" and share is WHOLE and compilable(field, integrator, spins):
        kind = "loops"
    elif steps != "eager" and share is WHOLE and replayable(field, integrator, spins):
        kind = chosen(field, spins, steps)
    if steps in ("graph", "fused") and kind != steps:
        raise ConfigError(
            "compute.steps",
            steps,
            f"needs a CUDA GPU (the spins are on {spins.device.type}), explicit steps of one length, and a "
            "learned or classical field that one process evaluates as a whole and without a bias; use auto.",
        )
    return kind


def make_walk(
    field: FieldFunction,
    integrator: Integrator,
    protocol: Protocol,
    spins: Tensor,
    noise: Noise,
    share: Share = WHOLE,
    stride: int = 1,
    steps: str = "auto",
) -> Walk:
    """The way of :func:`kind_of_steps`.

    Args:
        stride: steps between recorded frames.

    Raises:
        ConfigError: see :func:`kind_of_steps`.
    """
    kind = kind_of_steps(field, integrator, protocol, spins, share, steps)
    course = Course(field, integrator, protocol, spins, noise, share, stride)
    if kind in ("graph", "fused"):
        return RecordedWalk(course, kind, strict=steps != "auto")
    return WALKS[kind](course)
