"""Pieces of a dataset that can be made apart: their content, their order, and what is stored of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magsim.datasets.parts import PartStore, Records
from magsim.dynamics import ClassicalField
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.hamiltonian.electronic import Electrons, ProjectedDoubleExchange, SDHamiltonian
from magsim.labelers import EDLabeler
from magsim.lattice import make_lattice
from magsim.samplers import (
    Before,
    FileSampler,
    MixedSampler,
    QuenchSampler,
    RandomSampler,
    Sampler,
    Sampling,
    ThermalSampler,
)
from magsim.spins import random_spins, rng
from magsim.tasks.labelling.fill import one_by_one

LATTICE = make_lattice("triangular", (4, 4))
# a canonical ensemble: mu is solved for, which must not depend on the company either
LABELER = EDLabeler(SDHamiltonian(lattice=LATTICE, hopping=(1.0,), filling=0.3, T=0.1, J=3.0))


def samplers(folder: Path) -> dict[str, Sampler]:
    np.savez(folder / "some.npz", spins=random_spins(16, rng(3), (11,)))
    quenches = {
        name: QuenchSampler(trajectories=5, steps=12, record_every=4, dt=None, integrator=name)
        for name in ("heun", "rk4", "sib")
    }
    thermal = ThermalSampler(
        temperatures=(0.02, 0.1), trajectories=3, burn_in=4, steps=8, record_every=2, dt=None
    )
    return {
        "random": RandomSampler(count=13),
        **quenches,
        "thermal": thermal,
        "file": FileSampler(str(folder / "some.npz")),
        "mixed": MixedSampler(RandomSampler(count=5), quenches["heun"]),
    }


@pytest.mark.parametrize(
    ("name", "size", "workers"),
    [(name, 4, 1) for name in ("random", "heun", "rk4", "sib", "thermal", "file", "mixed")]
    + [("heun", 4, 3), ("thermal", 3, 2), ("mixed", 1, 50)],
)
def test_pieces_made_apart_hold_what_one_process_makes_bit_by_bit(
    name: str, size: int, workers: int, tmp_path: Path
) -> None:
    sampler = samplers(tmp_path)[name]
    classical = ClassicalField(ClassicalHamiltonian(LATTICE, zeeman=(0.0, 0.0, 0.1)))
    spins, fields, steps, trajectories = [], [], [], []
    sampling = Sampling(LATTICE, LABELER, 7, classical)
    for batch in sampler.batches(sampling):
        spins.append(batch.spins)
        fields.append((batch.labels or LABELER.label(batch.spins)).field)
        steps.append(batch.step)
        trajectories.append(batch.trajectory)
    whole = [np.concatenate(column) for column in (spins, fields, steps, trajectories)]

    dt = sampler.timestep(sampling)
    pieces = sampler.pieces(size, workers)
    np.testing.assert_array_equal(np.sort(np.concatenate([p.rows for p in pieces])), np.arange(len(sampler)))
    for piece in pieces:
        before = Before(whole[0][piece.before]) if len(piece.before) else None
        made = sampler.make(piece, sampling, before, dt)
        assert made.labels is not None
        for mine, all_of_it in zip(
            (made.spins, made.labels.field, made.step, made.trajectory), whole, strict=True
        ):
            np.testing.assert_array_equal(mine, all_of_it[piece.rows])


def test_there_is_work_for_every_worker_and_it_comes_in_the_order_of_the_dataset(tmp_path: Path) -> None:
    for sampler in samplers(tmp_path).values():
        for workers in (2, 3):
            pieces = sampler.pieces(8, workers)
            assert sum(not len(piece.before) for piece in pieces) >= workers
            known = np.zeros(len(sampler), dtype=bool)
            for piece in pieces:
                assert known[piece.before].all()
                known[piece.rows] = True


@pytest.mark.parametrize(
    "hamiltonian",
    [
        SDHamiltonian(lattice=LATTICE, hopping=(1.0,), mu=-3.2, T=0.1, J=3.0),
        SDHamiltonian(lattice=make_lattice("kagome", (3, 3)), hopping=(1.0,), filling=0.3, T=0.1, J=3.0),
        SDHamiltonian(lattice=make_lattice("square", (5, 7)), hopping=(1.0,), filling=0.3, T=0.0, J=1.0),
        ProjectedDoubleExchange(lattice=LATTICE, hopping=(1.0,), filling=0.3, T=0.05),
    ],
)
def test_labels_of_exact_diagonalisation_do_not_depend_on_their_company(hamiltonian: Electrons) -> None:
    spins = random_spins(hamiltonian.lattice.n_sites, rng(0), (5,))
    labeler = EDLabeler(hamiltonian)
    together = labeler.label(spins)
    assert labeler.independent
    assert one_by_one(labeler, "cpu") is labeler
    for part in (slice(0, 1), slice(1, 4), slice(4, 5)):
        alone = labeler.label(spins[part])
        for name in ("energy", "field", "density", "mu"):
            np.testing.assert_array_equal(getattr(together, name)[part], getattr(alone, name))


def test_a_labeler_that_mixes_its_batch_is_asked_for_one_configuration_at_a_time() -> None:
    sizes = []

    class Mixing:
        hamiltonian = LABELER.hamiltonian

        def identity(self) -> dict[str, Any]:
            return {"name": "mixing"}

        def label(self, spins: np.ndarray) -> Any:
            sizes.append(len(spins))
            return LABELER.label(spins)

    mixing = Mixing()
    spins = random_spins(16, rng(0), (3,))
    labels = one_by_one(mixing, "cpu").label(spins)
    assert sizes == [1, 1, 1]
    np.testing.assert_array_equal(labels.field, LABELER.label(spins).field)
    assert one_by_one(mixing, "cuda") is mixing


# ------------------------------------------------------------------------------------------------- parts


def records(rows: np.ndarray) -> Records:
    spins = random_spins(4, rng(0), (100,))[rows]
    return Records({"spins": spins, "field": 2 * spins, "step": rows}, {"current": 3.0 * rows}, "ed", 0.5)


def test_a_part_gives_back_what_was_stored_and_leaves_nothing_else(tmp_path: Path) -> None:
    parts = PartStore(tmp_path)
    rows = np.array([3, 4, 8, 9])
    name = parts.write(rows, records(rows))
    found = parts.read(name, np.array([4, 9]))
    np.testing.assert_array_equal(found.arrays["spins"], records(rows).arrays["spins"][[1, 3]])
    np.testing.assert_array_equal(found.extra["current"], [12.0, 27.0])
    assert (found.method, found.dt) == ("ed", 0.5)
    assert parts.holds(rows)
    assert not parts.holds(np.array([3, 5, 8, 9]))  # other rows between the same ends
    assert [file.name for file in parts.folder.iterdir()] == [name]


def test_a_part_that_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    parts = PartStore(tmp_path)
    for rows in (np.arange(3), np.arange(3, 6)):
        parts.write(rows, records(rows))
    damaged = parts.folder / parts.name(np.arange(3))
    damaged.write_bytes(damaged.read_bytes()[:200])
    (parts.folder / "00000006-00000008-3.npz.abc.partial").write_bytes(b"killed here")
    assert [list(rows) for _, rows in parts.found()] == [[3, 4, 5]]
    assert not damaged.exists()


# ------------------------------------------------------------------------------ the loop, without processes
