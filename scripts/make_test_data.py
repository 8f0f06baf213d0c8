"""Cut the snapshots in tests/data out of the repacked published files.

usage: python scripts/make_test_data.py FOLDER

FOLDER holds ``kondo_square_30x30.npz``, ``double_exchange_30x30.npz`` and ``driven_negf_32x24.npz``; where
they come from, and their licences, is written in tests/data/README.md. Everything is stored as float32:
rounding the spins changes the fields by 1e-7, well below their published error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parents[1] / "tests" / "data"


def main(folder: Path) -> None:
    kondo = np.load(folder / "kondo_square_30x30.npz")
    np.savez_compressed(
        OUT / "kondo_square_30x30.npz",
        spins=kondo["spins"][:1],
        field=kondo["field"][:1],
        energy=kondo["energy"][:1],
        shape=kondo["shape"],
    )
    exchange = np.load(folder / "double_exchange_30x30.npz")
    last = np.flatnonzero(exchange["step"] == exchange["step"].max())
    np.savez_compressed(
        OUT / "double_exchange_30x30.npz",
        spins=exchange["spins"][last].astype(np.float32),
        field=exchange["field"][last].astype(np.float32),
        density=exchange["density"][last].astype(np.float32),
        step=exchange["step"][last],
        shape=exchange["shape"],
    )
    driven = np.load(folder / "driven_negf_32x24.npz")
    last = np.flatnonzero(driven["step"] == driven["step"].max())
    np.savez_compressed(
        OUT / "driven_negf_32x24.npz",
        **{name: driven[name][last].astype(np.float32) for name in ("spins", "field", "density")},
        step=driven["step"][last],
        shape=driven["shape"],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
