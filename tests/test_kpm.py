"""labeler=kpm: the field is the gradient of its own energy, and both become exact where they should."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from effective_field_checks import Case, EffectiveFieldChecks, moved, tangent_directions

from magsim.arrays import set_cores
from magsim.dynamics import ExactField
from magsim.errors import ConfigError, RunError
from magsim.hamiltonian.electronic import Electrons, ProjectedDoubleExchange, SDHamiltonian
from magsim.labelers import EDLabeler, KPMLabeler, Labels
from magsim.labelers.kpm.bounds import spectral_interval
from magsim.labelers.kpm.cuda import CudaRecursion
from magsim.labelers.kpm.products import ProductRecursion
from magsim.labelers.kpm.stencil import LatticeRecursion, Stencil
from magsim.lattice import make_lattice
from magsim.spins import random_spins

LATTICES: dict[str, tuple[str, tuple[int, ...], Any, tuple[float, ...]]] = {
    "square": ("square", (4, 5), None, (1.0,)),
    "square, open along x": ("square", (5, 4), ("open", "periodic"), (1.0,)),
    "triangular t1-t3": ("triangular", (4, 5), None, (1.0, 0.0, -0.85)),
    "triangular, open": ("triangular", (3, 4), "open", (1.0,)),
    "kagome": ("kagome", (2, 3), None, (1.0,)),
    "honeycomb": ("honeycomb", (3, 3), ("periodic", "open"), (1.0, 0.2)),
    "cubic": ("cubic", (3, 2, 3), None, (1.0,)),
    "chain with images": ("chain", (2,), None, (1.0,)),
}
ENSEMBLES: tuple[dict[str, float], ...] = ({"mu": -1.2}, {"filling": 0.37})
COLUMNS = ("energy", "field", "density", "mu", "error")


def system(name: str, kind: type[Electrons] = SDHamiltonian, **keys: float) -> tuple[Any, np.ndarray]:
    crystal, shape, boundary, hopping = LATTICES[name]
    lattice = make_lattice(crystal, shape, boundary)
    if kind is SDHamiltonian:
        keys = {"J": 3.0, **keys}
    hamiltonian = kind(lattice=lattice, hopping=hopping, **{"T": 0.1, **keys})
    return hamiltonian, random_spins(lattice.n_sites, np.random.default_rng(5), (2,))


def same(a: Labels, b: Labels, tolerance: float, names: tuple[str, ...] = COLUMNS[:-1]) -> None:
    for name in names:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=("mu", "filling"))
@pytest.mark.parametrize("kind", [SDHamiltonian, ProjectedDoubleExchange], ids=("sd", "projected"))
@pytest.mark.parametrize("name", LATTICES)
def test_with_identity_probes_and_enough_moments_labels_are_exact(
    name: str, kind: type[Electrons], ensemble: dict[str, float]
) -> None:
    hamiltonian, spins = system(name, kind, **ensemble)
    exact = EDLabeler(hamiltonian).label(spins)
    labels = KPMLabeler(hamiltonian, probes="identity", tolerance=1e-9).label(spins)
    same(labels, exact, 1e-8)
    assert (labels.error < 1e-8).all()


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=("mu", "filling"))
@pytest.mark.parametrize("probes", ["colour", "random"])
@pytest.mark.parametrize("jackson", [False, True], ids=("plain", "jackson"))
def test_the_field_is_the_gradient_of_the_same_stochastic_energy(
    ensemble: dict[str, float], probes: str, jackson: bool
) -> None:
    """Few columns and few moments: the energy is far from the exact one, its gradient is not from its own."""
    lattice = make_lattice("triangular", (5, 6))
    hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0, 0.3), J=2.0, T=0.05, **ensemble)
    labeler = KPMLabeler(hamiltonian, probes=probes, columns=12, moments=60, jackson=jackson)
    spins = random_spins(lattice.n_sites, np.random.default_rng(1))
    exact = EDLabeler(hamiltonian).label(spins[None])
    h = 1e-3
    for direction in tangent_directions(spins, np.random.default_rng(2), 2) * np.sqrt(lattice.n_sites):
        path = [moved(spins, direction, k * h) for k in (-2, -1, 1, 2)]
        energy = labeler.label(np.stack(path)).energy
        slope = energy @ np.array([1.0, -8.0, 8.0, -1.0]) / (12 * h)
        labels = labeler.label(spins[None])
        assert abs(slope + (labels.field[0] * direction).sum()) < 1e-8
        assert np.abs(labels.field - exact.field).max() > 1e-2


class TestExactMode(EffectiveFieldChecks):
    @pytest.fixture(params=["square", "kagome"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        hamiltonian, _ = system(request.param, filling=0.37)
        labeler = KPMLabeler(hamiltonian, probes="identity", tolerance=1e-11)
        return Case(hamiltonian.lattice, ExactField(labeler), exact=1e-9)


class TestRecursions:
    """The fused kernel against products of a sparse matrix."""

    @pytest.mark.parametrize("name", LATTICES)
    @pytest.mark.parametrize("width", [1, 8])
    def test_the_fused_kernel_gives_what_sparse_products_give(self, name: str, width: int) -> None:
        hamiltonian, spins = system(name, mu=0.0)
        fused = LatticeRecursion(hamiltonian, Stencil(hamiltonian), spins[0], *spectral_interval(hamiltonian))
        compare(hamiltonian, spins[0], fused, width)

    @pytest.mark.parametrize("cache", [0, 2**14, 2**30])
    def test_the_depth_of_the_wave_changes_nothing(
        self, cache: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("magsim.labelers.kpm.stencil.CACHE", cache)
        hamiltonian, spins = system("triangular t1-t3", mu=0.0)
        fused = LatticeRecursion(hamiltonian, Stencil(hamiltonian), spins[0], *spectral_interval(hamiltonian))
        compare(hamiltonian, spins[0], fused, 5)

    def test_the_way_back_is_stable_over_thousands_of_steps(self) -> None:
        """Recomputed backwards, alpha_0 comes back to rounding, also with a level at the edge."""
        lattice = make_lattice("square", (6, 6))
        hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), J=3.0, T=0.1, mu=0.0)
        spins = np.tile([0.0, 0.0, 1.0], (36, 1))  # the ferromagnet fills the interval
        recursion = LatticeRecursion(
            hamiltonian, Stencil(hamiltonian), spins, *spectral_interval(hamiltonian)
        )
        columns = np.eye(72, 8) + 0j
        weights = np.zeros(4096)
        _, state = recursion.forward(columns, 4096)
        assert recursion.backward(columns, state, weights, weights)[1] < 1e-11

    @pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
    @pytest.mark.parametrize("width", [1, 32])
    def test_the_source_of_the_gpu_kernel_run_lane_by_lane_gives_the_same(
        self, tmp_path: Path, width: int
    ) -> None:
        hamiltonian, spins = system("triangular t1-t3", mu=0.0)
        interval = spectral_interval(hamiltonian)
        xp: Any = OneLane(tmp_path)
        compare(
            hamiltonian,
            spins[0],
            CudaRecursion(hamiltonian, Stencil(hamiltonian), spins[0], *interval, xp),
            width,
        )


def compare(hamiltonian: Electrons, spins: np.ndarray, fused: Any, width: int) -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(hamiltonian.n_states, width, 2)) @ np.array([1, 1j])
    p, q = rng.normal(size=(2, 21))
    plain = ProductRecursion(hamiltonian, spins, *spectral_interval(hamiltonian))
    results = []
    for recursion in (fused, plain):
        pairs, state = recursion.forward(columns, 21)
        elements, drift = recursion.backward(columns, state, p, q)
        assert drift < 1e-12
        results.append((pairs, elements))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=0, atol=1e-11 * width)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-9 * width)


class OneLane:
    """numpy in the place of cupy, with kernels compiled for the CPU and run thread by thread."""

    HEAD = """
    #define LANES 1
    #define __device__ static
    #define __global__
    #define __shfl_down_sync(mask, x, k) (x)
    struct double2 { double x, y; };
    static double2 make_double2(double x, double y) { return {x, y}; }
    struct Index { int x, y; };
    static Index blockIdx, blockDim, threadIdx;
    extern "C" void place(int block, int thread, int threads) {
      blockIdx.x = block; threadIdx.x = 0; threadIdx.y = thread; blockDim.y = threads;
    }
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    asnumpy = staticmethod(np.asarray)

    def RawKernel(self, source: str, name: str, options: tuple[str, ...]) -> Any:
        library = self.folder / "kernels.so"
        if not library.exists():
            (self.folder / "kernels.cpp").write_text(self.HEAD + source)
            command = ["g++", "-O1", "-shared", "-fPIC", "-o", library, self.folder / "kernels.cpp"]
            subprocess.run(command, check=True)
        loaded = ctypes.CDLL(str(library))

        def run(grid: tuple[int], block: tuple[int, int], arguments: tuple[Any, ...]) -> None:
            kinds = {np.int32: ctypes.c_int, np.float64: ctypes.c_double}
            given = [
                ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else kinds[type(a)](a)
                for a in arguments
            ]
            for where, thread in product(range(grid[0]), range(block[1])):
                loaded.place(where, thread, block[1])
                loaded[name](*given)

        return run


class TestReproducibility:
    lattice = make_lattice("square", (6, 6))
    hamiltonian = SDHamiltonian(lattice=lattice, hopping=(1.0,), J=2.0, filling=0.3, T=0.1)
    spins = random_spins(36, np.random.default_rng(0), (3,))

    @pytest.mark.parametrize("redraw", [False, True])
    def test_labels_do_not_depend_on_batch_or_cores(self, redraw: bool) -> None:
        def labels(batch_size: int | None, spins: np.ndarray) -> Labels:
            return KPMLabeler(self.hamiltonian, columns=16, redraw=redraw, batch_size=batch_size).label(spins)

        whole = labels(None, self.spins)
        alone = labels(None, self.spins[1:2])
        set_cores(1)
        try:
            serial = labels(1, self.spins)
        finally:
            set_cores(None)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(whole, name), getattr(serial, name))
            np.testing.assert_array_equal(getattr(whole, name)[1:2], getattr(alone, name))

    def test_the_seed_and_only_with_redraw_the_configuration_choose_the_phases(self) -> None:
        """A common rotation of the spins changes nothing but what the phases see."""

        def energy(spins: np.ndarray, **keys: Any) -> float:
            return float(KPMLabeler(self.hamiltonian, columns=16, **keys).label(spins[None]).energy[0])

        one, half_turn = self.spins[0], self.spins[0] * [-1.0, -1.0, 1.0]  # a diagonal gauge change
        assert energy(one, seed=1) != energy(one, seed=2)
        assert energy(one) == pytest.approx(energy(half_turn), abs=1e-10)
        assert abs(energy(one, redraw=True) - energy(half_turn, redraw=True)) > 1e-6

    def test_vectors_that_do_not_fit_in_memory_are_made_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = KPMLabeler(self.hamiltonian, columns=16).label(self.spins)
        monkeypatch.setattr("magsim.labelers.kpm.trace.MEMORY", 0)
        same(KPMLabeler(self.hamiltonian, columns=16).label(self.spins), kept, 0.0, COLUMNS)


class TestRefusals:
    def test_what_cannot_be_answered_is_refused_in_a_sentence(self) -> None:
        sd, _ = system("square", mu=0.0)
        cold, _ = system("square", mu=0.0, T=0.0)
        projected, _ = system("square", ProjectedDoubleExchange, mu=0.0)
        for hamiltonian, keys, key in (
            (sd, {"moments": 7}, "labeler.moments"),
            (sd, {"jackson": True}, "labeler.moments"),
            (sd, {"columns": 8, "repeats": 1}, "labeler.repeats"),
            (sd, {"columns": 1}, "labeler.columns"),
            (sd, {"probes": "haar"}, "labeler.probes"),
            (cold, {"smearing": 0.0}, "labeler.smearing"),
            (projected, {"columns": 4}, "labeler.probes"),
        ):
            with pytest.raises(ConfigError) as refusal:
                KPMLabeler(hamiltonian, **keys)
            assert refusal.value.key == key

    def test_spins_that_push_levels_out_of_the_interval_are_refused(self) -> None:
        hamiltonian, spins = system("square", mu=0.0)
        with pytest.raises(RunError, match="length"):
            KPMLabeler(hamiltonian).label(1.01 * spins)

    def test_everything_that_determines_labels_is_in_the_identity(self) -> None:
        hamiltonian, _ = system("square", mu=0.0)
        given = KPMLabeler(hamiltonian, columns=8).identity()
        for change in (
            {"columns": 10},
            {"repeats": 3},
            {"seed": 1},
            {"redraw": True},
            {"moments": 64},
            {"tolerance": 1e-5},
            {"moments": 64, "jackson": True},
            {"probes": "random"},
            {"probes": "identity"},
        ):
            assert KPMLabeler(hamiltonian, **{"columns": 8, **change}).identity() != given
        assert KPMLabeler(hamiltonian, columns=8, batch_size=3).identity() == given


@pytest.mark.gpu
@pytest.mark.parametrize("probes", ["colour", "random", "identity"])
@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=("mu", "filling"))
def test_labels_on_the_gpu_equal_those_on_the_cpu(probes: str, ensemble: dict[str, float]) -> None:
    hamiltonian, spins = system("triangular t1-t3", **ensemble)
    cpu = KPMLabeler(hamiltonian, probes=probes, columns=12).label(spins)
    gpu = KPMLabeler(hamiltonian, probes=probes, columns=12, device="cuda").label(spins)
    assert gpu.method == "kpm/cupy"
    same(gpu, cpu, 1e-10)
