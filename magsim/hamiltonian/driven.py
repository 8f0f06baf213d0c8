"""A strip of the s-d model between two leads, driven out of equilibrium."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from magsim.errors import ConfigError
from magsim.hamiltonian.electronic import SDHamiltonian

LEADS = ("wide_band", "semi_infinite")
SPLITS = ("symmetric", "right")


@dataclass(frozen=True, eq=False)
class DrivenStrip(SDHamiltonian):
    """The s-d model on a square strip, open along x between two leads, every site in a weak bath,

        H_eff(E) = H(S) + sum_x u_x n_x + Sigma_L(E) + Sigma_R(E) - i Gamma_b/2 .

    Electrons come from the leads with the chemical potentials ``mu_L`` and ``mu_R`` and from the bath with
    ``mu``, all at temperature T. Of a lead on its column of the strip:

    * ``wide_band``: ``Sigma = -(i/2) Gamma (1 + M.sigma)`` on every site of the column;
    * ``semi_infinite``: the square lattice goes on, ``Sigma = t^2 sum_n |n> g(E - eps_n - u) <n|`` with the
      transverse modes n of the strip and ``g(w) = [w - sqrt(w - 2t) sqrt(w + 2t)]/(2 t^2)``; a moment M of
      the lead couples as the spins of the strip do, ``- J M.sigma``.

    The field ``F_i = J <c+_i sigma c_i>`` is no gradient: a driven system has no energy.

    Attributes:
        voltage: eV = mu_L - mu_R, which with ``split`` and ``mu`` gives mu_L and mu_R.
        split: ``"symmetric"``: mu_L, mu_R = mu +- V/2; ``"right"``: mu_L = mu, mu_R = mu - V.
        mu_L, mu_R: chemical potentials of the leads; given (both), they take the place of ``voltage``.
        leads: ``"wide_band"`` or ``"semi_infinite"``.
        gamma: Gamma of wide-band leads, > 0.
        gamma_bath: Gamma_b on every site, >= 0.
        lead_moment_L, lead_moment_R: ``(3,)`` M, or None; |M| <= 1 for wide-band leads.
        potential_drop: whether electrons feel ``u``, which falls linearly from mu_L - mu in the left lead
            (x = -1) to mu_R - mu in the right one (x = Lx) and shifts the bands of the leads with it.
        cut: energies below it are left out of the density matrix, as some published codes do; None: none.

    Raises:
        ConfigError: another lattice, boundaries or hoppings than these, values out of range.
    """

    conservative: ClassVar[bool] = False

    voltage: float = 0.0
    split: str = "symmetric"
    mu_L: float | None = None
    mu_R: float | None = None
    leads: str = "wide_band"
    gamma: float = 1.0
    gamma_bath: float = 0.02
    lead_moment_L: tuple[float, ...] | None = None
    lead_moment_R: tuple[float, ...] | None = None
    potential_drop: bool = False
    cut: float | None = None

    def __post_init__(self) -> None:
        if self.mu is None or self.filling is not None:
            raise ConfigError(
                "hamiltonian.filling",
                self.filling,
                "a driven strip takes its electrons from a bath: give mu.",
            )
        super().__post_init__()
        self._check_lattice()
        self._check_leads()
        if (self.mu_L is None) != (self.mu_R is None):
            given, key = (self.mu_L, "mu_R") if self.mu_R is None else (self.mu_R, "mu_L")
            raise ConfigError(
                f"hamiltonian.{key}", "null", f"the other lead has {given:g}: give both or none."
            )
        if self.mu_L is None or self.mu_R is None:
            left = self.mu + (self.voltage / 2 if self.split == "symmetric" else 0.0)
            object.__setattr__(self, "mu_L", left)
            object.__setattr__(self, "mu_R", left - self.voltage)
        else:
            object.__setattr__(self, "voltage", self.mu_L - self.mu_R)

    def _check_lattice(self) -> None:
        lattice = self.lattice
        if lattice.name != "square":
            raise ConfigError("lattice.name", lattice.name, "hamiltonian=driven is for the square lattice.")
        if lattice.periodic[0]:
            words = "a driven strip is open along x: lattice.boundary=[open,periodic] or [open,open]."
            raise ConfigError("lattice.boundary", list(lattice.boundary), words)
        if lattice.shape[0] < 2:
            words = "a strip between two leads has at least 2 columns."
            raise ConfigError("lattice.shape", list(lattice.shape), words)
        if len(self.hopping) < 1 or self.hopping[0] == 0 or any(self.hopping[1:]):
            raise ConfigError(
                "hamiltonian.t",
                list(self.hopping),
                "hamiltonian=driven hops to nearest neighbours only: [t].",
            )

    def _check_leads(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError("hamiltonian.split", self.split, f"must be one of {', '.join(SPLITS)}.")
        if self.leads not in LEADS:
            raise ConfigError("hamiltonian.leads", self.leads, f"must be one of {', '.join(LEADS)}.")
        if not 0 < self.gamma < math.inf:
            raise ConfigError("hamiltonian.gamma", self.gamma, "the width of a lead must be positive.")
        if not 0 <= self.gamma_bath < math.inf:
            raise ConfigError("hamiltonian.gamma_bath", self.gamma_bath, "must be zero or positive.")
        for key in ("lead_moment_L", "lead_moment_R"):
            moment = getattr(self, key)
            if moment is None:
                continue
            if len(moment) != 3:
                raise ConfigError(f"hamiltonian.{key}", list(moment), "must be three numbers, or null.")
            length = math.sqrt(sum(float(x) ** 2 for x in moment))
            if self.leads == "wide_band" and not length <= 1 + 1e-12:
                words = "the polarisation of a wide-band lead is at most 1 in length."
                raise ConfigError(f"hamiltonian.{key}", list(moment), words)

    def with_voltage(self, voltage: float) -> DrivenStrip:
        """The same strip at another voltage, split as ``split`` says."""
        return replace(self, voltage=float(voltage), mu_L=None, mu_R=None)

    @property
    def chemical_potentials(self) -> tuple[float, float, float]:
        """Those of the left lead, the right lead and the bath."""
        return float(self.mu_L or 0.0), float(self.mu_R or 0.0), float(self.mu or 0.0)

    @property
    def lead_potentials(self) -> tuple[float, float]:
        """u in the left and in the right lead."""
        if not self.potential_drop:
            return 0.0, 0.0
        left, right, bath = self.chemical_potentials
        return left - bath, right - bath

    @property
    def potential(self) -> np.ndarray:
        """``(Lx,)`` u of each column."""
        left, right = self.lead_potentials
        columns = self.lattice.shape[0]
        return left + (right - left) * np.arange(1, columns + 1) / (columns + 1)

    @cached_property
    def hopping_matrix(self) -> sparse.csr_matrix:
        """``-t_ij``, and u_x on the diagonal."""
        hopping = super().hopping_matrix
        u = np.repeat(self.potential, self.lattice.shape[1])
        return (hopping + sparse.diags(u)).tocsr() if u.any() else hopping

    @property
    def transverse_hopping(self) -> np.ndarray:
        """``(Ly, Ly)`` hopping inside one column."""
        width = self.lattice.shape[1]
        return self.hopping_matrix[:width, :width].toarray() - self.potential[0] * np.eye(width)

    @cached_property
    def current_bonds(self) -> tuple[np.ndarray, np.ndarray]:
        """``(i, j)``, each ``(bonds,)``: site and its neighbour at x + 1, all of these, then site and its
        neighbour at y + 1."""
        columns, width = self.lattice.shape
        site = np.arange(columns * width).reshape(columns, width)
        up = np.roll(site, -1, axis=1)
        if not self.lattice.periodic[1] or width == 1:
            site_y, up = site[:, :-1], up[:, :-1]
        else:
            site_y = site
        i = np.concatenate([site[:-1].ravel(), site_y.ravel()])
        return i, np.concatenate([site[1:].ravel(), up.ravel()])
