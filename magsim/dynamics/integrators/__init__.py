"""Integrators of the Landau-Lifshitz-Gilbert equation, one file each."""

from __future__ import annotations

from magsim.dynamics.integrators.base import FieldFunction, Integrator, suggest_timestep
from magsim.dynamics.integrators.depondt import Depondt
from magsim.dynamics.integrators.heun import Heun
from magsim.dynamics.integrators.midpoint import Midpoint
from magsim.dynamics.integrators.rk4 import RK4
from magsim.dynamics.integrators.sib import SIB
from magsim.dynamics.integrators.suzuki_trotter import SuzukiTrotter
from magsim.errors import ConfigError

INTEGRATORS: dict[str, type[Integrator]] = {
    cls.name: cls for cls in (Heun, RK4, SIB, Depondt, Midpoint, SuzukiTrotter)
}


def make_integrator(
    name: str,
    dt: float | None = None,
    alpha: float = 0.5,
    T: float = 0.0,
    sense: int = 1,
    tolerance: float | None = None,
) -> Integrator:
    """The integrator of that name.

    Raises:
        ConfigError: unknown name, or a parameter out of range.
    """
    if name not in INTEGRATORS:
        raise ConfigError("integrator.name", name, f"known integrators are {', '.join(INTEGRATORS)}.")
    return INTEGRATORS[name](dt=dt, alpha=alpha, T=T, sense=sense, tolerance=tolerance)


__all__ = [
    "INTEGRATORS",
    "RK4",
    "SIB",
    "Depondt",
    "FieldFunction",
    "Heun",
    "Integrator",
    "Midpoint",
    "SuzukiTrotter",
    "make_integrator",
    "suggest_timestep",
]
