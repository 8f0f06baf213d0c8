"""Trained fields as packages of torch that run where this program is not installed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from magsim.models import Model
from magsim.models.graph import examples, field_graph

NOTE = "magsim.json"  # in a package: lattice, units, origin


def compiler_is_missing() -> str | None:
    """Why there can be no AOTInductor package here, as a sentence; None where there can be one."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "there is no C++ compiler here (g++ or clang++, or the one that CXX names)."
    return None


def write_packages(model: Model, paths: Mapping[str, Path], facts: Mapping[str, Any]) -> dict[str, Path]:
    """Write packages of ``spins (B, N, 3) -> (energy (B,), field (B, N, 3))`` on the model's lattice, B free.

    A model that takes a bias has ``voltage (B,)`` as a second argument; the energy of a field that is no
    gradient is nan.

    Args:
        model: bound to the lattice, in the precision and on the device of the packages.
        paths: ``pt2`` (a program of ``torch.export``, for any device and further compilation) and ``aoti``
            (machine code of AOTInductor for this kind of processor), each with its file.
        facts: go into the package as ``magsim.json``.

    Returns:
        the paths, once they are written.
    """
    lattice = model.lattice
    given = "spins (B, N, 3) of unit length" + (", voltage (B,)" if model.takes_voltage else "")
    answer = "energy (B,), field = -dE/dS transverse to the spins"
    if not model.conservative:
        answer = "nan (B,), field transverse to the spins"
    note = dict(facts) | {
        "function": f"{given} -> {answer}",
        "shape": list(lattice.shape),
        "boundary": list(lattice.boundary),
        "sites": lattice.n_sites,
        "dtype": str(model.energy_scale.dtype).removeprefix("torch."),
    }
    batch, inputs = torch.export.Dim("batch", min=1), examples(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        program = torch.export.export(
            field_graph(model),
            inputs,
            dynamic_shapes=({0: batch},) * len(inputs),
            prefer_deferred_runtime_asserts_over_guards=True,  # it need not prove what every B fulfils
        )
        for kind, path in paths.items():
            if kind == "pt2":
                torch.export.save(program, path, extra_files={NOTE: json.dumps(note)})
            else:
                options = {"aot_inductor.metadata": {NOTE: json.dumps(note)}}
                torch._inductor.aoti_compile_and_package(
                    program, package_path=str(path), inductor_configs=options
                )
    return dict(paths)
