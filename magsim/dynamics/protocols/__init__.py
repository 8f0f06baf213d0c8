"""What is done to the spins: from which start, in which bath and field, for how long."""

from __future__ import annotations

from typing import Any

from magsim.dynamics.protocols.base import Protocol, Vector, initial_spins
from magsim.dynamics.protocols.drive import Drive
from magsim.dynamics.protocols.field_sweep import FieldSweep
from magsim.dynamics.protocols.relax import Relax
from magsim.dynamics.protocols.schedule import Schedule
from magsim.dynamics.protocols.thermal import Anneal, Quench
from magsim.errors import ConfigError

PROTOCOLS: dict[str, type[Protocol]] = {
    cls.name: cls for cls in (Relax, Quench, Anneal, FieldSweep, Schedule, Drive)
}


def make_protocol(name: str, **options: Any) -> Protocol:
    """The protocol of that name with the keys of its option.

    Raises:
        ConfigError: unknown name, or a value out of range.
    """
    if name not in PROTOCOLS:
        raise ConfigError("protocol.name", name, f"known protocols are {', '.join(PROTOCOLS)}.")
    if options.get("steps") is None:  # all that it has
        options.pop("steps", None)
    return PROTOCOLS[name](**options)


__all__ = [
    "PROTOCOLS",
    "Anneal",
    "Drive",
    "FieldSweep",
    "Protocol",
    "Quench",
    "Relax",
    "Schedule",
    "Vector",
    "initial_spins",
    "make_protocol",
]
