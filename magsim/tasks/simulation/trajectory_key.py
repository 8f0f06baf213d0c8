"""What a trajectory is known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from magsim.dynamics import Integrator, Protocol
from magsim.dynamics.philox import GENERATOR
from magsim.dynamics.trajectory import FORMAT_VERSION
from magsim.lattice import Lattice


def trajectory_key(
    lattice: Lattice,
    integrator: Integrator,
    protocol: Protocol,
    seed: int,
    initial: np.ndarray | None = None,
    identity: Mapping[str, Any] | None = None,
) -> str:
    """sha256 of what determines a trajectory. The number of steps is not in it (a run may be continued
    further) unless the protocol spreads a schedule over them."""
    recipe = asdict(protocol)
    if not protocol.depends_on_steps:
        recipe.pop("steps")
    method = asdict(integrator)
    if integrator.tolerance is None:  # as before there was any
        method.pop("tolerance")
    content = {
        "format_version": FORMAT_VERSION,
        "lattice": [lattice.name, list(lattice.shape), list(lattice.boundary)],
        "integrator": {"name": integrator.name, **method},
        "protocol": {"name": protocol.name, **recipe},
        "seed": seed,
        "initial": None
        if initial is None
        else hashlib.sha256(np.asarray(initial, dtype="f8").tobytes()).hexdigest(),
        "field": dict(identity or {}),
    }
    if protocol.warmest(integrator.T) > 0:
        content["noise"] = GENERATOR
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
