"""Several datasets learned together: ``data.path=[a.npz,b.zarr]``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magsim.config import check, compose
from magsim.datasets.pool import pool
from magsim.datasets.split import split_dataset
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError, DataError
from magsim.spins import random_spins


def written(path: Path, seed: int, n: int = 12, sites: int = 9, **more: np.ndarray) -> Path:
    rng = np.random.default_rng(seed)
    np.savez(path, spins=random_spins(sites, rng, (n,)), field=rng.normal(size=(n, sites, 3)), **more)
    return path


def test_pooled_datasets_keep_their_snapshots_and_share_no_trajectory(tmp_path: Path) -> None:
    step = np.r_[-np.ones(6, dtype=int), np.arange(6)]
    a = open_dataset(written(tmp_path / "a.npz", 0, step=step, shape=np.array([3, 3])))
    b = open_dataset(written(tmp_path / "b.npz", 1, step=step))
    both = pool([a, b])
    assert len(both) == 24
    np.testing.assert_array_equal(both.spins, np.concatenate([a.spins, b.spins]))
    np.testing.assert_array_equal(both.field[12:], b.field)
    assert not set(both.trajectory[:12]) & set(both.trajectory[12:])
    np.testing.assert_array_equal(both.source_names[12:], b.source_names)
    assert both.lattice == a.lattice
    assert both.energy is None
    assert both.content_hash not in (a.content_hash, b.content_hash)
    split = split_dataset(both, 0)
    assert not set(split.train) & set(split.test)


def test_the_same_spins_at_several_voltages_stay_in_one_part_of_a_split(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{k}.npz", 0, voltage=np.array(0.3 * k)) for k in range(3)]
    spins, other = np.load(paths[0])["spins"], np.load(written(tmp_path / "new.npz", 1))
    np.savez(
        tmp_path / "new.npz",
        spins=np.r_[spins[3:5], other["spins"]],
        field=np.r_[other["field"][:2] + 1, other["field"]],
        voltage=np.linspace(0, 1, 14),
        trajectory=np.r_[7, 7, np.arange(20, 32)],
    )
    both = pool([open_dataset(path) for path in [*paths, tmp_path / "new.npz"]])
    assert both.voltage is not None
    np.testing.assert_allclose(both.voltage[:36], np.repeat([0.0, 0.3, 0.6], 12))
    np.testing.assert_array_equal(both.trajectory[12:24], both.trajectory[:12])
    # two configurations are in one trajectory of the last file, and therefore everywhere
    assert len({int(both.trajectory[k]) for k in (3, 4, 15, 16, 36, 37)}) == 1
    assert len(np.unique(both.trajectory)) == 11 + 12
    split = split_dataset(both, 0)
    held = {row.tobytes() for row in both.spins[split.test]}
    assert held.isdisjoint(row.tobytes() for row in both.spins[split.train])


def test_a_voltage_that_one_dataset_lacks_none_has(tmp_path: Path) -> None:
    a = open_dataset(written(tmp_path / "a.npz", 0, voltage=np.full(12, 0.2)))
    b = open_dataset(written(tmp_path / "b.npz", 1))
    assert a.voltage is not None
    assert b.voltage is None
    assert pool([a, b]).voltage is None
    of_config = replace(b, config={"hamiltonian": {"name": "driven", "voltage": 0.8}})
    np.testing.assert_array_equal(pool([a, of_config]).voltage, np.repeat([0.2, 0.8], 12))
    with pytest.raises(DataError, match="'voltage' must be one number or one for each of the 12"):
        open_dataset(written(tmp_path / "c.npz", 0, voltage=np.zeros(5)))


def test_datasets_of_other_lattices_are_not_pooled(tmp_path: Path) -> None:
    a = open_dataset(written(tmp_path / "a.npz", 0, shape=np.array([3, 3])))
    with pytest.raises(DataError, match="holds 4 spins"):
        pool([a, open_dataset(written(tmp_path / "b.npz", 1, sites=4))])
    with pytest.raises(DataError, match=r"shape=\[9, 1\]"):
        pool([a, open_dataset(written(tmp_path / "c.npz", 1, shape=np.array([9, 1])))])


def test_a_missing_file_in_a_list_is_named(tmp_path: Path) -> None:
    a = written(tmp_path / "a.npz", 0)
    cfg = compose(["task=train", f"data.path=[{a},{tmp_path}/b.npz]"])
    with pytest.raises(ConfigError, match=r"data.path\[1\].*b.npz"):
        check(cfg)
