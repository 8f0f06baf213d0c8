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
from magsim.observables.clusters import (
    Clusters,
    cluster_number,
    cluster_size,
    clusters,
    connected,
    ferromagnetic_fraction,
    ferromagnetic_sites,
    neighbour_sum,
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
from magsim.observables.excitations import Route, amplitudes, dynamic_structure_factor, route
from magsim.observables.fourier import wavevectors
from magsim.observables.growth import PowerLaw, effective_exponent, fit_growth
from magsim.observables.magnetisation import magnetisation, magnetisation_vector
from magsim.observables.ordering import ordering_wavenumber, ordering_weight
from magsim.observables.pair_correlation import (
    chirality_pair_correlation,
    correlation_of,
    pair_distances,
    spin_pair_correlation,
)
from magsim.observables.peaks import Peak, structure_factor_peaks, symmetry_name
from magsim.observables.radial import radial_average, radial_wavenumbers
from magsim.observables.registry import OBSERVABLES, Observable, measure, select
from magsim.observables.skyrmion import skyrmion_count, skyrmion_number, topological_charge_density
from magsim.observables.statistics import binder_cumulant, two_time_correlation
from magsim.observables.strip import (
    afm_fm_wall_position,
    correlation_profile,
    domain_wall_position,
    fit_velocity,
    profile,
)
from magsim.observables.structure_factor import (
    centred,
    extended_structure_factor,
    ordering_vector,
    structure_factor,
    sublattice_structure_factor,
)
from magsim.observables.walls import (
    Walls,
    domain_walls,
    rotation_order,
    smooth_chirality,
    wall_anisotropy,
    wall_density,
    wall_orientations,
)

__all__ = [
    "OBSERVABLES",
    "TETRAHEDRAL_CHIRALITY",
    "Clusters",
    "Observable",
    "Peak",
    "PowerLaw",
    "Route",
    "Walls",
    "afm_fm_wall_position",
    "amplitudes",
    "binder_cumulant",
    "centred",
    "chirality_correlation_length",
    "chirality_domain_size",
    "chirality_domains",
    "chirality_pair_correlation",
    "chirality_structure_factor",
    "cluster_number",
    "cluster_size",
    "clusters",
    "connected",
    "correlation_length",
    "correlation_of",
    "correlation_profile",
    "correlation_volume_length",
    "domain_wall_position",
    "domain_walls",
    "dynamic_structure_factor",
    "effective_exponent",
    "extended_structure_factor",
    "ferromagnetic_fraction",
    "ferromagnetic_sites",
    "first_moment_length",
    "fit_growth",
    "fit_velocity",
    "magnetisation",
    "magnetisation_vector",
    "mean_abs_chirality",
    "mean_chirality",
    "measure",
    "neighbour_sum",
    "nn_correlation",
    "ordering_vector",
    "ordering_wavenumber",
    "ordering_weight",
    "pair_distances",
    "profile",
    "radial_average",
    "radial_wavenumbers",
    "rotation_order",
    "route",
    "scalar_chirality",
    "second_moment_length",
    "select",
    "shell_correlation",
    "skyrmion_count",
    "skyrmion_number",
    "smooth_chirality",
    "spin_pair_correlation",
    "structure_factor",
    "structure_factor_peaks",
    "sublattice_structure_factor",
    "symmetry_name",
    "topological_charge_density",
    "triangle_structure_factor",
    "two_time_correlation",
    "wall_anisotropy",
    "wall_density",
    "wall_orientations",
    "wavevectors",
]
