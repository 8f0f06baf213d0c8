"""labeler=auto: the cheapest method that meets the tolerance, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from magsim.arrays import array_module, cores, free_memory, physical_memory
from magsim.hamiltonian.electronic import Electrons, SDHamiltonian
from magsim.labelers.costs import Costs
from magsim.labelers.ed import EDLabeler
from magsim.labelers.greens import GreensLabeler
from magsim.labelers.kpm import KPMLabeler
from magsim.labelers.labels import Labeler, Labels

COMPLEX = 16  # bytes
MATRICES = 6  # H, eigenvectors, LAPACK's workspace
MU_SEARCH = 4.5  # solutions that the search for mu is worth
MOST_STATES = 400_000  # beyond, not even the dissection is tried
KPM_PART = 0.5  # share of the tolerance that truncation may take


def solutions(hamiltonian: Electrons) -> float:
    """How many sets of poles a label by Green's functions takes: two temperatures where T = 0, and the search
    for mu at given filling."""
    temperatures = 2.0 if hamiltonian.T == 0.0 else 1.0
    return temperatures * (1.0 if hamiltonian.filling is None else MU_SEARCH)


@dataclass(frozen=True)
class Candidate:
    """One method: predicted seconds of a label and bytes, or why it cannot be."""

    labeler: Labeler
    seconds: float
    bytes: float
    refused: str = ""

    @property
    def name(self) -> str:
        return str(self.labeler.identity()["name"])

    def __str__(self) -> str:
        return f"{self.name} {self.refused or f'{self.seconds:.2g} s a label'}"


@dataclass(frozen=True, eq=False)
class AutoLabeler:
    """The labeler among ed, greens and kpm that is predicted to be fastest for a lattice, temperature,
    tolerance and device, out of those that fit into memory.

    ed costs n^3 for n states. greens costs its number of poles, which follows from T and the tolerance, times
    the multiplications of the dissection. kpm is linear in n, but the error of its probes falls only as one
    over their number (in two dimensions): it is for loose tolerances, or lattices on which the others do not
    fit. At T = 0 a tolerance that holds in metals too is met by ed alone; where that does not fit, greens is
    taken, whose labels state what the smearing does.
    A dataset names the method that was chosen, not ``auto``.

    Attributes:
        hamiltonian: what to solve.
        device: ``"cpu"`` or ``"cuda"``.
        batch_size: configurations solved together; None: what the method chooses.
        tolerance: largest error of a field component.
        costs: rates of this machine.
    """

    hamiltonian: Electrons
    device: str = "cpu"
    batch_size: int | None = None
    tolerance: float = 1e-8
    costs: Costs = field(default_factory=Costs)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """All three, with their predicted costs."""
        ed, greens = self._ed(), self._greens()
        if self.hamiltonian.T == 0.0 and not (ed.refused or greens.refused):
            # levels at mu are smeared, and whether there are any is not known beforehand
            greens = replace(greens, refused="is exact at T = 0 in insulators only")
        return ed, greens, self._kpm()

    @cached_property
    def chosen(self) -> Candidate:
        """The fastest that is possible; ed if none is."""
        possible = [candidate for candidate in self.candidates if not candidate.refused]
        return min(possible, key=lambda candidate: candidate.seconds, default=self.candidates[0])

    @property
    def reason(self) -> str:
        """One sentence for the user."""
        others = "; ".join(str(one) for one in self.candidates if one is not self.chosen)
        return (
            f"labeler=auto takes {self.chosen} ({self.hamiltonian.n_states} states, tolerance "
            f"{self.tolerance:.0e}); {others}. Rates of {self.costs.machine}."
        )

    @property
    def independent(self) -> bool:
        """Whether labels depend on nothing but their own configuration, to the last bit."""
        return bool(getattr(self.chosen.labeler, "independent", False))

    def identity(self) -> dict[str, Any]:
        """That of the chosen labeler."""
        return self.chosen.labeler.identity()

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)`` with the chosen labeler."""
        return self.chosen.labeler.label(spins)

    def _ed(self) -> Candidate:
        n = self.hamiltonian.n_states
        labeler = EDLabeler(self.hamiltonian, self.device, self.batch_size)
        seconds = self.costs.ed_start + n**3 / self.costs.ed
        return self._fitting(labeler, seconds, MATRICES * COMPLEX * float(n) ** 2)

    def _greens(self) -> Candidate:
        h = self.hamiltonian
        labeler = GreensLabeler(h, self.device, self.batch_size, tolerance=self.tolerance)
        if h.n_states > MOST_STATES:
            return Candidate(labeler, math.inf, math.inf, "does not fit")
        inverse = labeler.solver.inverse
        seconds = solutions(h) * (
            self.costs.greens_start + labeler.n_poles * inverse.multiplications / self.costs.greens
        )
        threads = cores() if self.device == "cpu" else 1
        return self._fitting(labeler, seconds, COMPLEX * 1.5 * threads * inverse.numbers_per_shift)

    def _kpm(self) -> Candidate:
        h = self.hamiltonian
        if self.device != "cpu" and not isinstance(h, SDHamiltonian):
            return Candidate(KPMLabeler(h, probes="identity"), math.inf, math.inf, "has no GPU kernel for it")
        coupling = abs(h.J) if isinstance(h, SDHamiltonian) else 0.0
        part = KPM_PART * self.tolerance
        columns = 2 * math.ceil(self.costs.kpm_error * coupling / (2 * part)) + 2
        labeler = KPMLabeler(
            h,
            self.device,
            self.batch_size,
            probes="identity" if columns >= h.n_states or coupling == 0.0 else "colour",
            columns=columns,
            tolerance=part,
        )
        if h.T == 0.0:
            return Candidate(labeler, math.inf, math.inf, "is not exact at T = 0")
        columns = min(columns, h.n_states)
        work = h.n_states * float(labeler.expansion.n_moments) * columns
        repeats = 1 if columns == h.n_states else labeler.repeats
        seconds = self.costs.kpm_start + repeats * work / self.costs.kpm
        return self._fitting(labeler, seconds, 6.0 * COMPLEX * h.n_states * columns)

    def _fitting(self, labeler: Labeler, seconds: float, needed: float) -> Candidate:
        xp = array_module(self.device)
        available = physical_memory() if self.device == "cpu" else free_memory(xp)
        return Candidate(labeler, seconds, needed, "" if needed < available else "does not fit")
