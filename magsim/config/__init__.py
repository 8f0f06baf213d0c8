"""The configuration: its shape, how it is composed, and the checks before any work.

- :func:`compose` -- the configuration of a list of overrides, as on the command line,
- :func:`check` -- ranges, files and choices that exclude each other,
- :func:`to_flat` -- ``{"lattice.shape": [12, 12], ...}``,
- :func:`resumed` -- the configuration of a run folder, with what may grow.
"""

from __future__ import annotations

from magsim.config.checks import check
from magsim.config.composition import compose, to_flat
from magsim.config.errors import translate, translated
from magsim.config.paths import CONF, groups
from magsim.config.resume import resumed
from magsim.config.schema import Config, register

__all__ = [
    "CONF",
    "Config",
    "check",
    "compose",
    "groups",
    "register",
    "resumed",
    "to_flat",
    "translate",
    "translated",
]
