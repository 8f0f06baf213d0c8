"""Datasets on disk: nothing is lost, altered or confused; splits share no trajectory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from magsim.datasets import writer as writer_module
from magsim.datasets.dataset import ARRAYS, SpinDataset, content_hash, snapshot_hashes
from magsim.datasets.split import split_dataset
from magsim.datasets.store import open_dataset
from magsim.datasets.writer import DatasetWriter, open_writer
from magsim.errors import DataError
from magsim.spins import random_spins
from magsim.zarr_store import GrowingStore

N = 6


def batch(first: int, count: int, trajectory: int | None = None) -> dict[str, np.ndarray]:
    """Made-up labels of snapshots ``first .. first + count - 1``, the same however they are batched."""
    rows: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        rows["spins"].append(random_spins(N, rng))
        rows["field"].append(rng.normal(size=(N, 3)))
        rows["density"].append(rng.uniform(0, 2, size=N))
        for name in ("energy", "mu", "error", "wall_time"):
            rows[name].append(rng.uniform())
        rows["trajectory"].append(k if trajectory is None else trajectory)
        rows["step"].append(0 if trajectory is None else k)
        rows["source"].append(0 if trajectory is None else 1)
    return {name: np.array(values) for name, values in rows.items()}


def writer(path: Path, key: str = "k") -> DatasetWriter:
    lattice = {"name": "chain", "shape": [N], "boundary": ["periodic"]}
    return open_writer(
        path, key=key, n_sites=N, lattice=lattice, sources=["random", "quench"], config={"seed": 0}
    )


def test_what_is_written_is_read_back_bit_by_bit(tmp_path: Path) -> None:
    out = writer(tmp_path / "a.zarr")
    out.append(**batch(0, 3))
    out.append(**batch(3, 2, trajectory=7))
    digest = out.finish()
    dataset = open_dataset(tmp_path / "a.zarr")
    for name, values in batch(0, 3).items():
        np.testing.assert_array_equal(getattr(dataset, name)[:3], values)
    assert list(dataset.trajectory) == [0, 1, 2, 7, 7]
    assert list(dataset.source_names) == ["random"] * 3 + ["quench"] * 2
    assert dataset.content_hash == digest
    assert dataset.lattice == {"name": "chain", "shape": [N], "boundary": ["periodic"]}
    assert dataset.config == {"seed": 0}
    assert dataset.spins.dtype == np.float64


def test_a_dataset_is_a_plain_zarr_v3_store(tmp_path: Path) -> None:
    out = writer(tmp_path / "a.zarr")
    out.append(**batch(0, 3))
    out.finish()
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    assert group["spins"].shape == (3, N, 3)
    assert {"config", "units", "content_hash", "key", "lattice", "sources"} <= set(group.attrs)


def test_the_content_hash_depends_on_the_numbers_and_not_on_batches_or_chunks(
    tmp_path: Path, monkeypatch
) -> None:
    hashes = set()
    for name, sizes, chunk in (("a", [6], 64), ("b", [1, 2, 3], 64), ("c", [4, 2], 1)):
        monkeypatch.setattr(writer_module, "MAX_CHUNK", chunk)
        out, first = writer(tmp_path / name), 0
        for size in sizes:
            out.append(**batch(first, size))
            first += size
        hashes.add(out.finish())
    assert len(hashes) == 1
    arrays = batch(0, 6)
    arrays["wall_time"] += 1.0  # what a label cost is no content
    assert content_hash(arrays) in hashes
    arrays["field"][5, 0, 0] = np.nextafter(arrays["field"][5, 0, 0], 9)
    assert content_hash(arrays) not in hashes


@pytest.mark.parametrize("array", list(ARRAYS))
def test_a_writer_that_dies_within_a_batch_loses_that_batch_only(tmp_path: Path, array: str) -> None:
    whole = writer(tmp_path / "whole")
    whole.append(**batch(0, 5))
    whole.append(**batch(5, 4))

    out = writer(tmp_path / "dead")
    out.append(**batch(0, 5))

    class Dies:
        shape, dtype = out._arrays[array].shape, out._arrays[array].dtype

        def resize(self, shape: tuple[int, ...]) -> None:
            raise KeyboardInterrupt

    out._arrays[array] = Dies()
    with pytest.raises(KeyboardInterrupt):
        out.append(**batch(5, 4))
    (tmp_path / "dead" / "spins" / "c.0123.partial").write_bytes(b"half a chunk")

    again = writer(tmp_path / "dead")
    assert len(again) == 5
    again.append(**batch(5, 4))
    assert again.finish() == whole.finish()
    assert not list((tmp_path / "dead").rglob("*.partial"))


def test_an_unfinished_dataset_is_refused_unless_asked_for(tmp_path: Path) -> None:
    writer(tmp_path / "a").append(**batch(0, 3))
    with pytest.raises(DataError, match=r"unfinished \(3 snapshots"):
        open_dataset(tmp_path / "a")
    part = open_dataset(tmp_path / "a", allow_incomplete=True)
    assert len(part) == 3
    assert not part.complete


def test_a_finished_dataset_can_be_extended(tmp_path: Path) -> None:
    out = writer(tmp_path / "a")
    out.append(**batch(0, 3))
    first = out.finish()
    again = writer(tmp_path / "a")
    again.append(**batch(3, 2))
    assert not again.complete
    assert again.finish() != first
    assert len(open_dataset(tmp_path / "a")) == 5


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/below\.zarr: cannot be created: "):
        writer(tmp_path / "file" / "below.zarr")


def test_settings_are_not_mixed_in_one_dataset(tmp_path: Path) -> None:
    writer(tmp_path / "a").append(**batch(0, 3))
    with pytest.raises(DataError, match="other settings"):
        writer(tmp_path / "a", key="another")


def test_a_folder_with_one_dataset_is_that_dataset(tmp_path: Path) -> None:
    out = writer(tmp_path / "folder" / "labels.zarr")
    out.append(**batch(0, 3))
    out.finish()
    assert open_dataset(tmp_path / "folder").path.name == "labels.zarr"


def test_a_driven_system_has_no_energy_and_may_have_currents(tmp_path: Path) -> None:
    """What the first batch brings is what the store holds; extra arrays are content."""
    out = writer(tmp_path / "a")
    for first, count in ((0, 3), (3, 2)):
        rows = {name: values for name, values in batch(first, count).items() if name not in ("energy", "mu")}
        current = np.random.default_rng(first).normal(size=(count, N, 2))
        out.append(extra={"current": current, "samples": np.full(count, 7)}, **rows)
        out = writer(tmp_path / "a")  # reopened between the batches
    out.finish()
    dataset = open_dataset(tmp_path / "a")
    assert dataset.energy is None
    assert dataset.mu is None
    assert set(dataset.extra) == {"current", "samples"}
    np.testing.assert_array_equal(dataset.extra["current"][3:], current)
    assert dataset.extra["samples"].dtype.kind == "i"
    altered = dataset.arrays | dataset.extra | {"current": dataset.extra["current"] + 1e-12}
    assert content_hash(dataset.arrays | dataset.extra) == dataset.content_hash != content_hash(altered)


def test_every_batch_brings_the_arrays_of_the_first(tmp_path: Path) -> None:
    out = writer(tmp_path / "a")
    out.append(**batch(0, 3))
    with pytest.raises(ValueError, match="exactly the arrays"):
        out.append(**{name: values for name, values in batch(3, 2).items() if name != "energy"})
    with pytest.raises(ValueError, match="append needs"):
        out.append(extra={"spins": np.zeros(2)}, **batch(3, 2))
    with pytest.raises(ValueError, match="append needs"):
        out.append(current=np.zeros(2), **batch(3, 2))
    assert len(writer(tmp_path / "a")) == 3


def test_arrays_of_a_first_batch_that_was_never_committed_are_made_again(tmp_path: Path, monkeypatch) -> None:
    out = writer(tmp_path / "a")

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GrowingStore, "_commit", dies)
        with pytest.raises(KeyboardInterrupt):
            out.append(extra={"current": np.zeros((3, 9))}, **batch(0, 3))
    again = writer(tmp_path / "a")
    again.append(extra={"current": np.ones((3, 2))}, **batch(0, 3))
    again.finish()
    assert open_dataset(tmp_path / "a").extra["current"].shape == (3, 2)


def test_attributes_are_replaced_together(tmp_path: Path, monkeypatch) -> None:
    """One write of one file: a kill cannot leave a complete store without its hash."""
    out = writer(tmp_path / "a")
    out.append(**batch(0, 3))
    group, calls = out._group, []

    class Counts:
        attrs = group.attrs

        def update_attributes(self, facts: dict[str, Any]) -> None:
            calls.append(set(facts))
            group.update_attributes(facts)

    monkeypatch.setattr(out, "_group", Counts())
    digest = out.finish()
    assert calls == [{"complete", "content_hash"}]
    assert open_dataset(tmp_path / "a").content_hash == digest


def test_the_same_configuration_has_the_same_digest_in_every_file(tmp_path: Path) -> None:
    spins = batch(0, 20)["spins"]
    hashes = snapshot_hashes(spins)
    assert hashes.shape == (20,)
    assert len(set(hashes)) == 20
    np.testing.assert_array_equal(snapshot_hashes(spins.astype(np.float32)), hashes)  # a published file
    np.testing.assert_array_equal(snapshot_hashes(spins[::-1]), hashes[::-1])
    turned = spins.copy()
    turned[3, 2] *= -1
    assert list(np.flatnonzero(snapshot_hashes(turned) != hashes)) == [3]
    up = np.tile([0.0, 0.0, 1.0], (1, N, 1))
    np.testing.assert_array_equal(snapshot_hashes(up), snapshot_hashes(-(-up + 0.0)))  # -0 is 0


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_float32_is_promoted_and_not_renormalised(tmp_path: Path) -> None:
    rows = batch(0, 4)
    spins = rows["spins"].astype(np.float32)
    dataset = open_dataset(save(tmp_path / "a.npz", spins=spins, field=rows["field"].astype(np.float32)))
    assert dataset.spins.dtype == np.float64
    np.testing.assert_array_equal(dataset.spins, spins.astype(np.float64))
    assert dataset.energy is None
    assert list(dataset.trajectory) == [0, 1, 2, 3]
    assert dataset.sources == ("file",)


def test_npz_steps_tell_random_states_from_a_quench(tmp_path: Path) -> None:
    rows = batch(0, 5)
    path = save(
        tmp_path / "a.npz", spins=rows["spins"], field=rows["field"], step=np.array([0, 10, -1, 20, -2])
    )
    dataset = open_dataset(path)
    assert list(dataset.source_names) == ["quench", "quench", "random", "quench", "random"]
    assert len(set(dataset.trajectory[[0, 1, 3]])) == 1
    assert len(set(dataset.trajectory)) == 3


def make_dataset(tmp_path: Path, quenches: int = 6) -> SpinDataset:
    out = writer(tmp_path / "a")
    out.append(**batch(0, 20))
    for t in range(quenches):
        out.append(**batch(20 + 10 * t, 10, trajectory=20 + t))
    out.finish()
    return open_dataset(tmp_path / "a")


def test_parts_of_a_split_share_no_trajectory_and_cover_every_source(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    split = split_dataset(dataset, seed=3)
    parts = [split.train, split.validation, split.test]
    together = np.concatenate(parts)
    assert sorted(together) == list(range(len(dataset)))
    owners = [set(dataset.trajectory[part]) for part in parts]
    assert not (owners[0] & owners[1] | owners[0] & owners[2] | owners[1] & owners[2])
    assert all(set(dataset.source[part]) == {0, 1} for part in parts)
    assert len(split.train) > 2 * len(split.test)


def test_a_split_depends_on_the_seed_alone(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    same = [split_dataset(dataset, seed=1).test for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert any(not np.array_equal(same[0], split_dataset(dataset, seed=s).test) for s in (2, 3, 4))


@pytest.mark.parametrize("seed", range(5))
def test_a_single_trajectory_is_held_out_by_contiguous_blocks_with_a_gap(tmp_path: Path, seed: int) -> None:
    rows = batch(0, 40)
    step = np.random.default_rng(0).permutation(40) * 500  # stored in any order
    path = save(tmp_path / "a.npz", spins=rows["spins"], field=rows["field"], step=step)
    split = split_dataset(open_dataset(path), seed=seed)
    train, validation, test = (set(step[part] // 500) for part in (split.train, split.validation, split.test))
    for block in (validation, test):
        assert max(block) - min(block) == len(block) - 1
        assert not train & {min(block) - 1, max(block) + 1}
    assert not validation & test
    assert len(train) >= 40 - len(validation) - len(test) - 4
    assert "contiguous blocks" in split.description


def test_too_few_snapshots_are_not_split(tmp_path: Path) -> None:
    rows = batch(0, 2)
    dataset = open_dataset(save(tmp_path / "a.npz", spins=rows["spins"], field=rows["field"]))
    with pytest.raises(DataError, match="too few"):
        split_dataset(dataset, seed=0)
