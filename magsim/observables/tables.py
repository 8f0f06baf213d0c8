"""Index and phase tables of a lattice, built once and kept where the spins live.

Observables run on the fly on NumPy, CuPy and torch arrays. What they share about a lattice (bonds, triangles,
phases) is computed with NumPy once per lattice and copied once per device, so that a frame costs only its own
arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from magsim import arrays
from magsim.errors import DataError
from magsim.lattice import Lattice

_TABLES: WeakKeyDictionary[Lattice, dict[tuple[str, ...], Any]] = WeakKeyDictionary()


def is_torch(array: Any) -> bool:
    """Whether an array is a torch tensor (asked without importing torch)."""
    return type(array).__module__.split(".")[0] == "torch"


def namespace(array: Any) -> ModuleType:
    """``torch``, ``cupy`` or ``numpy``: the module that an array belongs to."""
    if is_torch(array):
        import torch

        return torch
    return arrays.namespace(array)


def table(lattice: Lattice, name: str, build: Callable[[Lattice], np.ndarray], like: Any) -> Any:
    """The table ``build(lattice)`` as an array of the kind, device and precision of ``like``.

    Args:
        lattice: what the table describes.
        name: key of the table, unique per ``build``.
        build: computes the table with NumPy; called once per lattice.
        like: real floating-point array; integer tables stay int64, real and complex ones take its precision.
    """
    kept = _TABLES.setdefault(lattice, {})
    if (name,) not in kept:
        kept[(name,)] = build(lattice)
    key = (name, str(getattr(like, "device", "cpu")), type(like).__module__, str(like.dtype))
    if key not in kept:
        kept[key] = _like(kept[(name,)], like)
    return kept[key]


def _like(array: np.ndarray, like: Any) -> Any:
    single = str(like.dtype).endswith("float32")
    if np.iscomplexobj(array):
        array = array.astype(np.complex64 if single else np.complex128)
    elif np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32 if single else np.float64)
    if is_torch(like):
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(like.device)
    return arrays.namespace(like).asarray(array)


def checked(lattice: Lattice, spins: Any) -> Any:
    """``spins`` if they are ``(..., N, 3)`` of this lattice.

    Raises:
        DataError: another number of sites or components.
    """
    shape = tuple(getattr(spins, "shape", ()))
    if shape[-2:] != (lattice.n_sites, 3):
        raise DataError(
            "spins",
            f"shape {shape}, but {lattice.name} {list(lattice.shape)} needs (..., {lattice.n_sites}, 3).",
        )
    return spins
