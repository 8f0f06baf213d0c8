"""What a label costs on a machine: rates that are measured there, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

LEAST, MOST = 1e-9, 1e18  # of any rate: what follows from them stays finite


@dataclass(frozen=True)
class Costs:
    """Rates of the methods on one device. The defaults are those of two cores of a server; ``task=benchmark``
    measures them where it runs.

    Attributes:
        ed: n^3 per second, of an eigenvalue problem of n states with its vectors.
        greens: complex multiplications per second.
        kpm: orbital x moment x column per second, of field and moments together.
        ed_start, greens_start, kpm_start: seconds of a label however small the lattice.
        kpm_error: largest error of a field component, times the number of columns, over the coupling.
        machine: what they were measured on.
    """

    ed: float = 3.7e9
    greens: float = 8.5e9
    kpm: float = 4.7e8
    ed_start: float = 5e-3
    greens_start: float = 8e-3
    kpm_start: float = 2e-2
    kpm_error: float = 1.2
    machine: str = "two cores of a server, not measured here (task=benchmark does)"

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Costs:
        """The inverse of :meth:`as_dict`; what is not there keeps its default.

        Raises:
            ValueError: a rate is not a positive number.
        """
        if not isinstance(stored, Mapping):
            raise ValueError(f"{stored!r} must be an object with the rates of a device.")
        known = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        for name, value in known.items():
            if name != "machine" and not (_is_number(value) and LEAST <= value <= MOST):
                raise ValueError(f"{name}={value!r} must be a positive number, from {LEAST:g} to {MOST:g}.")
        return cls(**known)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
