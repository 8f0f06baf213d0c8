"""Minimisation on the sphere: conjugate gradients and L-BFGS with geodesics in place of straight lines."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from magsim.dynamics.integrators import FieldFunction
from magsim.dynamics.line_search import Point, search
from magsim.dynamics.llg import perpendicular
from magsim.dynamics.share import Share
from magsim.dynamics.sphere import Geodesic

MEMORY = 6  # pairs that L-BFGS remembers
PROBE = 1e-3  # radians of the largest turn of the short trial that tells the curvature
CAREFUL = 0.1  # radians of the largest turn where the curvature is negative
LONGEST = 0.8  # radians of the largest turn of a first trial


class Minimiser(ABC):
    """One step: a direction of descent, and a search along the geodesics of all spins in that direction.

    The gradient is ``g_i = -F_i + (F_i.S_i) S_i``. A spin moves on a great circle (the exponential map of the
    sphere is the retraction), and what is remembered of earlier steps, vectors tangent to the spins as they
    were, is carried along by parallel transport, which keeps lengths and angles (:class:`Geodesic`). Sources:
    Absil, Mahony and Sepulchre, Optimization Algorithms on Matrix Manifolds (Princeton, 2008), chapters 4, 5
    and 8; for spins: Ivanov, Uzdin and Jonsson, Comput. Phys. Commun. 260, 107749,
    doi:10.1016/j.cpc.2020.107749.

    Replicas share evaluations of the field, nothing else. One that finds nothing lower forgets, and goes down
    its gradient next. All is forgotten at every recorded frame (:meth:`forget`), so that a run continues from
    any of them bit by bit.

    Attributes:
        stalled: no replica has moved, not even down its gradient: the rounding of the field allows no lower
            energy.
    """

    wolfe: float  # largest slope at the end of a step, of that at its beginning

    def __init__(self, share: Share) -> None:
        self.share = share
        self.stalled = False
        self._moved = torch.zeros(0, dtype=torch.bool)
        self.forget()

    def forget(self) -> None:
        """Begin anew with the next step."""
        self.curvature: Tensor | None = None

    def step(
        self, field: FieldFunction, spins: Tensor, energy: Tensor, force: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Spins, energy and field of a lower state.

        Args:
            field: ``energy, F = field(spins)``, F the gradient of the energy.
            spins: ``(R, N, 3)``.
            energy, force: at ``spins``.
        """
        gradient = -perpendicular(spins, force)
        if self.curvature is None:
            self.curvature = self._probe(field, spins, gradient)
            self._moved = torch.zeros_like(energy, dtype=torch.bool)
        direction = self._direction(gradient, self.curvature)
        uphill = ~(self._dot(gradient, direction) < 0)
        direction = torch.where(uphill[:, None, None], -gradient, direction)
        direction = self._scaled(gradient, direction)
        start = Point(torch.zeros_like(energy), self.share.total(energy), self._dot(gradient, direction))
        path = Geodesic(spins, direction)
        end = search(field, path, start, self.wolfe, self.share, (spins, energy, force))
        moved = end.length > 0
        self.stalled = not bool((moved | self._moved).any())
        self._remember(path, end.length, gradient, -perpendicular(end.spins, end.force))
        self._moved = moved
        return end.spins, end.energy, end.force

    @abstractmethod
    def _direction(self, gradient: Tensor, curvature: Tensor) -> Tensor:
        """Where to go, of any length."""

    @abstractmethod
    def _remember(self, path: Geodesic, length: Tensor, before: Tensor, after: Tensor) -> None:
        """Take in a step along a path, with the gradients at its ends."""

    def _dot(self, a: Tensor, b: Tensor) -> Tensor:
        """``sum_i a_i . b_i`` of each replica, ``(R,)``."""
        return self.share.total((a * b).sum((-2, -1)))

    def _largest(self, vectors: Tensor) -> Tensor:
        """``max_i |v_i|`` of each replica, ``(R, 1, 1)``."""
        return self.share.largest_of(vectors.norm(dim=-1).amax(-1))[:, None, None]

    def _probe(self, field: FieldFunction, spins: Tensor, gradient: Tensor) -> Tensor:
        """``s.y/s.s`` of a short step s down the gradient, ``(R,)``."""
        tiny = torch.finfo(spins.dtype).tiny
        step = -gradient * (PROBE / self._largest(gradient).clamp_min(tiny))
        path, one = Geodesic(spins, step), torch.ones(len(spins)).to(spins)
        there = path.at(one)
        change = -perpendicular(there, field(there)[1]) - path.carry(gradient, one)
        along = path.carry(step, one)
        return self._dot(along, change) / self._dot(along, along).clamp_min(tiny)

    def _scaled(self, gradient: Tensor, direction: Tensor) -> Tensor:
        """The direction with the length of a first trial: to the minimum of a parabola of the last curvature,
        and not too far."""
        assert self.curvature is not None
        tiny = torch.finfo(direction.dtype).tiny
        curved = self.curvature > 0
        slope, square = self._dot(gradient, direction), self._dot(direction, direction)
        ideal = -slope / (self.curvature * square).clamp_min(tiny)
        turn = self._largest(direction).clamp_min(tiny)
        length = torch.where(curved[:, None, None], ideal[:, None, None], CAREFUL / turn)
        return direction * torch.minimum(length, LONGEST / turn)


class ConjugateGradient(Minimiser):
    """``d = -g + b d'`` with ``b = max(0, g.(g - g')/g'.g')`` (Polak and Ribiere), both carried along."""

    wolfe = 0.3

    def forget(self) -> None:
        super().forget()
        self._last: tuple[Tensor, Tensor] | None = None

    def _direction(self, gradient: Tensor, curvature: Tensor) -> Tensor:
        if self._last is None:
            self._now = -gradient
            return self._now
        before, direction = self._last
        square = self._dot(before, before).clamp_min(torch.finfo(gradient.dtype).tiny)
        b = (self._dot(gradient, gradient - before) / square).clamp_min(0.0)
        self._now = b[:, None, None] * direction - gradient
        return self._now

    def _remember(self, path: Geodesic, length: Tensor, before: Tensor, after: Tensor) -> None:
        step = path.carry(path.direction, length)
        carried = path.carry(before, length)
        ss = self._dot(step, step)
        measured = self._dot(step, after - carried) / (length * ss).clamp_min(torch.finfo(ss.dtype).tiny)
        assert self.curvature is not None
        self.curvature = torch.where(length > 0, measured, self.curvature)
        self._last = (carried, path.carry(self._now, length) * (length > 0)[:, None, None])


class LBFGS(Minimiser):
    """``d = -H g`` with the inverse Hessian H of the last steps s and changes y of the gradient, by the
    two-loop recursion (Nocedal, doi:10.1090/S0025-5718-1980-0572855-7) in the tangent space of the spins as
    they are; on manifolds: Huang, Gallivan and Absil, doi:10.1137/140955483."""

    wolfe = 0.9

    def forget(self) -> None:
        super().forget()
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []  # s, y, 1/s.y (0: the pair is void)
        self._scale: Tensor | None = None

    def _direction(self, gradient: Tensor, curvature: Tensor) -> Tensor:
        q, shares = -gradient, []
        for s, y, inverse in reversed(self._pairs):
            a = inverse * self._dot(s, q)
            q = q - a[:, None, None] * y
            shares.append(a)
        if self._scale is not None:
            q = q * self._scale[:, None, None]
        for (s, y, inverse), a in zip(self._pairs, reversed(shares), strict=True):
            b = inverse * self._dot(y, q)
            q = q + (a - b)[:, None, None] * s
        return q

    def _scaled(self, gradient: Tensor, direction: Tensor) -> Tensor:
        if not self._pairs:
            return super()._scaled(gradient, direction)
        turn = self._largest(direction).clamp_min(torch.finfo(direction.dtype).tiny)
        return direction * (LONGEST / turn).clamp_max(1.0)

    def _remember(self, path: Geodesic, length: Tensor, before: Tensor, after: Tensor) -> None:
        moved = length > 0
        self._pairs = [
            (path.carry(s, length), path.carry(y, length), inverse * moved)
            for s, y, inverse in self._pairs[-(MEMORY - 1) :]
        ]
        s = path.carry(path.direction * length[:, None, None], length)
        y = after - path.carry(before, length)
        sy, yy = self._dot(s, y), self._dot(y, y)
        good = sy > torch.finfo(sy.dtype).eps * yy
        self._pairs.append((s, y, torch.where(good, 1 / torch.where(good, sy, 1.0), 0.0)))
        assert self.curvature is not None
        probed = 1 / self.curvature.abs().clamp_min(torch.finfo(sy.dtype).tiny)
        last = probed if self._scale is None else torch.where(moved, self._scale, probed)
        self._scale = torch.where(good, sy / torch.where(good, yy, 1.0), last)


MINIMISERS: dict[str, type[Minimiser]] = {"cg": ConjugateGradient, "lbfgs": LBFGS}
