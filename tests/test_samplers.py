"""Samplers: the same configurations whatever the batch, the start or the company."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magsim.dynamics import ClassicalField
from magsim.errors import ConfigError, DataError, MagsimError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.hamiltonian.electronic import SDHamiltonian
from magsim.labelers import EDLabeler
from magsim.lattice import make_lattice
from magsim.samplers import (
    FileSampler,
    MixedSampler,
    QuenchSampler,
    RandomSampler,
    Sampler,
    Sampling,
    SpinBatch,
    ThermalSampler,
)
from magsim.spins import tetrahedral, transverse

LATTICE = make_lattice("triangular", (4, 4))
LABELER = EDLabeler(SDHamiltonian(lattice=LATTICE, hopping=(1.0,), mu=-3.2, T=0.1, J=3.0))

QUENCH = QuenchSampler(trajectories=3, steps=12, record_every=4)
THERMAL = ThermalSampler(
    temperatures=(0.02, 0.1), trajectories=2, burn_in=4, steps=8, record_every=4, dt=None
)
SAMPLERS = {
    "random": RandomSampler(count=7),
    "quench": QUENCH,
    "thermal": THERMAL,
    "mixed": MixedSampler(RandomSampler(count=5), QUENCH),
}


def collect(sampler: Sampler, seed: int = 0, classical: ClassicalField | None = None, **options) -> SpinBatch:
    batches = list(sampler.batches(Sampling(LATTICE, LABELER, seed, classical), **options))
    if not batches:
        empty = np.empty(0, dtype=int)
        return SpinBatch(np.empty((0, LATTICE.n_sites, 3)), empty, empty, "")
    columns = ("spins", "trajectory", "step")
    joined = [np.concatenate([getattr(batch, name) for batch in batches]) for name in columns]
    return SpinBatch(*joined, source=",".join(dict.fromkeys(batch.source for batch in batches)))


@pytest.fixture(params=SAMPLERS)
def sampler(request) -> Sampler:
    return SAMPLERS[request.param]


def test_the_number_of_snapshots_and_the_sources_are_known_ahead(sampler: Sampler) -> None:
    found = collect(sampler)
    assert len(found) == len(sampler)
    assert found.source == ",".join(sampler.sources)
    assert found.trajectory.max() + 1 == sampler.n_trajectories
    np.testing.assert_allclose(np.linalg.norm(found.spins, axis=-1), 1.0, atol=1e-12)


def test_configurations_do_not_depend_on_the_batch_size(sampler: Sampler) -> None:
    np.testing.assert_array_equal(collect(sampler, batch_size=2).spins, collect(sampler, batch_size=16).spins)


def test_another_seed_gives_other_configurations(sampler: Sampler) -> None:
    assert not (collect(sampler, seed=0).spins == collect(sampler, seed=1).spins).any()


def test_a_sampler_continues_where_it_was_stopped_bit_by_bit(sampler: Sampler) -> None:
    whole = collect(sampler)
    ends = np.cumsum([len(batch) for batch in sampler.batches(Sampling(LATTICE, LABELER, 0), batch_size=2)])
    for start in (int(end) for end in ends):
        rest = collect(sampler, start=start, recorded=lambda first, last: whole.spins[first:last])
        np.testing.assert_array_equal(rest.spins, whole.spins[start:])
        np.testing.assert_array_equal(rest.step, whole.step[start:])
        np.testing.assert_array_equal(rest.trajectory, whole.trajectory[start:])
    middle = collect(sampler, start=len(whole) // 2 + 1)  # without the earlier snapshots, and within a frame
    np.testing.assert_array_equal(middle.spins, whole.spins[len(whole) // 2 + 1 :])


def test_a_suggested_time_step_is_one_number_of_two_digits_for_all_temperatures() -> None:
    steps = {batch.dt for batch in THERMAL.batches(Sampling(LATTICE, LABELER, 0))}
    assert len(steps) == 1
    (dt,) = steps
    assert dt is not None
    assert dt == float(f"{dt:.2g}") > 0
    hotter = replace(THERMAL, temperatures=(0.02, 3.0))
    assert next(iter(hotter.batches(Sampling(LATTICE, LABELER, 0)))).dt < dt
    resumed = {batch.dt for batch in THERMAL.batches(Sampling(LATTICE, LABELER, 0), start=len(THERMAL) - 2)}
    assert resumed == steps
    same = replace(THERMAL, dt=dt)  # what is told is what was used
    np.testing.assert_array_equal(collect(same).spins, collect(THERMAL).spins)


def test_the_time_step_is_told_where_there_is_dynamics() -> None:
    assert {batch.dt for batch in QUENCH.batches(Sampling(LATTICE, LABELER, 0))} == {2.0}
    assert {batch.dt for batch in SAMPLERS["random"].batches(Sampling(LATTICE, LABELER, 0))} == {None}


def test_random_spins_are_uniform_on_the_sphere() -> None:
    spins = collect(RandomSampler(count=400)).spins.reshape(-1, 3)
    error = 1 / np.sqrt(len(spins))
    np.testing.assert_allclose(spins.mean(axis=0), 0, atol=4 * error * np.sqrt(1 / 3))
    second = spins.T @ spins / len(spins)
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=4 * error * np.sqrt(4 / 45))


def test_a_quench_starts_random_and_loses_energy() -> None:
    energies = []
    for batch in QUENCH.batches(Sampling(LATTICE, LABELER, 0)):
        assert batch.labels is not None  # the dynamics has labelled it already
        np.testing.assert_allclose(batch.labels.field, LABELER.label(batch.spins).field, atol=1e-12)
        energies.append(batch.labels.energy)
    assert len(energies) == 4
    assert (np.diff(energies, axis=0) < 0).all()


def test_a_trajectory_is_the_same_alone_as_among_others() -> None:
    alone = collect(QuenchSampler(trajectories=1, steps=12, record_every=4))
    among = collect(QUENCH)
    np.testing.assert_allclose(alone.spins, among.spins[among.trajectory == 0], atol=1e-12)


def test_a_quench_with_the_published_sense_precesses_the_other_way() -> None:
    """dS/dt = s S x F - alpha S x (S x F): the first displacement along S x F changes sign with s."""
    turned = []
    for sense in (1, -1):
        found = collect(
            QuenchSampler(trajectories=1, steps=1, record_every=1, dt=0.05, alpha=0.01, sense=sense)
        )
        torque = np.cross(found.spins[0], LABELER.label(found.spins[:1]).field[0])
        turned.append(((found.spins[1] - found.spins[0]) * torque).sum() / (torque**2).sum() / 0.05)
    np.testing.assert_allclose(turned, [1, -1], atol=1e-2)


def test_classical_terms_act_in_the_dynamics_of_a_sampler() -> None:
    zeeman = ClassicalField(ClassicalHamiltonian(LATTICE, zeeman=(0.0, 0.0, 0.5)))
    assert collect(QUENCH, classical=zeeman).spins[-3:, :, 2].mean() > 0.8
    assert abs(collect(QUENCH).spins[-3:, :, 2].mean()) < 0.5


def test_a_hotter_bath_leaves_a_higher_energy() -> None:
    sampler = ThermalSampler(temperatures=(0.001, 0.3), trajectories=2, burn_in=40, steps=40, record_every=10)
    found = collect(sampler)
    energy = LABELER.label(found.spins).energy
    assert energy[found.trajectory < 2].mean() < energy[found.trajectory >= 2].mean() - 0.3
    assert found.step.min() == 40


def test_the_quench_reaches_states_of_small_torque_that_random_spins_do_not() -> None:
    quench = collect(QuenchSampler(trajectories=4, steps=80, record_every=40))
    first, last = quench.spins[:4], quench.spins[-4:]
    sizes = [np.sqrt(np.mean(transverse(LABELER.label(s).field, s) ** 2)) for s in (first, last)]
    assert sizes[1] < 0.5 * sizes[0]


def test_a_file_keeps_its_order_trajectories_and_steps(tmp_path: Path) -> None:
    spins = collect(RandomSampler(count=5)).spins
    np.savez(tmp_path / "a.npz", spins=spins, step=[0, 5, 10, -1, -2], shape=[4, 4])
    found = collect(FileSampler(str(tmp_path / "a.npz")), batch_size=2)
    np.testing.assert_array_equal(found.spins, spins)
    assert list(found.step) == [0, 5, 10, -1, -2]
    assert len(set(found.trajectory)) == 3
    chosen = FileSampler(str(tmp_path / "a.npz"), select=(-1, 1, 0), limit=2)
    np.testing.assert_array_equal(collect(chosen).spins, spins[[4, 1]])


def test_the_fingerprint_of_a_file_is_that_of_the_chosen_spins(tmp_path: Path) -> None:
    spins = collect(RandomSampler(count=3)).spins
    np.savez(tmp_path / "a.npz", spins=spins)
    np.savez_compressed(tmp_path / "b.npz", spins=spins, field=spins)
    assert (
        FileSampler(str(tmp_path / "a.npz")).fingerprint()
        == FileSampler(str(tmp_path / "b.npz")).fingerprint()
    )
    assert (
        FileSampler(str(tmp_path / "a.npz")).fingerprint()
        != FileSampler(str(tmp_path / "a.npz"), 2).fingerprint()
    )


def test_a_file_of_another_lattice_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", spins=np.stack([tetrahedral(LATTICE)]), shape=[2, 8])
    with pytest.raises(DataError, match=r"lattice.shape=\[4, 4\]"):
        FileSampler(str(tmp_path / "a.npz")).check(LATTICE)
    with pytest.raises(DataError, match="16 sites"):
        FileSampler(str(tmp_path / "a.npz")).check(make_lattice("square", (3, 3)))


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: RandomSampler(count=0), "sampler.count"),
        (lambda: QuenchSampler(steps=2, record_every=3), "sampler.record_every"),
        (lambda: QuenchSampler(dt=-1.0), "sampler.dt"),
        (lambda: QuenchSampler(alpha=0.0), "sampler.alpha"),
        (lambda: QuenchSampler(integrator="euler"), "sampler.integrator"),
        (lambda: QuenchSampler(sense=2), "sampler.sense"),
        (lambda: ThermalSampler(temperatures=(0.0,)), "sampler.temperatures"),
        (lambda: ThermalSampler(burn_in=7), "sampler.burn_in"),
        (lambda: FileSampler(), "sampler.path"),
        (lambda: FileSampler("x.npz", limit=0), "sampler.limit"),
    ],
)
def test_values_out_of_range_are_refused_by_name(make, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert refused.value.key == key
    assert isinstance(refused.value, MagsimError)
