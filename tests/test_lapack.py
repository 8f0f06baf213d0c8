"""Eigenvectors of large matrices: those of SciPy, and the same with however many threads."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from magsim import arrays
from magsim.lapack import evr


def hermitian(n: int, count: int = 1) -> np.ndarray:
    random = np.random.default_rng(n)
    matrices = random.normal(size=(count, n, n)) + 1j * random.normal(size=(count, n, n))
    return matrices + matrices.conj().swapaxes(1, 2)


@pytest.mark.parametrize("n", [1, 2, 7, 150])
def test_the_routine_without_the_lock_is_that_of_scipy_bit_by_bit(n: int) -> None:
    (matrix,) = hermitian(n)
    before = matrix.copy()
    levels, vectors = evr(matrix)
    expected = scipy.linalg.eigh(matrix, driver="evr")
    np.testing.assert_array_equal(levels, expected[0])
    np.testing.assert_array_equal(vectors, expected[1])
    np.testing.assert_array_equal(matrix, before)


def test_large_matrices_are_solved_alike_in_company_and_by_any_number_of_cores(monkeypatch) -> None:
    monkeypatch.setattr(arrays, "SMALL_MATRIX", 100)
    matrices = hermitian(150, 5)
    alone = [arrays.eigh(matrix[None]) for matrix in matrices]
    for cores in (1, 2, 8):
        monkeypatch.setattr(arrays, "cores", lambda cores=cores: cores)
        levels, vectors = arrays.eigh(matrices)
        np.testing.assert_array_equal(levels, [pair[0][0] for pair in alone])
        np.testing.assert_array_equal(vectors, [pair[1][0] for pair in alone])
        np.testing.assert_allclose(
            vectors @ (levels[..., None] * vectors.conj().swapaxes(1, 2)), matrices, atol=1e-11
        )
