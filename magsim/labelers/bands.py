"""Bloch bands of periodic textures: the smallest cell that repeats, H(k), and the gap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import PAULI, Electrons, ProjectedDoubleExchange, SDHamiltonian
from magsim.lattice import Lattice
from magsim.lattice.brillouin import reciprocal_vectors

SAME = 1e-8  # spins that differ by less are equal
DEGENERATE = 1e-6


@dataclass(frozen=True, eq=False)
class MagneticCell:
    """The smallest cell of a texture, and the bonds that leave its sites.

    Attributes:
        vectors: ``(d, d)`` primitive vectors of the texture as rows.
        spins: ``(n, 3)`` of the sites in the cell.
        site, to: ``(M,)`` ends of the bonds as sites of the cell; ``to`` may lie in another cell.
        displacement: ``(M, d)`` from the one to the other.
        amplitude: ``(M,)`` elements ``-t`` of H.
    """

    vectors: np.ndarray
    spins: np.ndarray
    site: np.ndarray
    to: np.ndarray
    displacement: np.ndarray
    amplitude: np.ndarray

    @property
    def n_sites(self) -> int:
        return len(self.spins)


@dataclass(frozen=True)
class Gap:
    """Where the levels below mu end and those above begin, over all wavevectors.

    Attributes:
        below, above: edges; ``below > above`` where the bands overlap (a metal).
        filled: bands below mu; None where their number changes with the wavevector (a metal).
    """

    below: float
    above: float
    filled: int | None

    @property
    def width(self) -> float:
        """``above - below``, 0 in a metal."""
        return max(self.above - self.below, 0.0) if self.filled is not None else 0.0


def magnetic_cell(hamiltonian: Electrons, spins: np.ndarray) -> MagneticCell:
    """The cell of a texture ``(N, 3)`` that repeats on the lattice of the Hamiltonian.

    A translation belongs to the texture if it carries every spin onto an equal one; the shortest independent
    ones span the cell (in up to three dimensions they generate all others).

    Raises:
        ConfigError: an open boundary, where there are no bands.
    """
    lattice = hamiltonian.lattice
    if not all(lattice.periodic):
        raise ConfigError("lattice.boundary", list(lattice.boundary), "bands need periodic boundaries.")
    moves = _translations(lattice, np.asarray(spins))
    vectors = _shortest(lattice, moves)
    kept, label = _orbits(lattice, moves)
    parts = []
    shells = lattice.shells(len(hamiltonian.hopping))
    for t, shell in zip(hamiltonian.hopping, shells, strict=True):
        if t != 0.0:
            mine = np.isin(shell.i, kept)
            count = int(mine.sum())
            parts.append((label[shell.i[mine]], label[shell.j[mine]], shell.displacement[mine], [-t] * count))
    site, to, displacement, amplitude = (np.concatenate(column) for column in zip(*parts, strict=True))
    return MagneticCell(vectors, np.asarray(spins)[kept], site, to, displacement, amplitude)


def _translations(lattice: Lattice, spins: np.ndarray) -> np.ndarray:
    """``(T, d)`` cell translations of the finite lattice that carry every spin onto an equal one."""
    grid = spins.reshape(*lattice.shape, lattice.n_basis, 3)
    axes = tuple(range(lattice.dim))
    found = [cell for cell in lattice.cells if np.abs(np.roll(grid, tuple(-cell), axes) - grid).max() < SAME]
    return np.array(found)


def _shortest(lattice: Lattice, moves: np.ndarray) -> np.ndarray:
    """Rows: the shortest ``d`` independent vectors of the lattice of translations."""
    dim = lattice.dim
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    cells = (moves[:, None] + shifts * np.array(lattice.shape)).reshape(-1, dim)
    vectors = cells @ lattice.vectors
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.lexsort((*vectors.T.round(9), lengths.round(9)))
    vectors = vectors[order[lengths[order] > 1e-9]]
    volume = abs(np.linalg.det(lattice.vectors)) * lattice.n_cells / len(moves)
    few = vectors[: 12 * dim]  # the shortest ones with their negatives are among these, unless very oblique
    for pool in (few, vectors):
        for rows in combinations(range(len(pool)), dim):
            if abs(np.linalg.det(pool[list(rows)]) - volume) < 1e-6 * volume:
                return pool[list(rows)]
    raise AssertionError("the periods of the lattice are translations of every texture")


def _orbits(lattice: Lattice, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One site of every class of equivalent ones ``(n,)``, and the class of every site ``(N,)``."""
    lowest = np.full(lattice.n_sites, lattice.n_sites)
    for move in moves:
        image = lattice.site_index(
            np.repeat(lattice.cells, lattice.n_basis, axis=0) + move, lattice.sublattice
        )
        lowest = np.minimum(lowest, image)
    return np.unique(lowest, return_inverse=True)


def bloch(hamiltonian: Electrons, cell: MagneticCell, k: np.ndarray) -> np.ndarray:
    """``(K, n, n)`` Bloch matrices of wavevectors ``k (K, d)``,

        H_ab(k) = sum_bonds -t <chi_a|chi_b> exp(i k.(r_b - r_a)) - J S_a . sigma delta_ab ,

    where the first factor is the identity of spin space in the s-d model. The phase belongs to positions of
    sites, not of cells: eigenvectors are the periodic part of the Bloch waves.

    Raises:
        ConfigError: a Hamiltonian of another kind.
    """
    n = cell.n_sites
    phases = cell.amplitude * np.exp(1j * np.asarray(k) @ cell.displacement.T)
    if isinstance(hamiltonian, ProjectedDoubleExchange):
        chi = ProjectedDoubleExchange.spinors(cell.spins)
        phases = phases * (chi[cell.site].conj() * chi[cell.to]).sum(-1)
    hopping = np.zeros((n, n, len(phases)), dtype=np.complex128)
    np.add.at(hopping, (cell.site, cell.to), phases.T)
    hopping = np.moveaxis(hopping, -1, 0)
    if isinstance(hamiltonian, ProjectedDoubleExchange):
        return hopping
    if not isinstance(hamiltonian, SDHamiltonian):
        raise ConfigError("hamiltonian.name", type(hamiltonian).__name__, "its bands are not known.")
    matrix = np.einsum("kij,ab->kiajb", hopping, np.eye(2))
    site = np.arange(n)
    matrix[:, site, :, site, :] -= hamiltonian.J * np.einsum("nc,cab->nab", cell.spins, PAULI)[:, None]
    return matrix.reshape(len(phases), 2 * n, 2 * n)


def mesh(cell: MagneticCell, n: int) -> np.ndarray:
    """``(n^d, d)`` equally spaced wavevectors of the magnetic zone, k = 0 among them."""
    dim = len(cell.vectors)
    steps = np.indices((n,) * dim).reshape(dim, -1).T / n
    return steps @ reciprocal_vectors(cell.vectors)


def band_levels(hamiltonian: Electrons, cell: MagneticCell, k: np.ndarray, chunk: int = 4096) -> np.ndarray:
    """``(K, n)`` levels at wavevectors ``(K, d)``, ascending."""
    parts = [bloch(hamiltonian, cell, k[first : first + chunk]) for first in range(0, len(k), chunk)]
    return np.concatenate([np.linalg.eigvalsh(part) for part in parts])


def aligned_bands(hamiltonian: Electrons, cell: MagneticCell, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels ``(K, n)`` and how far their spin follows the moments, ``sum_i <S_i . sigma_i>`` ``(K, n)``.

    The latter is 1 for electrons that are parallel to every moment they meet, -1 antiparallel; within a
    degenerate level, its mean. In the projected model it is 1.
    """
    levels, vectors = np.linalg.eigh(bloch(hamiltonian, cell, k))
    if isinstance(hamiltonian, ProjectedDoubleExchange):
        return levels, np.ones_like(levels)
    waves = vectors.reshape(len(k), cell.n_sites, 2, -1)
    moments = np.einsum("ic,cab->iab", cell.spins, PAULI)
    along = np.einsum("kian,iab,kibn->kn", waves.conj(), moments, waves, optimize=True).real
    first = np.diff(levels, axis=1, prepend=-np.inf) > DEGENERATE
    group = np.cumsum(first, axis=1) - 1 + np.arange(len(k))[:, None] * levels.shape[1]
    count = np.bincount(group.ravel(), minlength=levels.size)
    mean = np.bincount(group.ravel(), along.ravel(), minlength=levels.size) / np.maximum(count, 1)
    return levels, mean[group]


def gap_at(levels: np.ndarray, mu: float) -> Gap:
    """The gap around mu in levels ``(K, n)`` of a mesh of wavevectors."""
    filled = (levels < mu).sum(axis=1)
    lowest, highest = int(filled.min()), int(filled.max())
    flat = levels.ravel()
    if lowest != highest or lowest in (0, levels.shape[1]):
        below = float(flat[flat < mu].max(initial=-np.inf))
        above = float(flat[flat >= mu].min(initial=np.inf))
        return Gap(below, above, None)
    return Gap(float(levels[:, lowest - 1].max()), float(levels[:, lowest].min()), lowest)
