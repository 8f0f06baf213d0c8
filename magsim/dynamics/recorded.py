"""Steps on a GPU that are the same kernels every time: recorded once and replayed, or compiled into few."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from magsim.dynamics.effective_field import ClassicalField, EffectiveField, SumField
from magsim.dynamics.integrators import FieldFunction, Integrator
from magsim.dynamics.llg import component_major
from magsim.dynamics.walk import Course, LazyWalk
from magsim.errors import RunError

STEPS = ("auto", "eager", "graph", "fused")
"""How steps may be asked for."""
FUSED_FROM = 1 << 14  # sites and replicas from which compiling a classical step is worth its seconds
RECORDED_TO = 1 << 21  # and up to which a fused step is replayed: beyond, the launches cost less than a copy
WARM = 2  # evaluations before a recording: libraries set themselves up

Move = Callable[[Tensor, Tensor, Tensor], Tensor]  # spins, step, D -> spins


def replayable(field: FieldFunction, integrator: Integrator, spins: Tensor) -> bool:
    """Whether a step of this run is the same kernels every time: on a GPU, by a field that is ``steady`` and
    an integrator that does not look at its own result."""
    steady = isinstance(field, EffectiveField) and field.steady
    return spins.device.type == "cuda" and steady and not integrator.implicit


def fusible(field: FieldFunction) -> bool:
    """Whether compiling a step pays: only where it is bound by memory, for classical fields alone."""
    terms = field.terms if isinstance(field, SumField) else (field,)
    return all(isinstance(term, ClassicalField) for term in terms)


def chosen(field: FieldFunction, spins: Tensor, steps: str = "auto") -> str:
    """``graph`` or ``fused``: what was asked for, or what is quicker."""
    if steps != "auto":
        return steps
    return "fused" if fusible(field) and spins.shape[0] * spins.shape[1] >= FUSED_FROM else "graph"


class RecordedWalk(LazyWalk):
    """A steady field on a GPU: between two looks neither waits for the other, host or device.

    Step number and strength of the bath lie in tensors whose content changes, as the field of the protocol
    does (:class:`~magsim.dynamics.external.Driven`): what is recorded sees the new values.

    Args:
        how: ``graph`` (kernels of torch, recorded as a CUDA graph), ``fused`` (compiled by
            ``torch.compile``; small lattices as a graph, too) or ``auto``.
        strict: what can be neither recorded nor compiled ends the run; else it is done as it is written, with
            a warning.
    """

    def __init__(self, course: Course, how: str = "auto", strict: bool = False) -> None:
        super().__init__(course)
        spins = course.spins
        size, how = spins.shape[0] * spins.shape[1], chosen(course.field, spins, how)
        self._failed = _refuse if strict else _tell
        self._fuse, self._replay = how == "fused", how == "graph" or size <= RECORDED_TO
        self._spins = component_major(spins).clone()
        self._step = torch.zeros((), dtype=torch.int64, device=spins.device)
        self._bath = torch.zeros((), dtype=torch.float64, device=spins.device)
        self._D = 0.0
        self._ways: dict[bool, Callable[[], None]] = {}  # a cold step, a hot one

    def copied(self) -> Tensor:
        return self._spins.clone()  # what is replayed writes into its own tensor

    def not_finite(self) -> Tensor | None:
        # a spin that is not finite stays so
        return None if bool(torch.isfinite(self._spins.sum())) else self._spins.isfinite().all(-1)

    @torch.no_grad()
    def advance(self, step: int) -> None:
        D = self._strength(step)
        if D != self._D:
            self._bath.fill_(D)
            self._D = D
        self._step.fill_(step)
        hot = D > 0
        if hot not in self._ways:
            self._ways[hot] = self._way(hot)
        self._ways[hot]()

    def _way(self, hot: bool) -> Callable[[], None]:
        """How a step is done from now on; as torch does it alone where anything stands against the rest."""
        move: Move = self._hot if hot else self._cold
        state = (self._spins, self._step, self._bath)
        for _ in range(WARM):
            move(*state)
        if self._fuse:
            try:
                move = fused(move, state)
            except Exception as error:  # of the compiler, whatever it is
                self._failed("compiled", error)
        if self._replay:
            try:
                return recorded(move, state).replay
            except RuntimeError as error:
                self._failed("recorded", error)

        def way() -> None:
            moved = move(self._spins, self._step, self._bath)
            if self._replay:  # a cold or a hot step that was recorded looks at this tensor
                self._spins.copy_(moved)
            else:
                self._spins = moved

        return way

    def _cold(self, spins: Tensor, step: Tensor, D: Tensor) -> Tensor:
        return self._integrator.step(self._field, spins, self._field(spins)[1])

    def _hot(self, spins: Tensor, step: Tensor, D: Tensor) -> Tensor:
        thermal = self._noise.recorded_field(step, spins, D, self._integrator.step_size)
        return self._integrator.step(self._field, spins, self._field(spins)[1], thermal)


def fused(move: Move, state: tuple[Tensor, ...]) -> Move:
    """A step as few kernels. It must have run before, so that nothing that it keeps is made in here."""
    compiled: Any = torch.compile(operations(move, state), fullgraph=True, dynamic=False)
    compiled(*state)
    return compiled


def operations(move: Move, state: tuple[Tensor, ...]) -> GraphModule:
    """The operations of a step without the Python code around them; what would look at a value raises."""

    def plain(spins: Tensor, step: Tensor, D: Tensor) -> Tensor:  # a method is not traced
        return move(spins, step, D)

    graph = make_fx(plain, tracing_mode="fake", _allow_non_fake_inputs=True)(*state)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def recorded(move: Move, state: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
    """A step in place, ``state[0] <- move(*state)``, as a CUDA graph."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        for _ in range(WARM):
            move(*state)
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        state[0].copy_(move(*state))
    return graph


def _reason(what: str, error: Exception) -> str:
    line = str(error).strip().partition("\n")[0]
    return f"A step could not be {what} ({type(error).__name__}: {line})"


def _tell(what: str, error: Exception) -> None:
    warnings.warn(f"{_reason(what, error)}; it is done as it is written.", RuntimeWarning, stacklevel=2)


def _refuse(what: str, error: Exception) -> None:
    raise RunError(f"{_reason(what, error)}; use compute.steps=auto or eager.") from error
