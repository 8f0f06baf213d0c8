"""Classical energy terms that add to the electrons: exchange, Dzyaloshinskii-Moriya, easy axis, Zeeman."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numba import njit
from scipy import sparse

from magsim.errors import ConfigError
from magsim.hamiltonian.stencil import Bond, Stencil, bonds_of
from magsim.lattice import Lattice

LEVI_CIVITA = np.zeros((3, 3, 3))
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    LEVI_CIVITA[_a, _b, _c], LEVI_CIVITA[_b, _a, _c] = 1.0, -1.0


def _bloch(direction: np.ndarray) -> np.ndarray:
    return direction


def _neel(direction: np.ndarray) -> np.ndarray:
    return np.cross([0.0, 0.0, 1.0], direction)


def _z(direction: np.ndarray) -> np.ndarray:
    return direction[:, :1] * np.array([0.0, 0.0, 1.0])


# kind -> unit vector of D_ij from the unit vectors (M, 3) of the bonds i -> j; all are odd, D_ji = -D_ij
DM_KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"bloch": _bloch, "neel": _neel, "z": _z}


@njit(cache=True)
def first_fit(start: Any, neighbours: Any) -> Any:
    """Colours of the nodes of a graph (CSR): each takes the least that no earlier neighbour has."""
    colours = np.full(len(start) - 1, -1)
    for i in range(len(colours)):
        taken = colours[neighbours[start[i] : start[i + 1]]]
        colour = 0
        while np.any(taken == colour):
            colour += 1
        colours[i] = colour
    return colours


@dataclass(frozen=True, eq=False)
class ClassicalHamiltonian:
    """Classical spins on a lattice,

        E = sum_s J_s sum_<ij in shell s> S_i.S_j + sum_<ij in shell 1> D_ij.(S_i x S_j)
            - K sum_i (S_i.n)^2 - sum_i B.S_i ,        F_i = -dE/dS_i  (free derivative, not projected).

    Every bond counts once; ``J_s > 0`` is antiferromagnetic. Energies are in units of the hopping.

    Attributes:
        lattice: where the spins sit; positions in one or two dimensions lie along x, or in the xy plane.
        heisenberg: ``J_s`` per neighbour shell, nearest first.
        dm: strength D on the nearest-neighbour shell.
        dm_kind: direction of ``D_ij`` for the bond i -> j with unit vector r: ``"bloch"`` D r (helices that
            turn about their wavevector), ``"neel"`` D z x r (cycloids), ``"z"`` D z sign(x_j - x_i) (chain
            only).
        easy_axis: K; positive for an easy axis, negative for an easy plane.
        axis: n, normalised on entry.
        zeeman: B, the field times the moment.

    Raises:
        ConfigError: unknown ``dm_kind``, ``"z"`` off the chain, a zero axis, values that are not finite.
    """

    lattice: Lattice
    heisenberg: tuple[float, ...] = ()
    dm: float = 0.0
    dm_kind: str = "bloch"
    easy_axis: float = 0.0
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    zeeman: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for key in ("heisenberg", "axis", "zeeman"):
            object.__setattr__(self, key, tuple(float(x) for x in getattr(self, key)))
        for key in ("heisenberg", "dm", "easy_axis", "axis", "zeeman"):
            if not np.all(np.isfinite(getattr(self, key))):
                raise ConfigError(f"classical.{key}", getattr(self, key), "the numbers must be finite.")
        for key in ("axis", "zeeman"):
            if len(getattr(self, key)) != 3:
                raise ConfigError(f"classical.{key}", list(getattr(self, key)), "needs three numbers.")
        if self.dm_kind not in DM_KINDS:
            raise ConfigError("classical.dm_kind", self.dm_kind, f"known kinds are {', '.join(DM_KINDS)}.")
        if self.dm and self.dm_kind == "z" and self.lattice.dim != 1:
            raise ConfigError(
                "classical.dm_kind", self.dm_kind, "z is defined on the chain; use bloch or neel."
            )
        if not np.linalg.norm(self.axis) > 0:
            raise ConfigError("classical.axis", list(self.axis), "the easy axis needs a direction.")

    @property
    def n_sites(self) -> int:
        return self.lattice.n_sites

    def bind(self, lattice: Lattice) -> ClassicalHamiltonian:
        """The same terms on another lattice size."""
        return replace(self, lattice=lattice)

    @cached_property
    def coupling(self) -> sparse.csr_matrix:
        """``C`` of the pair energy ``E = S.C.S / 2``: ``(N, N)`` for exchange alone (the same for x, y and
        z), ``(3N, 3N)`` with index ``3 i + a`` when there is a DM term. Images across small lattices add up.
        """
        n = self.n_sites
        exchange = sparse.csr_matrix((n, n))
        for J, shell in zip(self.heisenberg, self.lattice.shells(len(self.heisenberg)), strict=True):
            exchange = exchange + sparse.csr_matrix(
                (np.full(len(shell.i), J), (shell.i, shell.j)), shape=(n, n)
            )
        if not self.dm:
            return exchange
        shell = self.lattice.shells(1)[0]
        direction = np.zeros((len(shell.i), 3))
        direction[:, : self.lattice.dim] = shell.displacement / shell.distance
        D = self.dm * DM_KINDS[self.dm_kind](direction)
        # D.(S_i x S_j) = S_ia (eps_abc D_c) S_jb
        blocks = np.einsum("abc,mc->mab", LEVI_CIVITA, D)
        row = 3 * shell.i[:, None, None] + np.arange(3)[None, :, None] + np.zeros((1, 1, 3), dtype=np.int64)
        column = (
            3 * shell.j[:, None, None] + np.arange(3)[None, None, :] + np.zeros((1, 3, 1), dtype=np.int64)
        )
        twist = sparse.csr_matrix((blocks.ravel(), (row.ravel(), column.ravel())), shape=(3 * n, 3 * n))
        twist.eliminate_zeros()
        return (sparse.kron(exchange, np.eye(3), format="csr") + twist).tocsr()

    @cached_property
    def colours(self) -> np.ndarray:
        """``(N,)`` numbers 0, 1, ... such that coupled sites differ: first fit in the order of the sites (two
        on a square lattice of even sides).

        Raises:
            ConfigError: a site that couples to its own image.
        """
        C, n = self.coupling, self.n_sites
        if C.shape[0] != n:  # components of a site side by side
            C = C.tocoo()
            C = sparse.csr_matrix((np.ones(C.nnz), (C.row // 3, C.col // 3)), shape=(n, n))
        if C.diagonal().any():
            raise ConfigError("lattice.shape", list(self.lattice.shape), "a site couples to its own image.")
        return first_fit(C.indptr, C.indices)

    @cached_property
    def n_colours(self) -> int:
        """Number of the colours."""
        return int(self.colours.max()) + 1

    def colours_on(self, device: torch.device) -> torch.Tensor:
        """:attr:`colours` as a tensor, sent to a device once."""
        if device not in self._sent:
            self._sent[device] = torch.as_tensor(self.colours, device=device)
        return self._sent[device]

    @cached_property
    def _sent(self) -> dict[torch.device, torch.Tensor]:
        return {}

    def energy_and_field(self, spins: Any) -> tuple[Any, Any]:
        """Energy ``(...)`` and field ``(..., N, 3)`` of ``spins`` ``(..., N, 3)``.

        NumPy arrays or torch tensors of any device, returned as the same kind; not differentiable by autograd
        (the field is the derivative).

        Raises:
            ValueError: the last axes are not ``(N, 3)``.
        """
        if tuple(spins.shape[-2:]) != (self.n_sites, 3):
            raise ValueError(
                f"spins have shape {tuple(spins.shape)}, the lattice needs (..., {self.n_sites}, 3)."
            )
        if not isinstance(spins, torch.Tensor):
            return self._on_cpu(np.asarray(spins))
        if spins.device.type != "cpu":
            return self._by_shifts(spins.detach())
        energy, field = self._on_cpu(spins.detach().numpy())
        return torch.from_numpy(np.asarray(energy)), torch.from_numpy(field)

    def energy(self, spins: Any) -> Any:
        """Energy ``(...)`` alone."""
        return self.energy_and_field(spins)[0]

    def field(self, spins: Any) -> Any:
        """Field ``(..., N, 3)`` alone."""
        return self.energy_and_field(spins)[1]

    @cached_property
    def _bonds(self) -> list[Bond]:
        dm = (lambda direction: self.dm * DM_KINDS[self.dm_kind](direction)) if self.dm else None
        return bonds_of(self.lattice, self.heisenberg, dm)

    @cached_property
    def stencil(self) -> Stencil:
        """The terms in the form of the compiled loops."""
        n = np.asarray(self.axis) / np.linalg.norm(self.axis)
        return Stencil(self.lattice, self._bonds, np.array([*self.zeeman, *n, 2 * self.easy_axis]))

    def _on_cpu(self, spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat = spins.reshape(-1, self.n_sites, 3)
        energy, field = self.stencil.energy_and_field(flat)
        field = field.astype(spins.dtype, copy=False)
        return energy.astype(spins.dtype).reshape(spins.shape[:-2]), field.reshape(spins.shape)

    def _by_shifts(self, spins: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same with torch operations on whole arrays, for any device: each bond of the crystal is one
        shift of the lattice."""
        lattice, constants = self.lattice, self._constants(spins)
        cells = spins.reshape(-1, *lattice.shape, lattice.n_basis, 3)
        fields = []
        for b in range(lattice.n_basis):
            total = torch.zeros_like(cells[..., b, :]) + constants["B"]
            for bond, D in zip(self._bonds, constants["D"], strict=True):
                if bond.source != b:
                    continue
                view = cells[..., bond.target, :]
                for a in range(lattice.dim):
                    view = shifted(view, a + 1, int(bond.cell[a]), lattice.periodic[a])
                if bond.exchange:
                    total = torch.sub(total, view, alpha=bond.exchange)
                if bond.dm.any():
                    total = total - torch.linalg.cross(view, D.expand_as(view))
            fields.append(total)
        field = torch.stack(fields, dim=-2).reshape(spins.shape)
        if self.easy_axis:
            axis = constants["n"]
            field = field + (2 * self.easy_axis * (spins * axis).sum(-1, keepdim=True)) * axis
        return -0.5 * (spins * (field + constants["B"])).sum((-2, -1)), field

    @cached_property
    def _known(self) -> dict[tuple[torch.dtype, torch.device], dict[str, torch.Tensor]]:
        return {}

    def _constants(self, spins: torch.Tensor) -> dict[str, torch.Tensor]:
        """B, n and the D of all bonds, sent to a device once."""
        key = (spins.dtype, spins.device)
        if key not in self._known:
            D = np.array([bond.dm for bond in self._bonds]).reshape(-1, 3)
            n = np.asarray(self.axis) / np.linalg.norm(self.axis)
            values = {"B": np.asarray(self.zeeman), "n": n, "D": D}
            self._known[key] = {name: torch.from_numpy(value).to(spins) for name, value in values.items()}
        return self._known[key]


def shifted(x: torch.Tensor, axis: int, by: int, periodic: bool) -> torch.Tensor:
    """``y[i] = x[i + by]`` along an axis; beyond an open end there are zeros."""
    if by == 0:
        return x
    if periodic:
        return x.roll(-by, axis)
    n = x.shape[axis]
    width = min(abs(by), n)
    rest = x.narrow(axis, max(by, 0), n - width) if width < n else x.narrow(axis, 0, 0)
    nothing = torch.zeros_like(x.narrow(axis, 0, width))
    return torch.cat([rest, nothing] if by > 0 else [nothing, rest], dim=axis)
