"""Spins in the formats of other programs: OVF 2.0 (OOMMF, mumax, Spirit), extended XYZ (OVITO, ASE), VTK."""

from __future__ import annotations

from magsim.exports.ovf import ovf_segment, write_ovf
from magsim.exports.vtk import write_vtk, write_vtk_series
from magsim.exports.xyz import write_xyz

__all__ = ["ovf_segment", "write_ovf", "write_vtk", "write_vtk_series", "write_xyz"]
