"""Driven strips that several test files look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from magsim.hamiltonian import DrivenStrip
from magsim.lattice import make_lattice
from magsim.spins import random_spins


def strip(shape: tuple[int, int] = (4, 3), across: str = "open", **other: Any) -> DrivenStrip:
    """That of the reference values: J=1.5, Gamma=1, Gamma_b=.02, mu=.3, T=.05."""
    keys = {"J": 1.5, "gamma": 1.0, "gamma_bath": 0.02, "mu": 0.3, "T": 0.05, **other}
    return DrivenStrip(make_lattice("square", shape, ["open", across]), (1.0,), **keys)


def spins_of(h: DrivenStrip, seed: int = 0, batch: tuple[int, ...] = ()) -> np.ndarray:
    return random_spins(h.lattice.n_sites, np.random.default_rng(seed), batch)


def reference_spins() -> np.ndarray:
    spins = np.random.default_rng(0).normal(size=(12, 3))
    return spins / np.linalg.norm(spins, axis=1, keepdims=True)
