"""Lattices that are too small for their bonds, or too large for the machine."""

from __future__ import annotations

import math

from omegaconf import DictConfig

from magsim.arrays import cores, physical_memory
from magsim.config.checks.require import require, value_of
from magsim.config.checks.stages import driver_sees_a_gpu, lattice_keys
from magsim.lattice import Lattice, make_lattice

MATRICES = 6  # complex matrices that one exact solution holds at a time: H, eigenvectors, LAPACK's workspace
NESTED = 45  # numbers per state and doubling of the states that a nested dissection holds
KPM_VECTORS = 24  # of those at work at a time
SPIN_COPIES = 8  # arrays of the size of the spins that a step of the dynamics holds
GIB = 2.0**30


def check_size(cfg: DictConfig) -> None:
    """Bonds fit into the periodic box, matrices and spins into memory."""
    _memory(cfg)
    _images(cfg)


def lattice_at(cfg: DictConfig, key: str) -> Lattice:
    """The lattice of the configuration with the shape that stands at ``key``."""
    return make_lattice(cfg.lattice.name, value_of(cfg, key), list(cfg.lattice.boundary))


def shortest_periodic_side(lattice: Lattice) -> float:
    """Smallest distance between opposite periodic faces, infinite without any."""
    import numpy as np

    faces = 2 * math.pi * np.array(lattice.shape) / np.linalg.norm(lattice.reciprocal, axis=1)
    sides = (face for face, periodic in zip(faces, lattice.periodic, strict=True) if periodic)
    return float(min(sides, default=math.inf))


def _memory(cfg: DictConfig) -> None:
    available = physical_memory()
    machine = f"this machine has {available / GIB:.3g} GiB"
    per_site = 1 if cfg.hamiltonian.name == "double_exchange_projected" else 2
    for key, labeler in _labelled(cfg):
        sites = _sites(cfg, key)
        needed, formula = _of_a_label(cfg, labeler, per_site * sites)
        require(
            cfg,
            key,
            needed <= available,
            f"exact labels of {_count(sites)} sites need about {needed / GIB:.3g} GiB ({formula}) and "
            f"{machine}; a learned field (checkpoint=...) runs on larger lattices.",
        )
    for key in _dynamics_keys(cfg):
        sites = _sites(cfg, key)
        needed = SPIN_COPIES * 24.0 * sites * cfg.protocol.replicas
        text = f"{cfg.protocol.replicas} times {_count(sites)} spins need about {needed / GIB:.3g} GiB"
        require(cfg, key, needed <= available, f"{text} and {machine}.")


def _labelled(cfg: DictConfig) -> list[tuple[str, str]]:
    """Keys of the lattices that are solved, each with the name of the labeler that does it."""
    keys = [(key, str(cfg.labeler.name)) for key in lattice_keys(cfg)]
    if cfg.task.name != "benchmark":
        return keys
    keys = [(key, name) for key, name in keys if _sites(cfg, key) <= cfg.task.exact_max_sites]
    if "labelers" in cfg.task.parts:
        keys += [(f"task.label_shapes[{i}]", "greens") for i in range(len(cfg.task.label_shapes))]
    return keys


def _of_a_label(cfg: DictConfig, labeler: str, states: int) -> tuple[float, str]:
    """Bytes of one exact solution, and how they come about."""
    # on a GPU the solutions lie in its memory, and here what they are made from
    on_gpu = cfg.compute.device == "cuda" or (cfg.compute.device == "auto" and driver_sees_a_gpu())
    matrices = 1 if on_gpu else MATRICES
    dense = 16.0 * matrices * states**2, f"{matrices} x 16 bytes x {_count(states)} states squared"
    if labeler == "ed" or (cfg.task.name == "spectrum" and labeler != "greens"):
        return dense
    if labeler == "kpm":
        return 16.0 * KPM_VECTORS * states, f"{KPM_VECTORS} vectors of {_count(states)} states"
    in_plane = 16.0 * cores() * NESTED * states * math.log2(states + 2)
    # in a box the last wall is a plane of states^(2/3)
    solid = 16.0 * cores() * 8 * states ** (4 / 3) if len(cfg.lattice.shape) > 2 else 0.0
    needed = max(in_plane, solid)
    if labeler == "auto" and dense[0] < needed:
        return dense
    return needed, f"nested dissection of {_count(states)} states on {cores()} threads"


def _sites(cfg: DictConfig, key: str) -> int:
    return (
        math.prod(value_of(cfg, key)) * make_lattice(cfg.lattice.name, [1] * len(cfg.lattice.shape)).n_basis
    )


def _count(n: int) -> str:
    return str(n) if n < 10**7 else f"{n:.3g}"


def _dynamics_keys(cfg: DictConfig) -> list[str]:
    if cfg.task.name in ("simulate", "agreement"):
        return ["lattice.shape"]
    return ["task.large_shape"] if cfg.task.name == "pipeline" and cfg.task.large_shape is not None else []


def _images(cfg: DictConfig) -> None:
    """No bond may lead from a site to itself. Two bonds to one neighbour add up: a cell with its images."""
    hopping = _shells(cfg.hamiltonian.t)
    for key in lattice_keys(cfg):
        _no_self_bonds(cfg, key, hopping, f"hamiltonian.t={value_of(cfg, 'hamiltonian.t')}")
    exchange = _shells(cfg.classical.heisenberg)
    for key in dict.fromkeys([*_dynamics_keys(cfg), *lattice_keys(cfg)]):
        _no_self_bonds(cfg, key, exchange, f"classical.heisenberg={value_of(cfg, 'classical.heisenberg')}")
        _no_self_bonds(cfg, key, int(cfg.classical.dm != 0), f"classical.dm={cfg.classical.dm:g}")


def _shells(amplitudes: list[float]) -> int:
    """Number of the outermost shell whose amplitude is not zero."""
    return max((k for k, value in enumerate(amplitudes, start=1) if value != 0), default=0)


def _no_self_bonds(cfg: DictConfig, key: str, shells: int, what: str) -> None:
    if shells == 0:
        return
    lattice = lattice_at(cfg, key)
    reach = lattice.with_shape([1] * lattice.dim).shells(shells)[-1].distance
    require(
        cfg,
        key,
        not _returns(lattice, reach),
        f"{what} has bonds of length {reach:.4g}, which across the periodic boundary lead back to their own "
        f"site; periodic sides longer than {reach:.4g} are enough (the shortest is "
        f"{shortest_periodic_side(lattice):.4g}), or lattice.boundary=open along the short ones.",
    )


def _returns(lattice: Lattice, reach: float) -> bool:
    """Whether a bond up to a length joins a site with its own image."""
    for b in range(lattice.n_basis):
        offsets, sublattices, _ = lattice.offsets_within(reach, b)
        for offset, sublattice in zip(offsets.tolist(), sublattices.tolist(), strict=True):
            steps = zip(offset, lattice.shape, lattice.periodic, strict=True)
            if sublattice == b and all(
                step % n == 0 if periodic else step == 0 for step, n, periodic in steps
            ):
                return True
    return False
