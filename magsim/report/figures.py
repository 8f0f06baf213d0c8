"""Every figure of the reports. Each function takes plain arrays and returns the path that it wrote."""

from __future__ import annotations

from magsim.report.comparison import bars
from magsim.report.excitations import excitation_map
from magsim.report.fields import histograms, site_map
from magsim.report.growth import domain_growth, scaling_collapse
from magsim.report.maps import spin_map, structure_factor_map
from magsim.report.series import overlay, quench_curves
from magsim.report.torques import dataset_overview, torque_parity
from magsim.report.training import training_curves
from magsim.report.triangles import charge_map, chirality_map
from magsim.report.walls import wall_histogram

__all__ = [
    "bars",
    "charge_map",
    "chirality_map",
    "dataset_overview",
    "domain_growth",
    "excitation_map",
    "histograms",
    "overlay",
    "quench_curves",
    "scaling_collapse",
    "site_map",
    "spin_map",
    "structure_factor_map",
    "torque_parity",
    "training_curves",
    "wall_histogram",
]
