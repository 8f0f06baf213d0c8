"""Reference values: of something that the run measures, at a time that it reaches."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import finite, not_negative, positive, require
from magsim.config.conform import suggestion
from magsim.errors import ConfigError

# Final metrics of a simulation that are no observables of single frames.
FITTED = ("growth_exponent", "density_min", "density_max", "peak_wavenumber", "peak_weight")
# The same of each replica of a drive.
OF_REPLICAS = ("wall_velocity", "spin_transfer", "current_left", "current_right")


def check_references(cfg: DictConfig) -> None:
    """Every reference names a quantity that the run is going to have."""
    if not cfg.references:
        return
    from magsim.observables import OBSERVABLES

    measured = [*OBSERVABLES, *FITTED, *OF_REPLICAS]
    chosen = list(cfg.observables.names or ["all"])
    for k, reference in enumerate(cfg.references):
        key = f"references[{k}]"
        name = reference.quantity
        if name not in measured:
            raise ConfigError(
                f"{key}.quantity", name, f"must be one of {', '.join(measured)}.{suggestion(name, measured)}"
            )
        require(
            cfg,
            f"{key}.quantity",
            cfg.task.name != "simulate" or name in (*FITTED, *OF_REPLICAS, *chosen) or "all" in chosen,
            f"is not measured: observables.names={chosen}.",
        )
        finite(cfg, f"{key}.value")
        _replica(cfg, f"{key}.replica", reference.replica, name in OF_REPLICAS)
        if reference.tolerance is not None:
            not_negative(cfg, f"{key}.tolerance")
        positive(cfg, f"{key}.time", null="the end of the run")
        require(cfg, f"{key}.source", bool(reference.source.strip()), "must say where the value is from.")


def _replica(cfg: DictConfig, key: str, value: str, numbered: bool) -> None:
    """mean, lowest or the number of a replica, which some quantities need."""
    if value.isdigit():
        return
    words = "must be the number of a replica, from 0 on." if numbered else "must be mean, lowest or a number."
    require(cfg, key, not numbered and value in ("mean", "lowest"), words)
