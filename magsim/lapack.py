"""A LAPACK routine called without holding the interpreter, so that threads can solve matrices side by side.

SciPy's own wrapper of ``zheevr`` holds it for the whole call. The routine is the one that
:mod:`scipy.linalg.cython_lapack` exports; numbers are bit for bit those of
``scipy.linalg.eigh(matrix, driver="evr")``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.linalg import cython_lapack  # here, so that its BLAS is loaded before anyone limits threads

ARGUMENTS = 23


def evr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues ``(n,)`` and eigenvectors ``(n, n)`` of a Hermitian matrix, from its lower triangle, by
    relatively robust representations (Dhillon and Parlett, Linear Algebra Appl. 387, 1,
    doi:10.1016/j.laa.2003.12.028): LAPACK's fastest driver.

    Raises:
        numpy.linalg.LinAlgError: it did not converge.
    """
    n = len(matrix)
    a = np.array(matrix, dtype=np.complex128, order="F")
    levels, vectors = np.empty(n), np.empty((n, n), dtype=np.complex128, order="F")
    support, found, info = np.empty(2 * n, dtype=np.intc), _whole(0), _whole(0)
    size, first, zero = _whole(n), _whole(1), np.zeros(1)
    job, span, triangle = (np.frombuffer(letter, dtype="S1") for letter in (b"V", b"A", b"L"))

    def call(work: np.ndarray, real: np.ndarray, whole: np.ndarray, *lengths: int) -> None:
        sizes = [_whole(length) for length in lengths]
        workspaces = [part for pair in zip((work, real, whole), sizes, strict=True) for part in pair]
        arrays = [job, span, triangle, size, a, size, zero, zero, first, size, zero, found, levels]
        arrays += [vectors, size, support, *workspaces, info]
        _zheevr()(*(array.ctypes.data for array in arrays))
        if info[0] != 0:
            raise np.linalg.LinAlgError(f"zheevr: info={info[0]}")

    work, real, whole = np.empty(1, dtype=np.complex128), np.empty(1), _whole(0)
    call(work, real, whole, -1, -1, -1)  # asks how much workspace is best
    best = int(work[0].real), int(real[0]), int(whole[0])
    call(np.empty(best[0], dtype=np.complex128), np.empty(best[1]), np.empty(best[2], dtype=np.intc), *best)
    return levels, vectors


def _whole(number: int) -> np.ndarray:
    return np.array([number], dtype=np.intc)


@cache
def _zheevr() -> Callable[..., None]:
    capsule = cython_lapack.__pyx_capi__["zheevr"]
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer_of(capsule, name_of(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * ARGUMENTS)(address)
