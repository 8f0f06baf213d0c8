"""Moving blocks between the levels of a dissection."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def add_at(buffer: Any, positions: Any, values: Any, xp: ModuleType = np) -> None:
    """``buffer[p, positions[e]] += values[p, e]``; positions may repeat."""
    if xp is np:
        from magsim.labelers.greens.kernels import scatter_add

        scatter_add(buffer, positions, values)
        return
    # a GPU adds real numbers
    real = values.real.dtype
    parts = buffer.view(real).reshape(*buffer.shape, 2)
    xp.add.at(parts, (slice(None), positions), values.view(real).reshape(*values.shape, 2))


def take(buffer: Any, positions: Any, out: Any, xp: ModuleType = np) -> None:
    """``out[p, e] = buffer[p, positions[e]]``."""
    if xp is np:
        from magsim.labelers.greens.kernels import gather

        gather(buffer, positions, out)
        return
    out[...] = buffer[:, positions]
