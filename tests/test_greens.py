"""Labels from Green's functions: equal to exact diagonalisation, with the error they state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from effective_field_checks import Case, EffectiveFieldChecks
from hypothesis import given, settings
from hypothesis import strategies as st
from test_labelers import CASES, build

from magsim.arrays import set_cores
from magsim.dynamics import ExactField
from magsim.hamiltonian.electronic import Electrons, SDHamiltonian
from magsim.labelers import EDLabeler, GreensLabeler, Labels
from magsim.labelers.ensemble import fermi, grand_potential
from magsim.labelers.greens.block_inverse import block_inverse
from magsim.labelers.greens.dissection import dissect
from magsim.labelers.greens.rational import fermi_poles
from magsim.labelers.greens.selected_inverse import SelectedInverse
from magsim.lattice import make_lattice
from magsim.spins import normalise, random_spins, rng, tetrahedral

LATTICES = {
    "square": ("square", (6, 5), (1.0,)),
    "triangular": ("triangular", (6, 6), (1.0,)),
    "kagome": ("kagome", (3, 4), (1.0,)),
    "triangular t1 t3": ("triangular", (7, 6), (1.0, 0.0, -0.85)),
}
BOUNDARIES = {"periodic": ["periodic"] * 2, "open": ["open"] * 2, "mixed": ["open", "periodic"]}
ENSEMBLES = {"grand": {"mu": -1.7}, "canonical": {"filling": 0.3}}


def pair(lattice: str, boundary: str, ensemble: str, T: float, precision: str) -> tuple[Labels, Labels]:
    """Labels of exact diagonalisation and of Green's functions for the same spins."""
    name, shape, hopping = LATTICES[lattice]
    sites = make_lattice(name, shape, BOUNDARIES[boundary])
    hamiltonian = SDHamiltonian(sites, hopping, T=T, J=3.0, **ENSEMBLES[ensemble])
    spins = random_spins(sites.n_sites, rng(3, lattice), (2,))
    return EDLabeler(hamiltonian).label(spins), GreensLabeler(hamiltonian, precision=precision).label(spins)


def difference(a: Labels, b: Labels, name: str) -> float:
    return float(np.abs(getattr(a, name) - getattr(b, name)).max())


@pytest.mark.parametrize("T", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("lattice", LATTICES)
def test_greens_is_exact_diagonalisation_to_1e_9(
    lattice: str, boundary: str, ensemble: str, T: float
) -> None:
    exact, found = pair(lattice, boundary, ensemble, T, "complex128")
    for name in ("field", "density", "energy", "mu"):
        assert difference(exact, found, name) < 1e-9, name
    assert difference(exact, found, "field") <= found.error.min() < 1e-9


@pytest.mark.parametrize("T", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("lattice", LATTICES)
def test_in_single_precision_it_is_exact_to_3e_6(lattice: str, ensemble: str, T: float) -> None:
    exact, found = pair(lattice, "periodic", ensemble, T, "complex64")
    for name in ("field", "density"):
        assert difference(exact, found, name) < 3e-6, name
    # where few levels lie near mu, the number of electrons hardly depends on it
    assert difference(exact, found, "mu") < (3e-6 if T > 0.01 else 3e-5)
    assert difference(exact, found, "energy") < 3e-6 * len(exact.field[0])
    assert difference(exact, found, "field") <= found.error.min() < 1e-5


# ten times longer than the others, which cover the same paths
LONG = ("honeycomb canonical", "projected kagome open")


class TestGreensFields(EffectiveFieldChecks):
    @pytest.fixture(
        params=[
            pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
            for name, (*_, options) in CASES.items()
            if options.get("T")
        ]
    )
    def case(self, request: pytest.FixtureRequest) -> Case:
        lattice, hamiltonian = build(request.param)
        return Case(lattice, ExactField(GreensLabeler(hamiltonian)), gradient=1e-7, exact=1e-8)


@pytest.mark.parametrize("ensemble", [{"mu": -3.2}, {"filling": 0.25}])
def test_zero_temperature_in_a_gap_is_the_limit_of_low_temperature(ensemble: dict[str, float]) -> None:
    lattice = make_lattice("triangular", (6, 6))
    hamiltonian = SDHamiltonian(lattice, (1.0,), J=3.0, **ensemble)
    spins = normalise(tetrahedral(lattice) + 0.2 * random_spins(36, rng(1, "gap"), (1,)))
    exact, found = EDLabeler(hamiltonian).label(spins), GreensLabeler(hamiltonian).label(spins)
    for name in ("field", "density", "energy"):
        assert difference(exact, found, name) < 1e-9, name
    assert found.error[0] < 1e-8


@pytest.mark.parametrize("ensemble", [{"mu": -1.0}, {"filling": 0.4}])
@pytest.mark.parametrize("smearing", [0.1, 0.05, 0.02])  # levels are about 0.05 apart
def test_at_zero_temperature_in_a_metal_the_stated_error_is_that_of_the_smearing(
    smearing: float, ensemble: dict[str, float]
) -> None:
    """Levels within the smearing of mu are partly filled: the label is off, and says by how much."""
    lattice = make_lattice("square", (8, 8))
    base = SDHamiltonian(lattice, (1.0,), J=1.0, **ensemble)
    spins = random_spins(64, rng(2, "metal"), (6,))
    found = GreensLabeler(base, smearing=smearing).label(spins)
    true = np.abs(found.field - EDLabeler(base).label(spins).field).max(axis=(1, 2))
    assert true.max() > 1e-3
    assert (found.error > true).all()
    assert np.median(found.error / true) < 5


def test_the_poles_represent_the_fermi_function_within_the_stated_error() -> None:
    for T, tolerance, most in ((0.2, 1e-8, 8), (0.05, 1e-8, 11), (0.01, 1e-10, 17), (1e-4, 1e-11, 36)):
        poles = fermi_poles(-9.0, 9.0, -3.2, T, tolerance)
        near = -3.2 + T * np.linspace(-30, 30, 2001)
        levels = np.sort(np.concatenate([np.linspace(-9, 9, 5001), near[np.abs(near) < 9]]))[None]
        terms = 1 / (poles.poles - levels[0][:, None])
        occupation = poles.constant + 2 * (terms @ poles.weights).real
        mu = np.array([-3.2])
        assert np.abs(occupation - fermi(levels, mu, T)).max() < 1.1 * poles.error + 1e-13
        assert poles.error < tolerance
        assert len(poles.poles) <= most
        logs = np.log(poles.poles - levels[0][:, None])
        omega = poles.offset + poles.constant * levels[0] - 2 * (logs @ poles.weights).real
        exact = np.array([grand_potential(levels[:, k : k + 1], mu, T)[0] for k in range(levels.shape[1])])
        assert np.abs(omega - exact).max() < 1.1 * poles.energy_error + 1e-12


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["chain", "square", "triangular", "honeycomb", "kagome", "cubic"]),
    sides=st.tuples(*[st.integers(3, 6)] * 3),
    closed=st.tuples(*[st.booleans()] * 3),
    leaf=st.sampled_from([4, 10, 40]),
    shells=st.integers(1, 2),
)
def test_selected_inversion_gives_elements_of_the_inverse_and_the_determinant(
    name: str, sides: tuple[int, ...], closed: tuple[bool, ...], leaf: int, shells: int
) -> None:
    dim = {"chain": 1, "cubic": 3}.get(name, 2)
    sides = tuple(min(n, 4) for n in sides) if dim == 3 else sides
    boundary = ["periodic" if c else "open" for c in closed[:dim]]
    lattice = make_lattice(name, sides[:dim], boundary)
    h = SDHamiltonian(lattice, (1.0, 0.4)[:shells], mu=0.0, J=2.0)
    matrix = h.sparse(random_spins(lattice.n_sites, rng(4, name)))
    matrix.sort_indices()
    cells = np.repeat(lattice.cells, 2 * lattice.n_basis, axis=0)
    levels = dissect(matrix, cells, lattice.shape, lattice.periodic, leaf)
    entries = matrix.tocoo()
    shifts = np.array([0.3 + 0.2j, -1.0 + 1.5j])
    solve = SelectedInverse(matrix, levels, entries.row, entries.col)
    elements, log_det = solve(shifts, matrix.data[None].repeat(2, axis=0))
    for k, z in enumerate(shifts):
        dense = z * np.eye(h.n_states) - matrix.toarray()
        assert np.abs(elements[k] - np.linalg.inv(dense)[entries.row, entries.col]).max() < 1e-12
        assert abs(log_det[k] - np.log(z - np.linalg.eigvalsh(matrix.toarray())).sum()) < 1e-10


def test_every_state_is_eliminated_once_and_after_what_it_encloses() -> None:
    lattice = make_lattice("triangular", (9, 7))
    h = SDHamiltonian(lattice, (1.0,), mu=0.0, J=1.0)
    matrix = h.sparse(random_spins(63, rng(0, "order")))
    levels = dissect(matrix, np.repeat(lattice.cells, 2, axis=0), lattice.shape, lattice.periodic, leaf=8)
    states = np.concatenate([level.inner[level.inner >= 0] for level in levels])
    assert sorted(states) == list(range(126))
    gone: set[int] = set()
    for level in levels:
        for inner, outer in zip(level.inner, level.outer, strict=True):
            own, later = set(inner[inner >= 0].tolist()), set(outer[outer >= 0].tolist())
            assert not later & (gone | own)
            reached = set(matrix[sorted(own)].indices.tolist())
            assert reached <= own | later | gone
        gone |= set(level.inner[level.inner >= 0].tolist())
    assert levels[-1].outer.size == 0


def test_a_block_inverse_without_pivoting_keeps_the_branch_of_the_logarithm() -> None:
    random = np.random.default_rng(0)
    for size in (1, 7, 16, 17, 50):
        m = random.normal(size=(3, 2, size, size)) + 1j * random.normal(size=(3, 2, size, size))
        hermitian = m + m.conj().swapaxes(-1, -2)
        blocks = 0.1j * np.eye(size) - hermitian
        inverse = blocks.copy()
        logs = block_inverse(inverse)
        assert np.abs(inverse @ blocks - np.eye(size)).max() < 1e-11
        levels = np.linalg.eigvalsh(hermitian)
        assert np.abs(logs - np.log(0.1j - levels).sum(axis=(1, 2))).max() < 1e-10


@pytest.mark.parametrize("name", ["triangular grand T=0.1", "square canonical T=0.2"])
def test_a_label_is_bitwise_the_same_in_any_batch_and_on_any_number_of_threads(name: str) -> None:
    lattice, hamiltonian = build(name)
    spins = random_spins(lattice.n_sites, rng(5, "batch"), (5,))
    together = GreensLabeler(hamiltonian).label(spins)
    others = [GreensLabeler(hamiltonian, batch_size=2).label(spins)]
    for threads in (1, 3):
        set_cores(threads)
        try:
            others.append(GreensLabeler(hamiltonian, batch_size=1).label(spins))
        finally:
            set_cores(None)
    for other in others:
        for what in ("field", "density", "energy", "mu", "error"):
            assert difference(together, other, what) == 0.0


def test_an_element_off_the_pattern_is_refused() -> None:
    lattice = make_lattice("square", (8, 8), ["open", "open"])
    matrix = SDHamiltonian(lattice, (1.0,), mu=0.0).sparse(random_spins(64, rng(0)))
    levels = dissect(matrix, np.repeat(lattice.cells, 2, axis=0), lattice.shape, lattice.periodic, leaf=8)
    with pytest.raises(ValueError, match="pattern"):
        SelectedInverse(matrix, levels, np.array([0]), np.array([126]))


def test_identity_names_the_smearing_only_where_it_matters() -> None:
    _, hamiltonian = build("triangular grand T=0.1")
    assert "smearing" not in GreensLabeler(hamiltonian).identity()
    cold: Electrons = replace(hamiltonian, T=0.0)
    assert GreensLabeler(cold).identity()["smearing"] == 1e-4
