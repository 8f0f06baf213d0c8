"""Lattice, Hamiltonians, samplers."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import existing, finite, not_negative, one_of, positive, require, value_of
from magsim.errors import ConfigError

INTEGRATORS = ("heun", "rk4", "sib", "depondt", "midpoint", "suzuki_trotter")
PAIRWISE = "suzuki_trotter"  # which takes classical pair terms alone
DM_KINDS = ("bloch", "neel", "z")
SAMPLING_TASKS = ("pipeline", "label", "train", "benchmark")


def check_physics(cfg: DictConfig) -> None:
    """Everything that says what is simulated."""
    _lattice(cfg)
    _hamiltonian(cfg)
    _classical(cfg)
    _sampler(cfg)


def _lattice(cfg: DictConfig) -> None:
    from magsim.lattice import UNIT_CELLS, make_lattice

    one_of(cfg, "lattice.name", list(UNIT_CELLS))
    make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))


def check_shape(cfg: DictConfig, key: str) -> None:
    """A lattice shape elsewhere in the configuration fits ``lattice.name``."""
    dim = len(cfg.lattice.shape)
    shape = value_of(cfg, key)
    require(
        cfg,
        key,
        len(shape) == dim and all(n >= 1 for n in shape),
        f"{cfg.lattice.name} needs {dim} positive whole number{'s' if dim > 1 else ''}.",
    )


def _hamiltonian(cfg: DictConfig) -> None:
    node = cfg.hamiltonian
    if node.name == "none":
        _no_electrons(cfg)
        return
    require(cfg, "hamiltonian.t", len(node.t) >= 1, "needs at least one hopping, nearest neighbours first.")
    finite(cfg, "hamiltonian.t")
    require(
        cfg,
        "hamiltonian.t",
        any(t != 0 for t in node.t),
        "at least one hopping must not be zero: without any, the energy does not depend on the spins.",
    )
    not_negative(cfg, "hamiltonian.T")
    if node.mu is not None and node.filling is not None:
        raise ConfigError(
            "hamiltonian.filling",
            node.filling,
            f"exactly one of mu and filling is a number; add hamiltonian.mu=null (it is {node.mu:g}) "
            "or hamiltonian.filling=null.",
        )
    if node.mu is None and node.filling is None:
        raise ConfigError("hamiltonian.mu", "null", "exactly one of mu and filling must be a number.")
    if node.mu is not None:
        finite(cfg, "hamiltonian.mu")
    else:
        require(
            cfg,
            "hamiltonian.filling",
            0 < node.filling < 1,
            "must be between 0 and 1: electrons over the number of states.",
        )
    if "J" in node:
        finite(cfg, "hamiltonian.J")
        require(cfg, "hamiltonian.J", node.J != 0, "must not be zero: nothing would couple to the spins.")
    if node.name == "driven":
        _driven(cfg)


def _driven(cfg: DictConfig) -> None:
    """A strip between leads; what it needs of lattice and leads is said by the Hamiltonian itself."""
    from magsim.hamiltonian import DrivenStrip
    from magsim.lattice import make_lattice

    for key in ("voltage", "gamma", "gamma_bath", "mu_L", "mu_R", "cut", "lead_moment_L", "lead_moment_R"):
        if cfg.hamiltonian[key] is not None:
            finite(cfg, f"hamiltonian.{key}")
    lattice = make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))
    node = {key: value_of(cfg, f"hamiltonian.{key}") for key in cfg.hamiltonian if key not in ("name", "t")}
    DrivenStrip(lattice=lattice, hopping=tuple(cfg.hamiltonian.t), **node)


def _no_electrons(cfg: DictConfig) -> None:
    """Classical spins alone can be simulated; there is nothing to label or to learn."""
    require(
        cfg,
        "hamiltonian.name",
        cfg.task.name == "simulate" and cfg.checkpoint is None,
        "no electrons is for task=simulate without a checkpoint.",
    )
    for key in ("t", "mu", "filling", "T"):
        value = cfg.hamiltonian[key]
        require(cfg, f"hamiltonian.{key}", not value, "hamiltonian=none has no electrons.")
    node = cfg.classical
    terms = any((any(node.heisenberg), node.dm, node.easy_axis, any(node.zeeman)))
    require(cfg, "classical.name", terms, "hamiltonian=none needs a classical term: classical=heisenberg.")


def _classical(cfg: DictConfig) -> None:
    node = cfg.classical
    for key in ("heisenberg", "dm", "easy_axis", "axis", "zeeman"):
        finite(cfg, f"classical.{key}")
    one_of(cfg, "classical.dm_kind", DM_KINDS)
    for key in ("axis", "zeeman"):
        require(cfg, f"classical.{key}", len(node[key]) == 3, "must be three numbers.")
    require(cfg, "classical.axis", any(x != 0 for x in node.axis), "must have a direction.")
    if node.dm != 0 and node.dm_kind == "z":
        require(
            cfg, "classical.dm_kind", cfg.lattice.name == "chain", "z is for the chain; use bloch or neel."
        )


def _sampler(cfg: DictConfig) -> None:
    parts = {key: cfg.sampler[key] for key in cfg.sampler if isinstance(cfg.sampler[key], DictConfig)}
    for prefix in ["sampler", *(f"sampler.{part}" for part in parts)]:
        _part(cfg, prefix)
    if "path" in cfg.sampler and cfg.task.name in SAMPLING_TASKS and cfg.data.path is None:
        require(
            cfg,
            "sampler.path",
            cfg.sampler.path is not None,
            "sampler=file needs a file with spins (n, N, 3).",
        )
        existing(cfg, "sampler.path", ("npz", "zarr"))


def _part(cfg: DictConfig, prefix: str) -> None:
    """The keys that samplers share, wherever they appear."""
    from omegaconf import OmegaConf

    node = OmegaConf.select(cfg, prefix)
    for key in ("count", "trajectories", "steps", "record_every"):
        if key in node:
            require(cfg, f"{prefix}.{key}", node[key] >= 1, "must be at least 1.")
    if "record_every" in node and "steps" in node:
        require(
            cfg,
            f"{prefix}.record_every",
            node.record_every <= node.steps,
            f"at most {prefix}.steps={node.steps}.",
        )
    if "dt" in node:
        positive(cfg, f"{prefix}.dt", null="suggested from the torque")
    if "alpha" in node:
        positive(cfg, f"{prefix}.alpha")
    if "integrator" in node:
        one_of(cfg, f"{prefix}.integrator", [name for name in INTEGRATORS if name != PAIRWISE])
        require(cfg, f"{prefix}.sense", node.sense in (1, -1), "must be 1 or -1.")
    if "burn_in" in node:
        not_negative(cfg, f"{prefix}.burn_in")
    if "limit" in node:
        positive(cfg, f"{prefix}.limit", null="all of them")
    if "temperatures" in node:
        require(
            cfg,
            f"{prefix}.temperatures",
            len(node.temperatures) > 0 and all(T > 0 for T in node.temperatures),
            "must be a list of positive temperatures.",
        )
