"""The Chebyshev labeler: linear in the number of sites, with a stochastic error that it measures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import helmert

from magsim.arrays import array_module, cores
from magsim.errors import ConfigError, RunError
from magsim.hamiltonian.electronic import Electrons, SDHamiltonian
from magsim.labelers.ensemble import ONE_LEVEL
from magsim.labelers.kpm.bounds import spectral_interval
from magsim.labelers.kpm.chebyshev import Expansion, moments_for, truncation_error
from magsim.labelers.kpm.probing import Probes
from magsim.labelers.kpm.products import ProductRecursion
from magsim.labelers.kpm.stencil import LatticeRecursion, Recursion, Stencil
from magsim.labelers.kpm.trace import Solution, Trace, solve
from magsim.labelers.labels import Labels, refuse_driven
from magsim.spins import transverse

LONGEST = 1e-3  # what a spin may exceed length 1 by: the slack of the interval, for any J


@dataclass(frozen=True, eq=False)
class KPMLabeler:
    """Labels from ``Omega = sum_m c_m mu_m`` with Chebyshev moments from probe vectors R,

        H~ = (H - a)/b,  alpha_0 = R,  alpha_1 = H~ R,  alpha_{m+1} = 2 H~ alpha_m - alpha_{m-1} ,
        mu_2m = 2 <alpha_m|alpha_m> - mu_0 ,   mu_2m+1 = 2 Re <alpha_{m+1}|alpha_m> - mu_1 ,

    and the field as the exact gradient of that same number by the adjoint recursion: energy and field agree
    to rounding, whatever their common error. At fixed filling mu solves N(mu) = N_e of the same expansion,
    which makes ``F = Omega + mu N_e`` stationary in mu. The alpha run backwards beside the adjoint, so the
    memory is four vectors, not M. Cost M S N; see :mod:`.kernel`.

    Every repeat has its own random phases and its own mu and is a label by itself; the label is their mean
    and the spread tells the error, see :meth:`_spread`. The same phases serve all configurations, so the
    energy is one smooth function of the spins; with ``redraw`` each configuration has its own, drawn from its
    content, which makes the errors of a set of labels independent.

    Source: Z. Wang, G.-W. Chern, C. D. Batista, K. Barros, J. Chem. Phys. 148, 094107 (arXiv:1711.10570).

    Attributes:
        hamiltonian: what to solve.
        device: ``"cpu"`` (numba) or ``"cuda"`` (CuPy; s-d models).
        batch_size: configurations worked on at a time; None: what keeps the cores busy.
        probes: colour, random or identity.
        columns: probe vectors of one repeat (identity: as many as there are states).
        repeats: independent sets of phases, 2 or more unless the probes are exact.
        moments: M; None chooses by ``tolerance``.
        tolerance: largest error of a field component by truncation, where M follows from it.
        jackson: damp by the Jackson kernel.
        smearing: temperature of the occupations where ``hamiltonian.T`` is 0. A gap much above it leaves
            the label as at T = 0; in a metal energies and fields differ from T = 0 in order smearing^2
            (Sommerfeld), more where the levels at mu are sparse. The first repeat is solved once more with mu
            raised by the smearing, and 2.17 times the largest difference of the fields enters ``error``: what
            the field of a single level can be wrong by.
        seed: of the phases.
        redraw: phases of each configuration from its content.

    Raises:
        ConfigError: values out of range or that exclude each other.
    """

    hamiltonian: Electrons
    device: str = "cpu"
    batch_size: int | None = None
    probes: str = "colour"
    columns: int = 64
    repeats: int = 2
    moments: int | None = None
    tolerance: float = 1e-4
    jackson: bool = False
    smearing: float = 0.02
    seed: int = 0
    redraw: bool = False

    independent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        refuse_driven(self.hamiltonian, "kpm")
        if self.moments is not None and (self.moments < 4 or self.moments % 2):
            raise ConfigError("labeler.moments", self.moments, "must be an even number, 4 or more.")
        if self.moments is None and self.jackson:
            raise ConfigError(
                "labeler.moments",
                "null",
                "labeler.jackson=true converges too slowly for that: give a number.",
            )
        if self.hamiltonian.T == 0 and not self.smearing > 0:
            raise ConfigError("labeler.smearing", self.smearing, "must be positive where hamiltonian.T=0.")
        if self._sources.exact:
            return
        if self.repeats < 2:
            raise ConfigError("labeler.repeats", self.repeats, "two or more tell the stochastic error.")
        if not isinstance(self.hamiltonian, SDHamiltonian):
            raise ConfigError(
                "labeler.probes",
                self.probes,
                "must be identity where the electron spin is projected: with random phases the energy "
                "depends on the gauge of the projected states.",
            )

    def identity(self) -> dict[str, Any]:
        """What determines the labels beside the Hamiltonian."""
        exact = self._sources.exact
        given = {"moments": self.moments} if self.moments else {"tolerance": self.tolerance}
        random = {"columns": self.columns, "repeats": self.repeats, "seed": self.seed, "redraw": self.redraw}
        smearing = {"smearing": self.smearing} if self.hamiltonian.T == 0 else {}
        probes = {"probes": "identity"} if exact else {"probes": self.probes, **random}
        return {"name": "kpm", **given, "jackson": self.jackson, **smearing, **probes}

    @cached_property
    def expansion(self) -> Expansion:
        """Interval, moments and temperature."""
        a, b = spectral_interval(self.hamiltonian)
        T = self.hamiltonian.T or self.smearing
        M = self.moments
        if M is None:
            M = moments_for(b, T, self._position(a, b), self.tolerance / (2.0 * self.scale))
        return Expansion(a, b, M, T, self.jackson)

    @cached_property
    def scale(self) -> float:
        """What an error of the density matrix is multiplied with in the field: |J|, or the sum of |t|."""
        if isinstance(self.hamiltonian, SDHamiltonian):
            return abs(self.hamiltonian.J)
        return float(abs(self.hamiltonian.hopping_matrix).sum(axis=1).max())

    def label(self, spins: Any) -> Labels:
        """Label spins ``(B, N, 3)``; NumPy arrays in and out.

        ``extra`` holds ``stochastic_error`` (rms of a transverse component), ``truncation_error`` (of the
        largest component) and ``energy_error`` (standard error of the energy), each ``(B,)``.

        Raises:
            RunError: spins that are too long for the interval, a recursion that lost its way.
        """
        start = time.perf_counter()
        spins = np.asarray(spins, dtype=np.float64)
        self._refuse_long(spins)
        solved = self._solve(spins, self._repeats, self.hamiltonian.mu)
        rows = (len(spins), self._repeats)
        energy, mu, drift = (
            np.array([getattr(one, name) for one in solved]).reshape(rows)
            for name in ("energy", "mu", "drift")
        )
        elements = np.array([one.elements for one in solved])
        field, density = self.hamiltonian.observe(np.repeat(spins, self._repeats, axis=0), elements)
        field, density = field.reshape(*rows, -1, 3), density.reshape(*rows, -1)
        stochastic, largest = self._spread(field, spins)
        truncation = 2.0 * self.scale * np.array([self._truncation(x) for x in mu.mean(axis=1)])
        error = largest + truncation + self.scale * drift.max(axis=1)
        if self.hamiltonian.T == 0:
            error += ONE_LEVEL * np.abs(self._beside(spins, mu[:, 0]) - field[:, 0]).max(axis=(1, 2))
        of_energy = np.zeros(len(spins)) if self._repeats == 1 else energy.std(axis=1, ddof=1)
        extra = {
            "stochastic_error": stochastic,
            "truncation_error": truncation,
            "energy_error": of_energy / np.sqrt(self._repeats),
        }
        return Labels(
            energy.mean(axis=1),
            field.mean(axis=1),
            density.mean(axis=1),
            mu.mean(axis=1),
            error,
            f"kpm/{'numba' if self.device == 'cpu' else 'cupy'}",
            time.perf_counter() - start,
            extra,
        )

    @cached_property
    def _sources(self) -> Probes:
        columns = self.hamiltonian.n_states if self.probes == "identity" else self.columns
        return Probes(self.hamiltonian, self.probes, columns)

    @property
    def _repeats(self) -> int:
        return 1 if self._sources.exact else self.repeats

    @cached_property
    def _make(self) -> Callable[[np.ndarray], Recursion]:
        """Spins -> recursion."""
        a, b, h = self.expansion.a, self.expansion.b, self.hamiltonian
        if isinstance(h, SDHamiltonian):
            stencil = Stencil(h)
            if self.device == "cpu":
                return lambda spins: LatticeRecursion(h, stencil, spins, a, b)
            from magsim.labelers.kpm.cuda import CudaRecursion

            xp = array_module(self.device)
            return lambda spins: CudaRecursion(h, stencil, spins, a, b, xp)
        if self.device != "cpu":
            raise ConfigError(
                "compute.device", self.device, "labeler=kpm has a GPU kernel for s-d models only."
            )
        return lambda spins: ProductRecursion(h, spins, a, b)

    def _position(self, a: float, b: float) -> float:
        """Where the Fermi level lies in the interval, -1..1; the middle, which needs most moments, where it
        is not known beforehand."""
        return 0.0 if self.hamiltonian.mu is None else float(np.clip((self.hamiltonian.mu - a) / b, -1, 1))

    def _truncation(self, mu: float) -> float:
        return truncation_error(self.expansion, (mu - self.expansion.a) / self.expansion.b)

    def _refuse_long(self, spins: np.ndarray) -> None:
        length = np.linalg.norm(spins, axis=-1).max(initial=0.0)
        if length > 1.0 + LONGEST:
            raise RunError(f"labeler=kpm: a spin has length {length:.6g}; its levels may leave the interval.")

    def _key(self, spins: np.ndarray, repeat: int) -> tuple[int, ...]:
        content = hashlib.sha256(np.ascontiguousarray(spins).tobytes()).digest() if self.redraw else b""
        words = [int.from_bytes(content[k : k + 4], "little") for k in range(0, len(content), 4)]
        return (self.seed, repeat, *words)

    def _solve(self, spins: np.ndarray, repeats: int, mu: float | None) -> list[Solution]:
        """Every repeat of every configuration, at mu or at the filling of the Hamiltonian."""
        h = self.hamiltonian
        ensemble = (mu, None if mu is not None else float(h.filling or 0.0) * h.n_states)
        threads = cores() if self.device == "cpu" else 1
        size = self.batch_size or max(1, 2 * threads // repeats)
        solved: list[Solution] = []
        with ThreadPoolExecutor(threads) as pool:
            for k in range(0, len(spins), size):
                batch = [(self._make(one), one) for one in spins[k : k + size]]
                traces = [Trace(made, self._key(one, r)) for made, one in batch for r in range(repeats)]
                solved += solve(traces, self._sources, self.expansion, ensemble, pool)
        return solved

    def _beside(self, spins: np.ndarray, mu: np.ndarray) -> np.ndarray:
        """Fields of the first repeat with mu ``(B,)`` raised by the smearing."""
        pairs = zip(spins, (mu + self.smearing).tolist(), strict=True)
        elements = np.array([self._solve(one[None], 1, x)[0].elements for one, x in pairs])
        return self.hamiltonian.observe(spins, elements)[0]

    def _spread(self, field: np.ndarray, spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From fields ``(B, repeats, N, 3)`` the standard error of a transverse component, rms over sites,
        and what covers the largest error of any component, both ``(B,)``.

        The mean of R repeats and the R - 1 orthonormal contrasts between them, all divided by sqrt(R), have
        errors of one distribution. The largest component of the mean's error is therefore as large as that
        of a contrast, up to luck: the mean of the latter times ``1.5 + 2/R`` covers it in 95 % of
        configurations or more (measured on chains to kagome, random and colour, R = 2 and 4; the quantile of
        a Gaussian with the standard error would not, because errors differ from site to site).
        """
        if self._repeats == 1:
            return np.zeros(len(field)), np.zeros(len(field))
        contrasts = np.einsum("kr,brnc->bknc", helmert(self._repeats), field) / np.sqrt(self._repeats)
        largest = np.abs(contrasts).max(axis=(2, 3)).mean(axis=1)
        return np.sqrt((transverse(contrasts, spins[:, None]) ** 2).mean(axis=(1, 2, 3))), (
            1.5 + 2.0 / self._repeats
        ) * largest
