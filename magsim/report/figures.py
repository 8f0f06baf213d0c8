"""Every figure of the reports. Each function takes plain arrays and returns the path that it wrote."""

from __future__ import annotations

from magsim.report.comparison import bars, table_figure
from magsim.report.maps import chirality_map, spin_map, structure_factor_map
from magsim.report.series import domain_growth, growth_exponent, overlay, quench_curves
from magsim.report.torques import dataset_overview, torque_parity
from magsim.report.training import training_curves

__all__ = [
    "bars",
    "chirality_map",
    "dataset_overview",
    "domain_growth",
    "growth_exponent",
    "overlay",
    "quench_curves",
    "spin_map",
    "structure_factor_map",
    "table_figure",
    "torque_parity",
    "training_curves",
]
