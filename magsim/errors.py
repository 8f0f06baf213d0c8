"""The three ways a run can go wrong, each a sentence for the user."""

from __future__ import annotations

from pathlib import Path


class MagsimError(Exception):
    """Wrong input: the program stops before any work with this sentence and exit code 2."""


class ConfigError(MagsimError):
    """A configuration value that cannot be used.

    Args:
        key: full name of the key, e.g. ``lattice.shape``.
        value: what was given.
        allowed: what is allowed, as the end of the sentence ``key=value: ...``.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(f"{key}={value}: {allowed}")


class DataError(MagsimError):
    """Data that cannot be trusted.

    Args:
        path: the file.
        problem: what is wrong, with array name and index of the first offender.
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        self.path, self.problem = str(path), problem
        super().__init__(f"{path}: {problem}")


class RunError(Exception):
    """A failure during a run (a NaN, spins that lost their length); exit code 1."""
