"""Exact labels from Green's functions: Fermi poles and selected inversion by nested dissection.

- :mod:`.rational` -- the Fermi function as a sum over few poles,
- :mod:`.dissection` -- how a lattice is cut, :mod:`.fronts` -- and where its blocks lie in memory,
- :mod:`.block_inverse`, :mod:`.selected_inverse` -- elements of (z - H)^-1 and ln det,
- :mod:`.electrons` -- density matrix, grand potential and number of electrons at given mu,
- :mod:`.chemical_potential` -- mu at given filling,
- :mod:`.labeler` -- all of it as a labeler.
"""

from __future__ import annotations

from magsim.labelers.greens.labeler import GreensLabeler

__all__ = ["GreensLabeler"]
