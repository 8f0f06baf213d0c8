"""Green's functions on a GPU: what only runs there, and its kernel run on a CPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_labelers import build

from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers import GreensLabeler, Labels
from magsim.labelers.greens import cuda
from magsim.labelers.greens.block_inverse import block_inverse
from magsim.lattice import make_lattice
from magsim.spins import random_spins, rng

HARNESS = """
#include <barrier>
#include <complex>
#include <thread>
#include <vector>
using std::complex, std::conj, std::real, std::imag, std::arg;  // as complex.cuh does
#define __global__
struct Three { int x, y; };
thread_local Three threadIdx, blockIdx;
const Three blockDim{4, 4};
std::barrier barrier(16);
void __syncthreads() { barrier.arrive_and_wait(); }
alignas(16) char memory[1 << 16];
"""
MAIN = """
extern "C" void launch(int count, number* m, long long matrix, long long row, int n, number* pivots) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t) threads.emplace_back([=] {
        threadIdx = {t % 4, t / 4};
        for (int b = 0; b < count; ++b) { blockIdx = {b, 0}; eliminate(m, matrix, row, n, pivots); }
    });
    for (auto& thread : threads) thread.join();
}
"""


def difference(a: Labels, b: Labels, name: str) -> float:
    return float(np.abs(getattr(a, name) - getattr(b, name)).max())


class HostCupy:
    """numpy in the place of cupy; a kernel is compiled for the CPU, its threads run side by side."""

    empty, ascontiguousarray = staticmethod(np.empty), staticmethod(np.ascontiguousarray)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def RawKernel(self, code: str, name: str) -> Any:
        assert name == "eliminate"
        real = "float" if "typedef float" in code else "double"
        body = code.replace("#include <cupy/complex.cuh>", "")
        body = body.replace("extern __shared__ __align__(16) char shared[];", "char* shared = memory;")
        source, library = self.folder / f"{real}.cpp", self.folder / f"{real}.so"
        source.write_text(HARNESS + body + MAIN)
        command = ["g++", "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-o", library, source]
        subprocess.run(command, check=True)
        launch = ctypes.CDLL(str(library)).launch

        def kernel(grid: Any, block: Any, arguments: Any, shared_mem: int) -> None:
            m, matrix, row, n, pivots = arguments
            assert shared_mem == (n * n + n) * m.itemsize <= 48 * 1024
            count, wide = grid[0], ctypes.c_longlong
            launch(count, m.ctypes.data_as(ctypes.c_void_p), wide(int(matrix)), wide(int(row)), int(n),
                   pivots.ctypes.data_as(ctypes.c_void_p))  # fmt: skip

        kernel.compile = lambda: None
        return kernel


class RefusingCupy:
    """numpy in the place of a cupy whose CUDA compiles no kernel."""

    empty = staticmethod(np.empty)

    class cuda:
        class compiler:
            class CompileException(Exception):
                pass

    class RawKernel:
        def __init__(self, code: str, name: str) -> None:
            pass

        def compile(self) -> None:
            raise RefusingCupy.cuda.compiler.CompileException("kern.cu(3): error: no\nmore")


def eliminates(xp: Any, dtype: Any) -> None:
    """The corner of larger matrices, as the recursion hands it over."""
    draw = np.random.default_rng(0)
    whole = draw.normal(size=(3, 9, 9)) + 1j * draw.normal(size=(3, 9, 9))
    whole = (whole + whole.conj().swapaxes(1, 2) + 2j * np.eye(9)).astype(dtype)
    corner, before = whole[:, 2:, 2:], whole.copy()
    pivots = cuda.eliminate(corner, xp)
    accuracy = 1e-12 if dtype is np.complex128 else 1e-4
    np.testing.assert_allclose(corner, np.linalg.inv(before[:, 2:, 2:]), rtol=0, atol=accuracy)
    sign, log = np.linalg.slogdet(before[:, 2:, 2:])
    np.testing.assert_allclose(pivots.prod(axis=1), sign * np.exp(log), rtol=100 * accuracy)
    assert (whole[:, :2] == before[:, :2]).all()
    assert (whole[:, :, :2] == before[:, :, :2]).all()


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
@pytest.mark.parametrize("dtype", [np.complex128, pytest.param(np.complex64, marks=pytest.mark.slow)])
def test_the_elimination_of_the_gpu_run_on_a_cpu_inverts(dtype: Any, tmp_path: Path) -> None:
    eliminates(HostCupy(tmp_path), dtype)


def test_where_the_kernel_cannot_be_compiled_arrays_eliminate_after_one_warning() -> None:
    with pytest.warns(RuntimeWarning, match=r"cannot compile.*error: no\)"):
        eliminates(RefusingCupy, np.complex128)
    with warnings.catch_warnings(action="error"):
        eliminates(RefusingCupy, np.complex128)


def test_a_matrix_of_the_largest_size_fits_into_shared_memory() -> None:
    for dtype, size in ((np.complex128, 54), (np.complex64, 77)):
        assert cuda.largest(dtype) == size
        n, number = size, np.dtype(dtype).itemsize
        assert (n * n + n) * number <= cuda.SHARED < ((n + 1) ** 2 + n + 1) * number


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["complex128", "complex64"])
def test_cupy_gives_what_numpy_gives_on_a_lattice_of_several_levels(precision: str) -> None:
    """Blocks are carried from level to level, and the largest are larger than the shared memory."""
    hamiltonian = SDHamiltonian(make_lattice("square", (24, 24)), (1.0,), T=0.1, J=3.0, filling=0.4)
    labelers = [GreensLabeler(hamiltonian, device=d, precision=precision) for d in ("cpu", "cuda")]
    spins = random_spins(576, rng(6, "gpu"), (2,))
    cpu, gpu = (labeler.label(spins) for labeler in labelers)
    for what in ("field", "density", "mu"):
        assert difference(cpu, gpu, what) < (1e-9 if precision == "complex128" else 1e-3), what


@pytest.mark.gpu
@pytest.mark.parametrize("size", [7, 54, 55, 100, 217])
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_a_block_inverse_on_the_gpu_is_that_on_the_cpu(dtype: Any, size: int) -> None:
    import cupy

    draw = np.random.default_rng(0)
    blocks = draw.normal(size=(2, 3, size, size)) + 1j * draw.normal(size=(2, 3, size, size))
    blocks = (blocks + blocks.conj().swapaxes(2, 3) + 4j * size**0.5 * np.eye(size)).astype(dtype)
    there = cupy.asarray(blocks)
    logs = block_inverse(blocks)
    np.testing.assert_allclose(block_inverse(there, cupy).get(), logs, rtol=1e-5)
    np.testing.assert_allclose(there.get(), blocks, atol=1e-12 if dtype is np.complex128 else 1e-4)


@pytest.mark.gpu
def test_cupy_gives_what_numpy_gives() -> None:
    for name in ("triangular grand T=0.1", "honeycomb canonical"):
        lattice, hamiltonian = build(name)
        spins = random_spins(lattice.n_sites, rng(6, "gpu"), (3,))
        cpu, gpu = (GreensLabeler(hamiltonian, device=device).label(spins) for device in ("cpu", "cuda"))
        for what in ("field", "density", "energy", "mu"):
            assert difference(cpu, gpu, what) < 1e-9
