"""Rate of the Chebyshev moments of kwant.kpm, for ``task=benchmark``.

kwant 1.5 needs numpy < 2 and lives in an environment of its own, never beside magsim:

    python -m venv kwantvenv
    kwantvenv/bin/pip install "numpy<2" scipy "cython<3" "setuptools<75" wheel tinyarray
    kwantvenv/bin/pip install --no-build-isolation kwant==1.5
    MAGSIM_KWANT_PYTHON=kwantvenv/bin/python python run.py task=benchmark

Usage: kwant_kpm.py MATRIX.npz A B MOMENTS VECTORS; the matrix is a scipy CSR file, A and B centre and half
width of its spectrum. Prints seconds of the best of three runs.
"""

from __future__ import annotations

import sys
import time
import warnings

warnings.simplefilter("ignore")

import kwant  # noqa: E402
from scipy import sparse  # noqa: E402


def main(path: str, a: str, b: str, moments: str, vectors: str) -> None:
    matrix = sparse.load_npz(path)
    bounds = (float(a) - float(b), float(a) + float(b))
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        # moments are computed when the object is made; kwant, too, takes two from a vector
        kwant.kpm.SpectralDensity(
            matrix,
            num_vectors=int(vectors),
            num_moments=int(moments),
            bounds=bounds,
            accumulate_vectors=False,
            rng=0,
        )
        spent.append(time.perf_counter() - start)
    print(min(spent))


if __name__ == "__main__":
    main(*sys.argv[1:])
