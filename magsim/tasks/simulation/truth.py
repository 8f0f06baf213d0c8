"""Exact torques of a state that a simulation has reached: of the whole lattice, or of random blocks of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from magsim.hamiltonian import Electrons
from magsim.labelers import LABELERS, KPMLabeler, Labeler
from magsim.labelers.blocks import Cut, block_torques
from magsim.lattice import Lattice
from magsim.spins import rng, transverse
from magsim.tasks.build import make_hamiltonian
from magsim.tasks.costs import load_costs

MU_COLUMNS = 16  # probe vectors for a chemical potential: an average over the whole lattice, hence accurate


@dataclass(frozen=True, eq=False)
class Truth:
    """Exact transverse fields of some sites.

    Attributes:
        replica, site: ``(n,)`` which they are.
        torque: ``(n, 3)``.
        error: largest error of a field component of the labels.
        cut_error: rms error per component by cutting blocks; 0 for a whole lattice.
        seconds: wall time.
    """

    replica: np.ndarray
    site: np.ndarray
    torque: np.ndarray
    error: float
    cut_error: float
    seconds: float


class Auditor:
    """Solves the electrons of a state exactly.

    Args:
        hamiltonian: node of the Hamiltonian that the model learned.
        lattice: of the simulation.
        node: ``cfg.audit`` as a dictionary.
        seed: of the places of the blocks.
        device: of the labeler.

    Attributes:
        cut: how blocks are cut; None: the lattice is solved as a whole.
    """

    def __init__(
        self,
        hamiltonian: Mapping[str, Any],
        lattice: Lattice,
        node: Mapping[str, Any],
        seed: int,
        device: str,
    ) -> None:
        self._whole = make_hamiltonian(hamiltonian, lattice)
        self._node, self._lattice, self._seed, self._device = hamiltonian, lattice, seed, device
        self._labeler_name, self._tolerance = str(node["labeler"]), float(node["tolerance"])
        self._blocks = int(node["blocks"])
        cut = Cut(lattice, int(node["side"]), float(node["margin"]))
        self.cut = None if lattice.n_sites <= int(node["max_sites"]) or cut.is_whole else cut
        self._labelers: dict[Any, Labeler] = {}

    def __str__(self) -> str:
        if self.cut is None:
            return f"all {self._lattice.n_sites} sites"
        size = " x ".join(map(str, self.cut.shape))
        return f"{self._blocks} random blocks of {size}, of each {int(self.cut.inner.sum())} inner sites"

    def truth(self, spins: np.ndarray, step: int) -> Truth:
        """Exact torques of spins ``(R, N, 3)``; the same step has the same blocks."""
        began = time.monotonic()
        if self.cut is None:
            labels = self._labeler(self._whole).label(spins)
            replica, site = np.divmod(np.arange(spins.shape[0] * spins.shape[1]), spins.shape[1])
            torque = transverse(np.asarray(labels.field), spins).reshape(-1, 3)
            error, cut_error = float(np.max(labels.error)), 0.0
        else:
            replica, site, torque, error, cut_error = self._in_blocks(self.cut, spins, step)
        return Truth(replica, site, torque, error, cut_error, time.monotonic() - began)

    def _in_blocks(self, cut: Cut, spins: np.ndarray, step: int) -> tuple[Any, Any, Any, float, float]:
        generator = rng(self._seed, "audit", step)
        replicas = generator.integers(len(spins), size=self._blocks)
        sites = np.stack([cut.place(generator) for _ in replicas])
        torques, errors, cut_errors = [], [], []
        for r in np.unique(replicas):  # each has its own chemical potential
            mine = replicas == r
            electrons = self._at_fixed_mu(spins[r])
            solve = partial(self._labeler, electrons)
            torque, cut_error, error = block_torques(cut, solve, spins[r][sites[mine]])
            torques.append(torque.reshape(-1, 3))
            errors.append(error)
            cut_errors.append(cut_error**2 * mine.sum())
        order = np.argsort(replicas, kind="stable")
        inner = sites[order][:, cut.inner]
        replica = np.repeat(replicas[order], inner.shape[1])
        cut_error = float(np.sqrt(np.sum(cut_errors) / len(replicas)))
        return replica, inner.reshape(-1), np.concatenate(torques), max(errors), cut_error

    def _at_fixed_mu(self, spins: np.ndarray) -> Electrons:
        """A block exchanges electrons with the rest: at given filling mu is that of the whole lattice."""
        if self._whole.filling is None:
            return self._whole
        self._labelers.clear()  # of another mu
        probed = KPMLabeler(self._whole, self._device, columns=MU_COLUMNS, repeats=2, seed=self._seed)
        mu = float(np.asarray(probed.label(spins[None]).mu)[0])
        return replace(self._whole, mu=mu, filling=None)

    def _labeler(self, electrons: Electrons, lattice: Lattice | None = None) -> Labeler:
        """The labeler of these electrons on a lattice; kept, since its preparation costs."""
        key = (electrons.mu, lattice and lattice.boundary)
        if key not in self._labelers:
            node: dict[str, Any] = {"device": self._device}
            if self._labeler_name != "ed":
                node["tolerance"] = self._tolerance
            if self._labeler_name == "auto":
                node["costs"] = load_costs(self._device)
            here = electrons if lattice is None else replace(electrons, lattice=lattice)
            self._labelers[key] = LABELERS[self._labeler_name](here, **node)
        return self._labelers[key]
