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

LONG = 1024  # sites from which one sparse product per spin component costs less than reordering the spins


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
        if isinstance(spins, torch.Tensor):
            if spins.device.type == "cpu":
                energy, field = self._evaluate(spins.detach().numpy())
                return torch.from_numpy(np.asarray(energy)), torch.from_numpy(field)
            return self._evaluate(spins.detach())
        return self._evaluate(np.asarray(spins))

    def energy(self, spins: Any) -> Any:
        """Energy ``(...)`` alone."""
        return self.energy_and_field(spins)[0]

    def field(self, spins: Any) -> Any:
        """Field ``(..., N, 3)`` alone."""
        return self.energy_and_field(spins)[1]

    def _evaluate(self, spins: Any) -> tuple[Any, Any]:
        field = self._pair_field(spins)
        energy = -0.5 * (spins * field).sum((-2, -1))
        if self.easy_axis:
            n = self._like(np.asarray(self.axis) / np.linalg.norm(self.axis), spins)
            along = spins @ n
            energy = energy - self.easy_axis * (along**2).sum(-1)
            field = field + 2 * self.easy_axis * along[..., None] * n
        if any(self.zeeman):
            B = self._like(np.asarray(self.zeeman), spins)
            energy = energy - (spins @ B).sum(-1)
            field = field + B
        return energy, field

    def _pair_field(self, spins: Any) -> Any:
        """``-C.S`` by one sparse product for all replicas."""
        if self.coupling.nnz == 0:
            return 0.0 * spins
        n, rows = self.n_sites, self.coupling.shape[0]
        flat = spins.reshape(-1, n, 3)
        if rows == n >= LONG and isinstance(flat, np.ndarray) and flat.strides[1] == flat.itemsize:
            return self._by_component(flat).reshape(spins.shape)
        if len(flat) == 1:
            columns = flat.reshape(rows, -1)
            return -self._product(columns).reshape(spins.shape)
        if rows == n:  # (replicas, N, 3) -> (N, replicas * 3)
            product = self._product(flat.swapaxes(0, 1).reshape(n, -1))
            product = product.reshape(n, -1, 3).swapaxes(0, 1)
        else:
            product = self._product(flat.reshape(-1, rows).swapaxes(0, 1)).swapaxes(0, 1)
        return -product.reshape(spins.shape)

    def _by_component(self, flat: np.ndarray) -> np.ndarray:
        """The same for exchange alone on spins ``(R, N, 3)`` whose components are contiguous, without
        reordering them; the field has that order, too."""
        components = flat.swapaxes(1, 2).reshape(-1, self.n_sites)
        product = np.empty_like(components)
        for k, component in enumerate(components):
            product[k] = self.coupling @ component
        np.negative(product, out=product)
        return product.reshape(-1, 3, self.n_sites).swapaxes(1, 2)

    def _product(self, columns: Any) -> Any:
        if isinstance(columns, torch.Tensor):
            return self._torch_coupling(columns.dtype, columns.device) @ columns
        return (self.coupling @ columns).astype(columns.dtype, copy=False)

    @cached_property
    def _torch_matrices(self) -> dict[tuple[torch.dtype, torch.device], torch.Tensor]:
        return {}

    def _torch_coupling(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        key = (dtype, device)
        if key not in self._torch_matrices:
            C = self.coupling
            rows = torch.from_numpy(C.indptr.astype(np.int64))
            columns = torch.from_numpy(C.indices.astype(np.int64))
            values = torch.from_numpy(C.data).to(dtype)
            matrix = torch.sparse_csr_tensor(rows, columns, values, size=C.shape)
            self._torch_matrices[key] = matrix.to(device)
        return self._torch_matrices[key]

    @staticmethod
    def _like(vector: np.ndarray, spins: Any) -> Any:
        if isinstance(spins, torch.Tensor):
            return torch.from_numpy(vector).to(spins)
        return vector.astype(spins.dtype, copy=False)
