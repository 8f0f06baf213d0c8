"""magsim: machine-learning force fields for the spin dynamics of metallic magnets.

Public entry points (imported lazily, so that ``import magsim`` costs nothing):

- :func:`open_dataset` -- labelled spin configurations from a Zarr store or an ``.npz`` file,
- :func:`load_field` -- a trained effective field from the zoo, a run folder or a model file,
- :func:`zoo_models` -- the trained fields that come with the package, and what is known of them,
- :func:`effective_field` -- the exact effective field that a configuration describes.

Both fields are called as ``energy, field = f(spins)`` with ``spins`` of shape ``(..., N, 3)``.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["effective_field", "load_field", "open_dataset", "zoo_models"]

_ENTRY_POINTS = {
    "open_dataset": "magsim.datasets.store",
    "load_field": "magsim.dynamics.learned_field",
    "effective_field": "magsim.tasks.build",
    "zoo_models": "magsim.learning.zoo",
}


def __getattr__(name: str) -> Any:
    if name in _ENTRY_POINTS:
        from importlib import import_module

        return getattr(import_module(_ENTRY_POINTS[name]), name)
    raise AttributeError(f"module 'magsim' has no attribute {name!r}")
