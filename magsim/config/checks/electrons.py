"""The tasks that look at the electrons themselves: locality and spectrum."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import existing, finite, one_of, positive, require, value_of
from magsim.config.checks.size import lattice_at

STATES = ("random", "thermal", "ordered")


def check_electrons(cfg: DictConfig) -> None:
    """Everything that ``task=locality`` and ``task=spectrum`` need."""
    if cfg.task.name == "locality":
        _locality(cfg)
    if cfg.task.name == "spectrum":
        _spectrum(cfg)


def _locality(cfg: DictConfig) -> None:
    state = value_of(cfg, "task.state")
    words = f"must be a list of {', '.join(STATES)}, each at most once."
    fits = bool(state) and set(state) <= set(STATES) and len(set(state)) == len(state)
    require(cfg, "task.state", fits, words)
    for key in ("insides", "outsides"):
        require(cfg, f"task.{key}", cfg.task[key] >= 2, "a variance needs at least 2.")
    _radii(cfg)
    if "ordered" in state:
        positive(cfg, "task.angle")
        _texture(cfg, "task.texture")
        named = cfg.task.texture is not None or cfg.hamiltonian.name != "driven"
        words = "null takes the texture of the lowest energy, and a driven strip has none: name one."
        require(cfg, "task.texture", named, words)
    if "thermal" in state:
        positive(cfg, "task.burn_in")
        positive(cfg, "task.temperature", null="hamiltonian.T")
        if cfg.task.temperature is None:
            require(
                cfg,
                "task.temperature",
                cfg.hamiltonian.T > 0,
                "hamiltonian.T, which null takes, is 0: thermal states need a positive one.",
            )
        others = 2 * (cfg.task.insides - 1)
        require(
            cfg,
            "task.outsides",
            cfg.task.outsides <= others,
            f"task.insides={cfg.task.insides} thermal states have {others} others to take the rest from.",
        )


def _radii(cfg: DictConfig) -> None:
    from magsim.labelers.locality import reach, shell_radii

    lattice = lattice_at(cfg, "lattice.shape")
    most = reach(lattice)
    if cfg.task.radii is None:
        require(
            cfg,
            "lattice.shape",
            bool(shell_radii(lattice)),
            f"no neighbour is nearer than half the lattice, {most:.4g}: task=locality needs a larger one.",
        )
        return
    radii = value_of(cfg, "task.radii")
    finite(cfg, "task.radii")
    words = f"must be positive radii, no larger than half the lattice, {most:.4g}."
    require(cfg, "task.radii", bool(radii) and all(0 < r <= most for r in radii), words)


def _spectrum(cfg: DictConfig) -> None:
    words = "task=spectrum is of closed systems: the levels of a driven strip are complex."
    require(cfg, "hamiltonian.name", cfg.hamiltonian.name != "driven", words)
    positive(cfg, "task.eta")
    positive(cfg, "task.mesh", null="as many as take seconds")
    finite(cfg, "task.energies")
    existing(cfg, "task.path", ("npz", "zarr"))
    if cfg.task.path is None and cfg.task.texture != "random":
        _texture(cfg, "task.texture", ("random",))


def _texture(cfg: DictConfig, key: str, more: tuple[str, ...] = ()) -> None:
    from magsim.spins import TEXTURES

    name = value_of(cfg, key)
    if name is None:
        return
    one_of(cfg, key, (*more, *TEXTURES))
    if name in TEXTURES:
        TEXTURES[name](lattice_at(cfg, "lattice.shape"))
