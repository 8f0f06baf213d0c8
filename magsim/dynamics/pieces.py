"""Fields that know a lattice only piece by piece: what a slab and its halo tell about the slab.

The energy of a site is a function of the spins within a radius. So the field on some sites,
``F_i = - sum_j de_j/dS_i``, needs the spins within twice the radius, and equals that of the whole lattice to
rounding. Evaluation of a lattice in slabs (:class:`SlabField`) and by several processes (:mod:`.parallel`)
are two uses of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from magsim.dynamics.committee import CommitteeField
from magsim.dynamics.effective_field import ClassicalField, EffectiveField, LearnedField, SumField
from magsim.errors import ConfigError
from magsim.lattice import Cut, Lattice, reach


class Piece(ABC):
    """A field on windows of one shape.

    Attributes:
        halo: rows of the window on each side of the sites that are asked for.
    """

    halo: int

    @abstractmethod
    def bind(self, window: Lattice) -> None:
        """Be ready for windows like this one."""

    @abstractmethod
    def to(self, device: str) -> None:
        """Move to a device."""

    @abstractmethod
    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        """Energy ``(R,)`` of the sites ``own`` of a window and field ``(R, n, 3)`` on them, from the spins
        ``(R, N, 3)`` of the window."""


class ClassicalPiece(Piece):
    """Classical terms; half the energy of a bond belongs to each of its ends.

    ``sum_i [-S_i.F_i/2 - S_i.B/2]`` is the energy of pairs, of the axis and of the field B: F holds the first
    two twice, and B once.
    """

    def __init__(self, field: ClassicalField) -> None:
        terms = field.hamiltonian
        self._terms = terms
        shells = max(len(terms.heisenberg), int(terms.dm != 0))
        bonds = terms.lattice.with_shape([1] * terms.lattice.dim).shells(shells)
        self.halo = reach(terms.lattice, bonds[-1].distance) if bonds else 0

    def bind(self, window: Lattice) -> None:
        self._window, self._field = window, ClassicalField(self._terms.bind(window))

    def to(self, device: str) -> None:
        """Nothing: the terms go where the spins are."""

    def __getstate__(self) -> dict[str, Any]:
        return {"terms": self._terms, "halo": self.halo, "window": self._window}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process: what was compiled or tabulated is made anew."""
        self._terms, self.halo = state["terms"], state["halo"]
        self.bind(state["window"])

    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        _, field = self._field(spins)
        mine, field = spins[:, own], field[:, own]
        B = torch.tensor(self._terms.zeeman, dtype=spins.dtype, device=spins.device)
        return -0.5 * (mine * (field + B)).sum((-2, -1)), field


class LearnedPiece(Piece):
    """A trained model, bound to windows from now on; ``key`` and ``value`` as in :func:`piece_of`."""

    def __init__(self, field: LearnedField, key: str, value: Any) -> None:
        self._field = field
        radius = float(getattr(field.model, "radius", math.inf))
        if not math.isfinite(radius):
            words = (
                "this model does not know how far its sites see, so that its lattice cannot be cut; use 1."
            )
            raise ConfigError(key, value, words)
        rows = reach(field.model.lattice, radius)  # type: ignore[arg-type]
        self.halo = 2 * rows if field.conservative else rows

    def bind(self, window: Lattice) -> None:
        self._field.bind(window)

    def to(self, device: str) -> None:
        self._field.to(device)

    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        return self._field.of_sites(spins, own)


class Pieces(Piece):
    """The weighted sum of several."""

    def __init__(self, parts: Sequence[Piece], weight: float = 1.0) -> None:
        self._parts, self._weight = tuple(parts), weight
        self.halo = max(part.halo for part in parts)

    def bind(self, window: Lattice) -> None:
        for part in self._parts:
            part.bind(window)

    def to(self, device: str) -> None:
        for part in self._parts:
            part.to(device)

    def of_sites(self, spins: Tensor, own: slice) -> tuple[Tensor, Tensor]:
        energy, field = self._parts[0].of_sites(spins, own)
        for part in self._parts[1:]:
            more_energy, more_field = part.of_sites(spins, own)
            energy, field = energy + more_energy, field + more_field
        return (energy, field) if self._weight == 1 else (energy * self._weight, field * self._weight)


def piece_of(field: EffectiveField, key: str = "compute.slabs", value: Any = None) -> Piece:
    """The same field on pieces of its lattice; learned fields are moved to them, not copied.

    Args:
        key, value: what is told to the user where that cannot be.

    Raises:
        ConfigError: a field whose sites see the whole lattice (exact electrons) or of unknown radius.
    """
    if isinstance(field, ClassicalField):
        return ClassicalPiece(field)
    if isinstance(field, LearnedField):
        return LearnedPiece(field, key, value)
    if isinstance(field, CommitteeField):
        return Pieces([LearnedPiece(member, key, value) for member in field.members], 1 / len(field.members))
    if isinstance(field, SumField):
        return Pieces([piece_of(term, key, value) for term in field.terms])
    words = f"field {field.name} sees the whole lattice; only learned and classical fields are cut: use 1."
    raise ConfigError(key, value, words)


class SlabField(EffectiveField):
    """A field of a lattice evaluated slab by slab, equal to the field itself to rounding.

    Memory is that of one window, whatever the size of the lattice.

    Args:
        field: on any lattice of the same crystal.
        lattice: of the spins.
        slabs: how many.
        key: what is told to the user where that cannot be.

    Attributes:
        piece, cut: the field on a window, and where the windows are.

    Raises:
        ConfigError: the field cannot be cut, or the lattice has fewer rows than slabs.
    """

    def __init__(
        self, field: EffectiveField, lattice: Lattice, slabs: int, key: str = "compute.slabs"
    ) -> None:
        self.piece = piece_of(field, key, slabs)
        if slabs > lattice.shape[0]:
            raise ConfigError(key, slabs, f"the lattice has {lattice.shape[0]} rows to cut between.")
        self.cut = Cut(lattice, slabs, self.piece.halo)
        self.piece.bind(self.cut.window)
        self.n_sites, self.name = lattice.n_sites, field.name
        self.conservative, self.torque_scale = field.conservative, field.torque_scale
        self._sites = [torch.from_numpy(self.cut.sites(slab)) for slab in self.cut.slabs]

    def to(self, device: str) -> SlabField:
        """The same, moved to a device."""
        self.piece.to(device)
        return self

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        if not isinstance(spins, torch.Tensor):
            energy, field = self.evaluate(torch.from_numpy(np.ascontiguousarray(spins)))
            return energy.numpy(), field.numpy()
        flat = spins.reshape(-1, self.n_sites, 3)
        total, field = flat.new_zeros(len(flat)), torch.empty_like(flat)
        for slab, sites in zip(self.cut.slabs, self._sites, strict=True):
            window = flat.index_select(1, sites.to(flat.device))
            energy, field[:, slab.own] = self.piece.of_sites(window, slab.within)
            total += energy
        return total.reshape(spins.shape[:-2]), field.reshape(spins.shape)
