"""What is measured on spin configurations ``(..., N, 3)``: one topic a file.

Every function takes ``(lattice, spins)`` with NumPy, CuPy or torch arrays, keeps leading axes (replicas,
frames) and returns the same kind of array on the same device.
"""

from __future__ import annotations

from magsim.observables.chirality import (
    TETRAHEDRAL_CHIRALITY,
    chirality_domains,
    mean_abs_chirality,
    mean_chirality,
    scalar_chirality,
)
from magsim.observables.correlation import nn_correlation, shell_correlation
from magsim.observables.correlation_length import (
    chirality_correlation_length,
    correlation_length,
    correlation_volume_length,
    second_moment_length,
)
from magsim.observables.domains import (
    chirality_domain_size,
    chirality_structure_factor,
    first_moment_length,
    triangle_structure_factor,
)
from magsim.observables.fourier import wavevectors
from magsim.observables.magnetisation import magnetisation, magnetisation_vector
from magsim.observables.registry import OBSERVABLES, Observable, measure, select
from magsim.observables.skyrmion import skyrmion_number, topological_charge_density
from magsim.observables.structure_factor import (
    centred,
    extended_structure_factor,
    ordering_vector,
    structure_factor,
    sublattice_structure_factor,
)

__all__ = [
    "OBSERVABLES",
    "TETRAHEDRAL_CHIRALITY",
    "Observable",
    "centred",
    "chirality_correlation_length",
    "chirality_domain_size",
    "chirality_domains",
    "chirality_structure_factor",
    "correlation_length",
    "correlation_volume_length",
    "extended_structure_factor",
    "first_moment_length",
    "magnetisation",
    "magnetisation_vector",
    "mean_abs_chirality",
    "mean_chirality",
    "measure",
    "nn_correlation",
    "ordering_vector",
    "scalar_chirality",
    "second_moment_length",
    "select",
    "shell_correlation",
    "skyrmion_number",
    "structure_factor",
    "sublattice_structure_factor",
    "topological_charge_density",
    "triangle_structure_factor",
    "wavevectors",
]
