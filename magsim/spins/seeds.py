"""One seed, one independent stream per purpose and replica."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_sequence(seed: int, *purpose: str | int) -> np.random.SeedSequence:
    """A :class:`numpy.random.SeedSequence` for a purpose, e.g. ``seed_sequence(0, "quench", 3)``.

    Words enter by a hash, so that a new purpose never shifts the streams of the others.
    """
    key = tuple(
        int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
        if isinstance(word, str)
        else int(word)
        for word in purpose
    )
    return np.random.SeedSequence(entropy=int(seed), spawn_key=key)


def rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator on the stream of :func:`seed_sequence`."""
    return np.random.default_rng(seed_sequence(seed, *purpose))
