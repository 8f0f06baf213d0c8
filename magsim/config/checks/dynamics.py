"""Integrator, protocol and observables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from magsim.config.checks.physics import PAIRWISE
from magsim.config.checks.require import not_negative, one_of, positive, require, value_of
from magsim.config.conform import suggestion
from magsim.errors import ConfigError

if TYPE_CHECKING:
    from magsim.dynamics import Protocol

RELAXATIONS = ("llg", "cg", "lbfgs")


def check_dynamics(cfg: DictConfig) -> None:
    """Everything that says how the spins move and what is measured."""
    _integrator(cfg)
    _protocol(cfg)
    _observables(cfg)
    _audit(cfg)


def _integrator(cfg: DictConfig) -> None:
    node = cfg.integrator
    if node.name == PAIRWISE:
        require(
            cfg,
            "integrator.name",
            cfg.hamiltonian.name == "none" and cfg.classical.easy_axis == 0,
            "is for hamiltonian=none and classical.easy_axis=0: exchange, DM and Zeeman terms alone.",
        )
    positive(cfg, "integrator.dt", null="suggested from the torque")
    not_negative(cfg, "integrator.alpha", "integrator.T")
    positive(cfg, "integrator.tolerance", null="steps of dt")
    require(
        cfg, "integrator.tolerance", node.tolerance is None or node.T == 0, "adaptive steps are for T = 0."
    )
    require(cfg, "integrator.sense", node.sense in (1, -1), "must be 1 or -1.")
    require(
        cfg,
        "integrator.T",
        node.T == 0 or node.alpha > 0,
        "a bath needs damping: integrator.alpha above zero.",
    )


def _protocol(cfg: DictConfig) -> None:
    from magsim.spins import TEXTURES, WALLS

    node = cfg.protocol
    if node.name != "field_sweep" or node.steps is not None:
        positive(cfg, "protocol.steps")
    positive(cfg, "protocol.record_every", "protocol.replicas")
    require(
        cfg,
        "protocol.record_every",
        node.steps is None or node.record_every <= node.steps,
        f"at most protocol.steps={node.steps}.",
    )
    one_of(cfg, "protocol.initial", ("random", *TEXTURES, *WALLS))
    if node.name in ("relax", "anneal"):
        require(
            cfg, "integrator.T", cfg.integrator.T == 0, f"protocol={node.name} sets the temperature; use 0."
        )
        damped = cfg.integrator.alpha > 0 or node.get("method", "llg") != "llg"
        require(cfg, "integrator.alpha", damped, f"protocol={node.name} needs damping.")
    if node.name == "relax":
        not_negative(cfg, "protocol.tolerance")
        one_of(cfg, "protocol.method", RELAXATIONS)
    if node.name == "anneal":
        one_of(cfg, "protocol.schedule", ("linear", "exponential"))
        check_end = positive if node.schedule == "exponential" else not_negative
        check_end(cfg, "protocol.T_start", "protocol.T_end")
    if node.name in ("field_sweep", "schedule", "drive"):
        _external(cfg)
    if node.name == "drive" and cfg.task.name in ("simulate", "agreement"):
        driven = cfg.hamiltonian.name == "driven"
        require(cfg, "hamiltonian.name", driven, "protocol=drive is for hamiltonian=driven.")
    if cfg.task.name in ("simulate", "agreement") and node.initial != "random":
        _start(cfg)


def _external(cfg: DictConfig) -> None:
    """Tables and loops, which the protocols check themselves."""
    from magsim.dynamics import make_integrator

    require(
        cfg,
        "protocol.name",
        cfg.task.name != "active",
        "task=active learns from runs without an external field or bias: quench, relax or anneal.",
    )
    _the_protocol(cfg).check(make_integrator(**_plain(cfg, "integrator")))


def _start(cfg: DictConfig) -> None:
    """The texture to begin with fits the lattice."""
    from magsim.lattice import make_lattice

    lattice = make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))
    _the_protocol(cfg).start(lattice, int(cfg.seed), 0)


def _the_protocol(cfg: DictConfig) -> Protocol:
    from magsim.dynamics import make_protocol

    return make_protocol(**_plain(cfg, "protocol"))


def _plain(cfg: DictConfig, group: str) -> dict[str, Any]:
    return {str(key): value_of(cfg, f"{group}.{key}") for key in cfg[group]}


FIGURES = (
    "hysteresis",
    "series",
    "growth",
    "collapse",
    "binder",
    "aging",
    "excitations",
    "wall_motion",
    "transport",
    "space_time",
    "strips",
    "chirality",
    "charge",
    "spins",
    "density",
    "structure_factor",
    "walls",
)


def _observables(cfg: DictConfig) -> None:
    positive(cfg, "observables.every")
    not_negative(cfg, "observables.transport")
    _samples(cfg)
    _figures(cfg)
    if cfg.observables.names is None or cfg.task.name == "analyze":  # on the lattice of the trajectory
        return
    from magsim.lattice import make_lattice
    from magsim.observables import OBSERVABLES, select

    known = list(OBSERVABLES)
    for name in cfg.observables.names:
        if name not in known and name != "all":
            raise ConfigError(
                "observables.names",
                name,
                f"known observables are {', '.join(known)}.{suggestion(name, known)}",
            )
    lattice = make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))
    select(list(cfg.observables.names), lattice)


def _samples(cfg: DictConfig) -> None:
    positive(cfg, "observables.sample_every", null="spectra from the recorded frames")
    stride, every = cfg.observables.sample_every, cfg.protocol.record_every
    fits = stride is None or every % stride == 0
    require(cfg, "observables.sample_every", fits, f"must divide protocol.record_every={every}.")
    moves = stride is None or cfg.protocol.name != "relax"
    require(cfg, "observables.sample_every", moves, "a relaxation has no spin waves; use null.")


def _figures(cfg: DictConfig) -> None:
    for name in cfg.observables.figures or ():
        if name not in FIGURES:
            words = f"known figures are {', '.join(FIGURES)}.{suggestion(name, FIGURES)}"
            raise ConfigError("observables.figures", name, words)
    window = value_of(cfg, "observables.fit")
    ordered = window is None or (len(window) == 2 and 0 < window[0] < window[1])
    require(cfg, "observables.fit", ordered, "must be null or two times, [t1,t2] with 0 < t1 < t2.")
    for time in cfg.observables.waiting:
        require(cfg, "observables.waiting", time >= 0, "must be a list of times, zero or later.")


def _audit(cfg: DictConfig) -> None:
    node = cfg.audit
    positive(cfg, "audit.every", null="no audit")
    positive(cfg, "audit.max_sites", "audit.blocks", "audit.side", "audit.tolerance", "audit.warn")
    not_negative(cfg, "audit.margin")
    one_of(cfg, "audit.labeler", ("auto", "ed", "greens"))
    if node.every is None:
        return
    require(
        cfg,
        "audit.every",
        cfg.task.name == "simulate" and cfg.checkpoint is not None,
        "an audit is of task=simulate with a checkpoint: the exact field needs none.",
    )
    still = cfg.hamiltonian.name != "driven"
    require(cfg, "audit.every", still, "an audit solves electrons in equilibrium, not hamiltonian=driven.")
    stride = cfg.protocol.record_every
    require(
        cfg, "audit.every", node.every % stride == 0, f"must be a multiple of protocol.record_every={stride}."
    )
    _margin_fits(cfg)


def _margin_fits(cfg: DictConfig) -> None:
    """Blocks have sites to compare."""
    from magsim.labelers.blocks import Cut
    from magsim.lattice import make_lattice

    lattice = make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))
    cut = Cut(lattice, int(cfg.audit.side), float(cfg.audit.margin))
    require(
        cfg,
        "audit.margin",
        lattice.n_sites <= cfg.audit.max_sites or bool(cut.inner.any()),
        f"leaves no site of a block of audit.side={cfg.audit.side} cells.",
    )
