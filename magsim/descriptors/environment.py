"""The neighbourhood of a site: its spins, bonds and chiralities, and how the site group permutes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from magsim.errors import ConfigError
from magsim.lattice import Lattice, crystal_operations, site_symmetries

POINT_GROUPS = ("lattice", "mirror_y")


@dataclass(frozen=True, eq=False)
class Environment:
    """Spins within a cutoff of a site of one crystal, the centre first.

    Attributes:
        points: ``(M, d)`` positions relative to the centre (sublattice 0), by distance.
        group: ``(|G|, d, d)`` site point group.
        bonds: ``(n_b, 2)`` pairs of points closer than the bond cutoff.
        triangles: ``(n_c, 3)`` triples with three nearest bonds, for chiralities ``S_p . (S_q x S_r)``.
    """

    points: np.ndarray
    group: np.ndarray
    bonds: np.ndarray
    triangles: np.ndarray

    @property
    def radius(self) -> float:
        """Distance of the farthest point."""
        return float(np.linalg.norm(self.points, axis=1).max())

    @cached_property
    def permutations(self) -> np.ndarray:
        """``(|G|, M)``: operation g carries point p to ``permutations[g, p]``."""
        images = np.einsum("gij,pj->gpi", self.group, self.points)
        return np.linalg.norm(images[:, :, None] - self.points[None, None], axis=-1).argmin(axis=-1)

    def representation(self, tuples: np.ndarray, odd: bool) -> np.ndarray:
        """``(|G|, m, m)`` signed permutation matrices of the group on tuples of points.

        Args:
            odd: an odd permutation of the members flips the sign (chiralities), else it does not (bonds).
        """
        index = {tuple(sorted(t)): k for k, t in enumerate(tuples.tolist())}
        result = np.zeros((len(self.group), len(tuples), len(tuples)))
        for g, permutation in enumerate(self.permutations):
            for k, members in enumerate(tuples):
                image = permutation[members]
                target = index[tuple(sorted(image.tolist()))]
                sign = _parity(image, tuples[target]) if odd else 1
                result[g, target, k] = sign
        return result

    def places(self, other: Environment) -> tuple[np.ndarray, np.ndarray]:
        """Where the elements of another environment, bonds and then triangles, are among these ``(m,)``, and
        their signs: the order of its members decides that of a chirality.

        Raises:
            ValueError: one of them is not there.
        """
        distance = np.linalg.norm(other.points[:, None] - self.points[None], axis=-1)
        if distance.min(axis=1).max() > 1e-6:
            raise ValueError("it sees points beyond the cutoff")
        point, result, signs, start = distance.argmin(axis=1), [], [], 0
        for tuples, theirs in ((self.bonds, other.bonds), (self.triangles, other.triangles)):
            index = {tuple(sorted(t)): k for k, t in enumerate(tuples.tolist())}
            for members in point[theirs]:
                k = index.get(tuple(sorted(members.tolist())))
                if k is None:
                    raise ValueError("it has bonds or chiralities beyond the cutoffs")
                result.append(start + k)
                signs.append(_parity(members, tuples[k]) if len(members) == 3 else 1)
            start += len(tuples)
        return np.array(result), np.array(signs)

    def orbits(self, tuples: np.ndarray) -> list[np.ndarray]:
        """Indices of tuples that the group carries into each other, one array per orbit."""
        linked = np.abs(self.representation(tuples, odd=False)).sum(axis=0) > 0
        left, result = set(range(len(tuples))), []
        while left:
            members = np.flatnonzero(linked[min(left)])
            result.append(members)
            left -= set(members.tolist())
        return result


def _parity(image: np.ndarray, target: np.ndarray) -> int:
    """+1 or -1: sign of the permutation that brings one ordered triple to another."""
    order = [image.tolist().index(member) for member in target.tolist()]
    inversions = sum(order[a] > order[b] for a, b in combinations(range(len(order)), 2))
    return 1 - 2 * (inversions % 2)


def make_environment(
    lattice: Lattice,
    cutoff: float,
    bond_cutoff: float,
    chirality_cutoff: float = 0.0,
    point_group: str = "lattice",
) -> Environment:
    """Environment of a crystal.

    Args:
        cutoff: radius of the neighbourhood.
        bond_cutoff: largest distance of two of its spins that count as a bond.
        chirality_cutoff: largest side of the triangles whose chirality is used (0: none).
        point_group: one of ``POINT_GROUPS``.

    Raises:
        ConfigError: an unknown group, or one that the sites of a cell do not share.
    """
    _, _, displacement = lattice.offsets_within(cutoff, 0)
    points = np.concatenate([np.zeros((1, lattice.dim)), displacement])
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    near = distance < bond_cutoff + 1e-6
    bonds = np.array([(p, q) for p, q in combinations(range(len(points)), 2) if near[p, q]], dtype=np.int64)
    close = distance < chirality_cutoff + 1e-6
    triangles = [
        (p, q, r)
        for p, q, r in combinations(range(len(points)), 3)
        if close[p, q] and close[q, r] and close[p, r]
    ]
    group = site_group(lattice, point_group)
    return Environment(points, group, bonds, np.array(triangles, dtype=np.int64).reshape(-1, 3))


def site_group(lattice: Lattice, point_group: str) -> np.ndarray:
    """``(|G|, d, d)`` operations about a site that are imposed on what is learned.

    ``lattice`` is the whole site group. ``mirror_y`` are its operations that keep the x axis: what a current
    along x leaves, on the square lattice the mirror y -> -y.

    Raises:
        ConfigError: an unknown name, or ``mirror_y`` on a crystal with several sites in a cell, whose
            environments are images of each other under operations that turn x.
    """
    if point_group not in POINT_GROUPS:
        raise ConfigError("descriptor.point_group", point_group, f"must be one of {', '.join(POINT_GROUPS)}.")
    group = np.array(site_symmetries(lattice, 0))
    if point_group == "lattice":
        return group
    if lattice.n_basis > 1:
        words = f"needs one site in a cell; lattice.name={lattice.name} has {lattice.n_basis}."
        raise ConfigError("descriptor.point_group", point_group, words)
    return group[group[:, 0, 0] > 1 - 1e-6]


def neighbour_table(lattice: Lattice, environment: Environment) -> np.ndarray:
    """``(N, M)`` sites of each site's environment, in equivalent order; N (a zero spin) beyond open edges.

    The environments of other sublattices are images of that of sublattice 0 under an operation of the
    crystal.

    Raises:
        ConfigError: the crystal's sites are not all equivalent, or the cutoff exceeds half a periodic side.
    """
    check_cutoff(lattice, environment.radius + 1e-9)
    table = np.full((lattice.n_sites, len(environment.points)), lattice.n_sites, dtype=np.int64)
    for b, (cell, sublattice) in enumerate(placements(lattice, environment)):
        sites = lattice.site_index(lattice.cells[:, None] + cell[None], sublattice[None])
        table[lattice.sublattice == b] = np.where(sites < 0, lattice.n_sites, sites)
    return table


def placements(lattice: Lattice, environment: Environment) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where the points of the environment lie around a site of each sublattice: cells ``(M, d)`` relative to
    its own, and sublattices ``(M,)``.

    Raises:
        ConfigError: the crystal's sites are not all equivalent.
    """
    carrier: dict[int, np.ndarray] = {}
    for op in crystal_operations(lattice):
        carrier.setdefault(int(op.basis_map[0]), op.matrix)
    inverse = np.linalg.inv(lattice.vectors)
    found = []
    for b in range(lattice.n_basis):
        if b not in carrier:
            raise ConfigError(
                "lattice.name", lattice.name, "the descriptor needs all sites equivalent by symmetry."
            )
        points = environment.points @ carrier[b].T + lattice.basis[b]
        fractional = (points[:, None] - lattice.basis[None]) @ inverse
        hit = np.abs(fractional - np.round(fractional)).max(axis=-1) < 1e-6
        sublattice = hit.argmax(axis=1)
        cell = np.round(fractional[np.arange(len(points)), sublattice]).astype(np.int64)
        found.append((cell, sublattice))
    return found


def check_cutoff(lattice: Lattice, cutoff: float) -> None:
    """Raise ConfigError where a neighbourhood of this radius meets its own image or holds no neighbour."""
    nearest = lattice.shells(1)[0].distance
    if cutoff < nearest - 1e-9:
        allowed = f"at least the nearest-neighbour distance, {nearest:g}."
        raise ConfigError("descriptor.cutoff", round(cutoff, 6), allowed)
    # distance between opposite faces of the periodic cell
    faces = 2 * np.pi * np.array(lattice.shape) / np.linalg.norm(lattice.reciprocal, axis=1)
    half = min(
        (f / 2 for f, periodic in zip(faces, lattice.periodic, strict=True) if periodic), default=np.inf
    )
    # the farthest neighbour counts, not the number that was given
    _, _, displacement = lattice.offsets_within(min(cutoff, half + nearest), 0)
    farthest = np.linalg.norm(displacement, axis=1).max()
    if farthest > half + 1e-9:
        allowed = (
            f"at most half the shortest periodic side of lattice.shape={list(lattice.shape)}, {half:.4g}."
        )
        raise ConfigError("descriptor.cutoff", round(cutoff, 6), allowed)
