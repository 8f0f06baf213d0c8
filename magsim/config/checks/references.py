"""Reference values: of something that the run measures, at a time that it reaches."""

from __future__ import annotations

from omegaconf import DictConfig

from magsim.config.checks.require import finite, not_negative, one_of, positive, require
from magsim.config.conform import suggestion
from magsim.errors import ConfigError

# Final metrics of a simulation that are no observables of single frames.
FITTED = ("growth_exponent", "density_min", "density_max", "peak_wavenumber", "peak_weight")


def check_references(cfg: DictConfig) -> None:
    """Every reference names a quantity that the run is going to have."""
    if not cfg.references:
        return
    from magsim.observables import OBSERVABLES

    measured = [*OBSERVABLES, *FITTED]
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
            cfg.task.name != "simulate" or name in (*FITTED, *chosen) or "all" in chosen,
            f"is not measured: observables.names={chosen}.",
        )
        finite(cfg, f"{key}.value")
        one_of(cfg, f"{key}.replica", ("mean", "lowest"))
        if reference.tolerance is not None:
            not_negative(cfg, f"{key}.tolerance")
        positive(cfg, f"{key}.time", null="the end of the run")
        require(cfg, f"{key}.source", bool(reference.source.strip()), "must say where the value is from.")
