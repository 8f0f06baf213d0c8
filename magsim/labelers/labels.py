"""What every labeler returns, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from typing import Any, Protocol

import numpy as np

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import Electrons


@dataclass(frozen=True, eq=False)
class Labels:
    """Exact answers for a batch of B spin configurations on N sites.

    Attributes:
        energy: ``(B,)`` total energy: the grand potential Omega at fixed mu, the free energy
            F = Omega + mu N_e at fixed filling (both the plain energy at T = 0, up to ``- mu N_e`` in Omega);
            None where the field has no energy: a driven system.
        field: ``(B, N, 3)`` ``F_i = -dE/dS_i``.
        density: ``(B, N)`` electrons per site.
        mu: ``(B,)`` chemical potential.
        error: ``(B,)`` estimate of the largest error of a field component.
        method: how they were obtained.
        wall_time: seconds for the batch.
        extra: whatever else the labeler knows of each configuration, arrays ``(B, ...)`` by name.
    """

    energy: Any | None
    field: Any
    density: Any
    mu: Any
    error: Any
    method: str
    wall_time: float
    extra: Mapping[str, Any] = default(default_factory=dict)

    def take(self, which: np.ndarray) -> Labels:
        """Those of the configurations ``which``, in that order."""

        def taken(values: Any) -> Any:
            return None if values is None else values[which]

        names = ("energy", "field", "density", "mu", "error")
        extra = {name: taken(values) for name, values in self.extra.items()}
        return replace(self, **{name: taken(getattr(self, name)) for name in names}, extra=extra)


def joined(parts: Sequence[Labels]) -> Labels:
    """Labels of several batches as those of one; what one of them lacks, all lack."""

    def column(values: list[Any]) -> Any:
        return None if any(v is None for v in values) else np.concatenate([np.asarray(v) for v in values])

    names = ("energy", "field", "density", "mu", "error")
    return Labels(
        **{name: column([getattr(part, name) for part in parts]) for name in names},
        method=parts[0].method,
        wall_time=sum(part.wall_time for part in parts),
        extra={name: column([part.extra[name] for part in parts]) for name in parts[0].extra},
    )


def refuse_driven(hamiltonian: Electrons, name: str) -> None:
    """What solves closed systems in equilibrium refuses others.

    Raises:
        ConfigError: the electrons of the Hamiltonian are driven.
    """
    if not hamiltonian.conservative:
        words = f"solves electrons in equilibrium; {type(hamiltonian).__name__} needs labeler=negf."
        raise ConfigError("labeler.name", name, words)


class Labeler(Protocol):
    """Anything that solves a Hamiltonian for given spins.

    A class whose batches give, on the CPU, bit for bit what their members give alone says so with
    ``independent = True``; configurations are handed to others one by one where labels must not depend on
    how they were grouped.
    """

    @property
    def hamiltonian(self) -> Electrons:
        """What is solved."""
        ...

    def identity(self) -> dict[str, Any]:
        """What of the labeler itself determines its labels (JSON types): its name and its approximations, not
        device or batch size. With the Hamiltonian it makes the key of a dataset."""
        ...

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)``."""
        ...
