"""Exact diagonalisation: energies, fields, ensembles, degeneracy, symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from effective_field_checks import Case, EffectiveFieldChecks

from magsim.dynamics import ExactField
from magsim.hamiltonian.electronic import Electrons, ProjectedDoubleExchange, SDHamiltonian
from magsim.labelers import EDLabeler
from magsim.labelers.ensemble import canonical_T0, fermi, grand_potential, solve_mu
from magsim.lattice import Lattice, make_lattice
from magsim.spins import ferromagnet, neel, random_spins, transverse

# lattice, Hamiltonian, ensemble; every lattice, both ensembles, T = 0 and above, both Hamiltonians
CASES = {
    "triangular grand T=0.1": (("triangular", (4, 4)), SDHamiltonian, {"J": 3.0, "mu": -3.2, "T": 0.1}),
    "triangular grand T=0": (("triangular", (3, 4)), SDHamiltonian, {"J": 3.0, "mu": -3.21}),
    "square canonical T=0": (("square", (4, 4)), SDHamiltonian, {"J": 6.0, "filling": 15 / 32}),
    "square canonical T=0.2": (("square", (4, 3)), SDHamiltonian, {"J": 1.0, "filling": 0.37, "T": 0.2}),
    "square t1 t2 t3": (
        ("square", (5, 5)),
        SDHamiltonian,
        {"J": 0.7, "mu": 0.1, "T": 0.1, "hopping": (1, 0.3, 0.5)},
    ),
    "chain open": (("chain", (7,), "open"), SDHamiltonian, {"J": 1.0, "mu": -0.5, "T": 0.1}),
    "honeycomb canonical": (("honeycomb", (3, 3)), SDHamiltonian, {"J": 2.0, "filling": 0.4, "T": 0.1}),
    "kagome grand": (("kagome", (3, 3)), SDHamiltonian, {"J": 2.0, "mu": -2.0, "T": 0.1}),
    "kagome open canonical T=0": (("kagome", (2, 3), "open"), SDHamiltonian, {"J": 2.0, "filling": 13 / 36}),
    "cubic half open": (
        ("cubic", (2, 3, 2), ["open", "periodic", "periodic"]),
        SDHamiltonian,
        {"J": 1.5, "mu": -1.0, "T": 0.1},
    ),
    "projected square canonical T=0": (("square", (4, 4)), ProjectedDoubleExchange, {"filling": 7 / 16}),
    "projected triangular grand": (("triangular", (4, 4)), ProjectedDoubleExchange, {"mu": -1.0, "T": 0.1}),
    "projected kagome open": (
        ("kagome", (2, 3), "open"),
        ProjectedDoubleExchange,
        {"filling": 0.3, "T": 0.1, "hopping": (1.0, 0.2)},
    ),
}


def build(name: str) -> tuple[Lattice, Electrons]:
    arguments, kind, options = CASES[name]
    lattice = make_lattice(*arguments)
    return lattice, kind(lattice=lattice, **({"hopping": (1.0,)} | options))


class TestExactFields(EffectiveFieldChecks):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest) -> Case:
        lattice, hamiltonian = build(request.param)
        return Case(lattice, ExactField(EDLabeler(hamiltonian)), gradient=1e-7, exact=1e-9)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("projected")])
def test_the_sd_field_is_the_whole_gradient_also_along_the_spin(name: str) -> None:
    """H is linear in S, which need not be a unit vector for the Hellmann-Feynman theorem."""
    lattice, hamiltonian = build(name)
    labeler, h = EDLabeler(hamiltonian), 2e-4
    spins = random_spins(lattice.n_sites, np.random.default_rng(0))
    push = np.zeros((3, *spins.shape))
    push[np.arange(3), [0, 1, 2], [0, 1, 2]] = h  # one component of three sites
    push[2, 2] = h * spins[2]  # purely longitudinal
    energy = labeler.label(np.concatenate([spins + k * push for k in (-2, -1, 1, 2)])).energy.reshape(4, 3)
    slope = np.array([1, -8, 8, -1]) @ energy / (12 * h)
    field = labeler.label(spins[None]).field[0]
    np.testing.assert_allclose(slope, -(field * push / h).sum((1, 2)), atol=1e-7)


class TestProjectedLimit:
    """Finite J at fixed filling approaches the projected band: E -> E_proj - J N_e + O(t^2/J)."""

    lattice = make_lattice("square", (4, 3))
    spins = random_spins(12, np.random.default_rng(4), (2,))

    def differences(self, J: float) -> tuple[float, float, float]:
        limit = EDLabeler(
            ProjectedDoubleExchange(lattice=self.lattice, hopping=(1.0, 0.2), filling=5 / 12)
        ).label(self.spins)
        finite = EDLabeler(
            SDHamiltonian(lattice=self.lattice, hopping=(1.0, 0.2), filling=5 / 24, J=J)
        ).label(self.spins)
        return (
            float(np.abs(finite.energy + J * 5 - limit.energy).max()),
            float(np.abs(transverse(finite.field - limit.field, self.spins)).max()),
            float(np.abs(finite.density - limit.density).max()),
        )

    def test_energy_torque_and_density_converge_as_one_over_J(self) -> None:
        near, far = self.differences(200.0), self.differences(2000.0)
        for a, b in zip(near, far, strict=True):
            assert b < 1e-2
            assert a / b == pytest.approx(10, rel=0.05)


class TestEnsembles:
    lattice = make_lattice("triangular", (4, 4))
    spins = random_spins(16, np.random.default_rng(2), (3,))

    def labels(self, **ensemble: float):
        return EDLabeler(SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=1.4, **ensemble)).label(
            self.spins
        )

    @pytest.mark.parametrize("T", [0.0, 0.05, 0.5])
    @pytest.mark.parametrize("filling", [0.1, 0.25, 0.5, 0.7])
    def test_the_canonical_density_is_the_filling(self, T: float, filling: float) -> None:
        np.testing.assert_allclose(
            self.labels(filling=filling, T=T).density.sum(axis=1), 32 * filling, rtol=1e-12
        )

    @pytest.mark.parametrize("T", [0.0, 0.1])
    def test_canonical_and_grand_canonical_labels_agree_at_the_same_mu(self, T: float) -> None:
        """F = Omega + mu N_e, and both have the same field: mu is stationary."""
        canonical = self.labels(filling=0.375, T=T)
        for k in range(3):
            grand = EDLabeler(
                SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=1.4, mu=float(canonical.mu[k]), T=T)
            ).label(self.spins[k : k + 1])
            assert grand.energy[0] + canonical.mu[k] * 12 == pytest.approx(canonical.energy[k], abs=1e-10)
            np.testing.assert_allclose(grand.field[0], canonical.field[k], atol=1e-10)
            np.testing.assert_allclose(grand.density[0], canonical.density[k], atol=1e-10)

    def test_the_number_of_electrons_is_minus_the_slope_of_omega_in_mu(self) -> None:
        h = 1e-4
        low, high = (self.labels(mu=-1.0 + s * h, T=0.1).energy for s in (-1, 1))
        np.testing.assert_allclose(
            (low - high) / (2 * h), self.labels(mu=-1.0, T=0.1).density.sum(axis=1), atol=1e-6
        )

    def test_low_temperature_approaches_zero_temperature(self) -> None:
        cold, zero = self.labels(filling=0.375, T=1e-4), self.labels(filling=0.375, T=0.0)
        np.testing.assert_allclose(cold.energy, zero.energy, atol=1e-9)
        np.testing.assert_allclose(cold.field, zero.field, atol=1e-9)

    def test_the_chemical_potential_at_zero_temperature_lies_in_the_gap(self) -> None:
        labels = self.labels(filling=0.375)
        levels = np.linalg.eigvalsh(
            SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=1.4, filling=0.375).dense(self.spins)
        )
        np.testing.assert_allclose(labels.mu, 0.5 * (levels[:, 11] + levels[:, 12]))

    def test_an_integer_mu_gives_the_labels_of_the_same_float(self) -> None:
        whole, real = self.labels(mu=-1, T=0.1), self.labels(mu=-1.0, T=0.1)
        assert whole.mu.dtype == np.float64
        np.testing.assert_array_equal(whole.field, real.field)


class TestDegenerateLevels:
    """A ferromagnet on the 4x4 square lattice has six states at the middle of each band."""

    lattice = make_lattice("square", (4, 4))
    spins = ferromagnet(lattice)[None]

    @pytest.mark.parametrize("electrons", [6, 7, 8, 9, 10])
    def test_an_open_shell_is_shared_evenly(self, electrons: int) -> None:
        hamiltonian = SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=8.0, filling=electrons / 32)
        labels = EDLabeler(hamiltonian).label(self.spins)
        np.testing.assert_allclose(labels.density, electrons / 16, atol=1e-12)
        np.testing.assert_allclose(labels.field, [[[0, 0, 8.0 * electrons / 16]] * 16], atol=1e-11)
        assert labels.mu[0] == pytest.approx(-8.0, abs=1e-9)
        # levels -4, -2 (four times), then the shell at zero
        filled = -4 - 8 + (-8.0) * electrons + 0.0
        assert labels.energy[0] == pytest.approx(filled, abs=1e-10)

    def test_it_is_the_limit_of_low_temperature(self) -> None:
        options = {"lattice": self.lattice, "hopping": (1.0,), "J": 8.0, "filling": 8 / 32}
        zero = EDLabeler(SDHamiltonian(**options)).label(self.spins)
        entropy_free = []
        for T in (1e-2, 1e-3):
            cold = EDLabeler(SDHamiltonian(**options, T=T)).label(self.spins)
            np.testing.assert_allclose(cold.field, zero.field, atol=1e-10)
            np.testing.assert_allclose(cold.density, zero.density, atol=1e-10)
            entropy_free.append(float(cold.energy[0] - zero.energy[0]))
        # F - E = -T ln of the weight of half filling a six-fold shell: linear in T
        assert entropy_free[0] / entropy_free[1] == pytest.approx(10, rel=1e-3)
        assert entropy_free[1] == pytest.approx(-1e-3 * 6 * np.log(2), rel=1e-6)

    def test_a_level_at_the_chemical_potential_is_half_filled(self) -> None:
        hamiltonian = SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=8.0, mu=-8.0)
        labels = EDLabeler(hamiltonian).label(self.spins)
        np.testing.assert_allclose(labels.density, 8 / 16, atol=1e-12)
        np.testing.assert_allclose(labels.energy, -(4 + 4 * 2), atol=1e-10)

    def test_the_projected_ferromagnet_too(self) -> None:
        hamiltonian = ProjectedDoubleExchange(lattice=self.lattice, hopping=(1.0,), filling=0.5)
        labels = EDLabeler(hamiltonian).label(self.spins)
        np.testing.assert_allclose(labels.density, 0.5, atol=1e-12)
        np.testing.assert_allclose(labels.field, 0, atol=1e-12)

    def test_the_doubly_degenerate_antiferromagnet_keeps_its_sublattices_equal(self) -> None:
        hamiltonian = SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=2.0, filling=11 / 32)
        spins = neel(self.lattice)[None]
        labels = EDLabeler(hamiltonian).label(spins)
        np.testing.assert_allclose(labels.density, 11 / 16, atol=1e-12)
        np.testing.assert_allclose(transverse(labels.field, spins), 0, atol=1e-12)


class TestBatching:
    lattice = make_lattice("triangular", (3, 3))
    spins = random_spins(9, np.random.default_rng(0), (7,))

    def test_the_batch_size_changes_nothing(self) -> None:
        hamiltonian = SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=2.0, mu=-2.0, T=0.1)
        whole = EDLabeler(hamiltonian).label(self.spins)
        for size in (1, 3, 7):
            parts = EDLabeler(hamiltonian, batch_size=size).label(self.spins)
            for name in ("energy", "field", "density", "mu", "error"):
                np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=0, atol=1e-12)
        assert whole.method == "ed/numpy"
        assert whole.wall_time > 0

    def test_the_error_estimate_covers_the_rounding_of_the_field(self) -> None:
        """The same spins turned in spin space: what the field differs by is rounding."""
        hamiltonian = SDHamiltonian(lattice=self.lattice, hopping=(1.0,), J=3.0, mu=-3.2, T=0.02)
        turned = self.spins[..., [1, 2, 0]]
        a, b = (EDLabeler(hamiltonian).label(spins) for spins in (self.spins, turned))
        difference = np.abs(a.field[..., [1, 2, 0]] - b.field).max(axis=(1, 2))
        assert (a.error < 1e-10).all()
        assert (difference < 50 * a.error).all()


class TestOccupations:
    levels = np.sort(np.random.default_rng(0).normal(size=(4, 30)), axis=1)

    def test_mu_at_finite_temperature_gives_the_electrons(self) -> None:
        for T in (1e-3, 0.1, 10.0):
            mu = solve_mu(self.levels, 11.3, T)
            np.testing.assert_allclose(fermi(self.levels, mu, T).sum(axis=1), 11.3, rtol=1e-12)

    def test_zero_temperature_fills_from_below_and_splits_a_fraction(self) -> None:
        occupation, mu = canonical_T0(self.levels, 11.3)
        np.testing.assert_array_equal(occupation[:, :11], 1)
        np.testing.assert_allclose(occupation[:, 11], 0.3)
        np.testing.assert_array_equal(occupation[:, 12:], 0)
        np.testing.assert_array_equal(mu, self.levels[:, 11])

    def test_the_grand_potential_at_low_temperature_neither_overflows_nor_loses_digits(self) -> None:
        mu = np.zeros(4)
        zero = np.minimum(self.levels, 0).sum(axis=1)
        np.testing.assert_allclose(grand_potential(self.levels, mu, 1e-9), zero, rtol=1e-12)
        np.testing.assert_allclose(grand_potential(self.levels, mu, 0.0), zero)
        T = 0.4
        plain = -T * np.log(1 + np.exp(-self.levels / T)).sum(axis=1)
        np.testing.assert_allclose(grand_potential(self.levels, mu, T), plain, rtol=1e-13)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_labels_on_the_gpu_equal_those_on_the_cpu(name: str) -> None:
    lattice, hamiltonian = build(name)
    spins = random_spins(lattice.n_sites, np.random.default_rng(0), (5,))
    cpu = EDLabeler(hamiltonian).label(spins)
    gpu = EDLabeler(hamiltonian, device="cuda").label(spins)
    assert gpu.method == "ed/cupy"
    for label in ("energy", "field", "density", "mu"):
        assert isinstance(getattr(gpu, label), np.ndarray)
        np.testing.assert_allclose(getattr(gpu, label), getattr(cpu, label), rtol=0, atol=1e-10)


@pytest.mark.gpu
def test_degenerate_levels_on_the_gpu_are_shared_evenly() -> None:
    lattice = make_lattice("square", (4, 4))
    hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), J=8.0, filling=8 / 32)
    labels = EDLabeler(hamiltonian, device="cuda").label(ferromagnet(lattice)[None])
    np.testing.assert_allclose(labels.density, 0.5, atol=1e-12)
