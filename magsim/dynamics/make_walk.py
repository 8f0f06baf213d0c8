"""Which way a run moves."""

from __future__ import annotations

from torch import Tensor

from magsim.dynamics.compiled import compilable
from magsim.dynamics.effective_field import ClassicalField
from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.protocols import Protocol
from magsim.dynamics.recorded import RecordedWalk, replayable
from magsim.dynamics.share import WHOLE, Share
from magsim.dynamics.thermostat import Noise
from magsim.dynamics.walk import AdaptiveWalk, CompiledWalk, MinimiserWalk, TorchWalk, Walk


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
    """The minimiser of the protocol if it has one, adaptive steps if the integrator has a tolerance, compiled
    loops or recorded kernels where they can be had, else torch.

    Args:
        share: which sites of the run the spins are.
        stride: steps between recorded frames.
        steps: on a GPU, one of :data:`magsim.dynamics.recorded.STEPS`.
    """
    if protocol.minimiser is not None:
        return MinimiserWalk(field, integrator, protocol, spins, noise, share, stride)
    if integrator.tolerance is not None:
        return AdaptiveWalk(field, integrator, protocol, spins, noise, share)
    if share is WHOLE and isinstance(field, ClassicalField) and compilable(field, integrator, spins):
        return CompiledWalk(field, integrator, protocol, spins, noise)
    if share is WHOLE and steps != "eager" and replayable(field, integrator, spins):
        return RecordedWalk(field, integrator, protocol, spins, noise, steps)
    return TorchWalk(field, integrator, protocol, spins, noise)
