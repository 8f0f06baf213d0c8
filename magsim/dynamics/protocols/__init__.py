"""What is done to the spins: from which start, in which bath and field, for how long."""

from __future__ import annotations

from magsim.dynamics.protocols.base import Protocol, Vector, initial_spins
from magsim.dynamics.protocols.field_sweep import FieldSweep
from magsim.dynamics.protocols.relax import Relax
from magsim.dynamics.protocols.schedule import Schedule
from magsim.dynamics.protocols.thermal import Anneal, Quench

PROTOCOLS: dict[str, type[Protocol]] = {
    cls.name: cls for cls in (Relax, Quench, Anneal, FieldSweep, Schedule)
}

__all__ = [
    "PROTOCOLS",
    "Anneal",
    "FieldSweep",
    "Protocol",
    "Quench",
    "Relax",
    "Schedule",
    "Vector",
    "initial_spins",
]
