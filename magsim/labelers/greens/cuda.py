"""Gauss-Jordan elimination on a GPU: a block of threads for each matrix, which lies in its shared memory."""

from __future__ import annotations

import warnings
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

SHARED = 48 * 1024  # bytes that every GPU gives a block of threads
THREADS = 16  # in each direction
# complex.cuh takes names such as `real` for itself
PREAMBLE = """
#include <cupy/complex.cuh>
typedef REAL scalar;
typedef complex<scalar> number;
"""
SOURCE = """
// The inverse in place of one n x n matrix for each block of threads, no row exchanges; its pivots.
// Rows of a matrix are `row` numbers apart, matrices `matrix`.
extern "C" __global__ void eliminate(
    number* matrices, const long long matrix, const long long row, const int n, number* pivots)
{
    extern __shared__ __align__(16) char shared[];
    number* a = (number*) shared;
    number* column = a + n * n;
    number* m = matrices + matrix * blockIdx.x;
    const int x = threadIdx.x, y = threadIdx.y;
    for (int i = y; i < n; i += blockDim.y)
        for (int j = x; j < n; j += blockDim.x) a[i * n + j] = m[i * row + j];
    __syncthreads();
    for (int k = 0; k < n; ++k) {
        const number pivot = a[k * n + k];
        const number inverse = number(scalar(1)) / pivot;
        __syncthreads();  // all have read the pivot
        if (y == 0)
            for (int j = x; j < n; j += blockDim.x) a[k * n + j] = j == k ? inverse : a[k * n + j] * inverse;
        if (y == 1)
            for (int i = x; i < n; i += blockDim.x) {
                if (i == k) continue;
                column[i] = a[i * n + k];
                a[i * n + k] = number(scalar(0));
            }
        if (x == 0 && y == 2) pivots[(long long) blockIdx.x * n + k] = pivot;
        __syncthreads();
        for (int i = y; i < n; i += blockDim.y) {
            if (i == k) continue;
            const number factor = column[i];
            for (int j = x; j < n; j += blockDim.x) a[i * n + j] -= factor * a[k * n + j];
        }
        __syncthreads();
    }
    for (int i = y; i < n; i += blockDim.y)
        for (int j = x; j < n; j += blockDim.x) m[i * row + j] = a[i * n + j];
}
"""


def largest(dtype: Any) -> int:
    """Size of the largest matrix that fits: 54 in complex128, 77 in complex64."""
    return int((SHARED / np.dtype(dtype).itemsize + 0.25) ** 0.5 - 0.5)


def eliminate(matrices: Any, xp: ModuleType) -> Any:
    """Replace complex ``(K, n, n)`` of CuPy, ``n <= largest(dtype)``, by their inverses; returns the pivots
    ``(K, n)``."""
    count, n, _ = matrices.shape
    size = matrices.dtype.itemsize
    pivots = xp.empty((count, n), dtype=matrices.dtype)
    kernel = _kernel("float" if size == 8 else "double", xp)
    if kernel is None:
        _by_arrays(matrices, pivots)
        return pivots
    block = matrices if matrices.strides[2] == size or n == 1 else xp.ascontiguousarray(matrices)
    arguments = (block, np.int64(block.strides[0] // size), np.int64(block.strides[1] // size), np.int32(n))
    kernel((count,), (THREADS, THREADS), (*arguments, pivots), shared_mem=(n * n + n) * size)
    if block is not matrices:
        matrices[...] = block
    return pivots


def _by_arrays(m: Any, pivots: Any) -> None:
    for k in range(m.shape[-1]):
        pivots[:, k] = m[:, k, k]
        row = m[:, k, :] / pivots[:, k, None]
        row[:, k] = 1 / pivots[:, k]
        column = m[:, :, k].copy()
        column[:, k] = 0
        m[:, :, k] = 0
        m[:, k, :] = row
        m -= column[:, :, None] * row[:, None, :]


@cache
def _kernel(real: str, xp: ModuleType) -> Any:
    """None, with a warning, where this CUDA cannot compile it."""
    kernel = xp.RawKernel(PREAMBLE.replace("REAL", real) + SOURCE, "eliminate")
    try:
        kernel.compile()
    except xp.cuda.compiler.CompileException as error:
        warnings.warn(
            "the CUDA of this machine cannot compile the kernel that inverts blocks: array operations do it,"
            f" several times slower ({str(error).strip().splitlines()[0]})",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return kernel
