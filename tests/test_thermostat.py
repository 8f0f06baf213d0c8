"""The bath: canonical distributions, and noise that depends on seed, replica and step alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from magsim.dynamics import (
    INTEGRATORS,
    Anneal,
    ClassicalField,
    Noise,
    Quench,
    Relax,
    diffusion,
    evolve,
    make_integrator,
    philox,
)
from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import Lattice, make_lattice
from magsim.spins import random_spins

NAMES = sorted(INTEGRATORS)
# many fields a step
LONG = [pytest.param(n, marks=pytest.mark.slow) if n in ("midpoint", "suzuki_trotter") else n for n in NAMES]


def langevin(x: float) -> float:
    return 1 / math.tanh(x) - 1 / x


def random_start(n_sites: int, replicas: int = 1) -> torch.Tensor:
    return torch.from_numpy(random_spins(n_sites, np.random.default_rng(1), batch=(replicas,)))


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize(
    ("T", "alpha", "sense", "dt"), [(2.0, 0.5, 1, 0.01), (1.0, 2.0, 1, 0.005), (0.25, 0.5, -1, 0.04)]
)
def test_one_spin_in_a_field_obeys_the_langevin_function(name, T, alpha, sense, dt):
    """<cos> = coth x - 1/x, x = B/T, at dampings on both sides of 1: D has the right alpha dependence."""
    n, B = 2500, 1.0
    field = ClassicalField(ClassicalHamiltonian(make_lattice("chain", (n,)), zeeman=(0, 0, B)))
    relaxation = 1 / (alpha * (B + 2 * T))
    stride = max(1, round(relaxation / dt))
    protocol = Quench(steps=14 * stride, record_every=stride)
    frames = list(
        evolve(field, random_start(n), make_integrator(name, dt, alpha, T, sense), protocol, seed=11)
    )
    cos = torch.stack([frame.spins[0, :, 2] for frame in frames[6:]]).mean(dim=0)  # per independent spin
    error = float(cos.std()) / math.sqrt(n)
    assert error < 0.01
    assert float(cos.mean()) == pytest.approx(langevin(B / T), abs=3 * error)


@pytest.mark.parametrize("name", LONG)
def test_two_coupled_spins_have_the_exact_energy_distribution(name):
    """p(c) ~ exp(-J c / T) for c = S_1.S_2 in [-1, 1]: histogram over ten equally likely bins."""
    J, T, alpha, dt, pairs = 1.0, 0.5, 1.0, 0.01, 4000
    dimers = Lattice("dimers", np.array([[100.0]]), np.array([[0.0], [1.0]]), (pairs,), (False,))
    field = ClassicalField(ClassicalHamiltonian(dimers, heisenberg=(J,)))
    protocol = Quench(steps=300, record_every=300)
    last = list(
        evolve(field, random_start(2 * pairs), make_integrator(name, dt, alpha, T), protocol, seed=2)
    )[-1]
    S = last.spins[0].reshape(pairs, 2, 3)
    c = (S[:, 0] * S[:, 1]).sum(-1).numpy()
    assert float(last.energy[0]) == pytest.approx(J * c.sum())
    b = J / T
    cumulative = (math.exp(b) - np.exp(-b * c)) / (math.exp(b) - math.exp(-b))
    counts = np.histogram(cumulative, bins=10, range=(0, 1))[0]
    assert stats.chisquare(counts).pvalue > 0.003
    assert c.mean() == pytest.approx(-langevin(b), abs=3 * c.std() / math.sqrt(pairs))


@pytest.mark.parametrize("name", LONG)
def test_a_heisenberg_chain_has_the_exact_energy_of_its_temperature(name):
    """u(T) = J L(J/T) for an open chain, L the Langevin function: bonds are independent (M. E. Fisher, Am. J.
    Phys. 32, 343, doi:10.1119/1.1970340)."""
    J, T, n = 1.0, 0.5, 20000
    field = ClassicalField(ClassicalHamiltonian(make_lattice("chain", (n,), "open"), heisenberg=(J,)))
    protocol = Quench(steps=1200, record_every=1200)
    integrator = make_integrator(name, 0.005, 1.0, T)
    spins = list(evolve(field, random_start(n), integrator, protocol, seed=6))[-1].spins[0]
    bonds = J * (spins[1:] * spins[:-1]).sum(-1)
    error = float(bonds.std()) / math.sqrt(n - 1)
    assert error < 0.004
    assert float(bonds.mean()) == pytest.approx(-J * langevin(J / T), abs=3 * error)


def test_strength_of_the_bath_is_that_of_brown():
    assert diffusion(0.1, 2.0) == pytest.approx(0.1 * 2.0 / 1.01)
    assert diffusion(0.1, 2.0, -1) == diffusion(0.1, 2.0)
    assert diffusion(0.0, 0.0) == diffusion(0.5, 0.0) == 0.0


def test_noise_is_standard_normal_and_independent():
    noise = Noise(0, (0, 1))
    x = np.stack([noise.normals(step, 500) for step in range(20)])  # (steps, replicas, sites, 3)
    assert stats.kstest(x.ravel(), "norm").pvalue > 0.01
    error = 1 / math.sqrt(x[:, 0].size)
    for a, b in (
        (x[:, 0], x[:, 1]),
        (x[1:], x[:-1]),
        (x[..., 1:, :], x[..., :-1, :]),
        (x[..., 0], x[..., 1]),
    ):
        assert abs((a * b).mean()) < 4 * error


def test_noise_depends_on_seed_replica_and_step_alone():
    both = Noise(7, (0, 3)).normals(5, 10)
    np.testing.assert_array_equal(Noise(7, (3,)).normals(5, 10)[0], both[1])
    for other in (
        Noise(8, (3,)).normals(5, 10),
        Noise(7, (4,)).normals(5, 10),
        Noise(7, (3,)).normals(6, 10),
    ):
        assert not np.isclose(other[0], both[1]).any()


def test_philox_gives_the_words_of_its_authors():
    """The known answers of Random123 for ten rounds."""
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
    for counter, key, answer in (
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((philox.LOW,) * 4, (philox.LOW,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (*pi, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ):
        words = philox.words(*(torch.tensor([c]) for c in counter), *key)
        assert tuple(int(word) for word in words) == answer


@pytest.mark.parametrize("step", [3, 2**32 + 3])
def test_noise_by_torch_operations_equals_that_of_the_compiled_loop(step):
    """What a GPU draws, here on the CPU, for all sites and for some of them."""
    noise = Noise(7, (4,))
    keys = torch.from_numpy(noise.keys.astype(np.int64))
    compiled = noise.normals(step, 5000)[0].T
    drawn = philox.normals(keys, step, 0, 5000)[0]
    torch.testing.assert_close(drawn, compiled, rtol=0, atol=1e-13)
    torch.testing.assert_close(philox.normals(keys, torch.tensor(step), 0, 5000)[0], drawn, rtol=0, atol=0)
    torch.testing.assert_close(philox.normals(keys, step, 70, 9)[0], drawn[:, 70:79], rtol=0, atol=0)
    assert not np.isclose(noise.normals(3 + 2**32 - step + 3, 5000)[0].T, compiled).any()


def test_normals_follow_the_distribution_into_its_tails():
    x = Noise(1, (0,)).normals(0, 2_000_000).numpy().ravel()
    for z in (3.0, 4.0):
        expected = len(x) * stats.norm.sf(z)
        for tail in (x > z, x < -z):
            assert tail.sum() == pytest.approx(expected, abs=4 * math.sqrt(expected))
    assert x.var() == pytest.approx(1, abs=4 * math.sqrt(2 / len(x)))
    assert (x**4).mean() == pytest.approx(3, abs=4 * math.sqrt(96 / len(x)))


PAIRS = ClassicalField(ClassicalHamiltonian(make_lattice("square", (4, 4)), heisenberg=(-1.0, 0.2), dm=0.3))
FIELD = ClassicalField(replace(PAIRS.hamiltonian, easy_axis=0.1))


def field_for(name):
    return PAIRS if name == "suzuki_trotter" else FIELD


def last_spins(name, spins, seed=4, **options):
    integrator = make_integrator(name, 0.05, 0.3, T=0.4)
    return list(evolve(field_for(name), spins, integrator, Quench(steps=40), seed, **options))[-1].spins


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_thermal_runs_equals_its_single_runs_bitwise(name):
    spins = random_start(16, replicas=3)
    batch = last_spins(name, spins)
    for r in range(3):
        assert torch.equal(last_spins(name, spins[r : r + 1], replicas=(r,))[0], batch[r])
    assert not torch.allclose(batch[0], batch[1])


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_runs_and_others_do_not(name):
    spins = random_start(16)
    assert torch.equal(last_spins(name, spins), last_spins(name, spins))
    assert not torch.allclose(last_spins(name, spins), last_spins(name, spins, seed=5))


@pytest.mark.parametrize("name", NAMES)
def test_a_thermal_run_continued_in_the_middle_equals_the_whole_bitwise(name):
    spins = random_start(16, replicas=2)
    integrator = make_integrator(name, 0.05, 0.3)
    protocol = Anneal(steps=40, record_every=10, T_start=1.0, T_end=0.1)
    field = field_for(name)
    whole = list(evolve(field, spins, integrator, protocol, seed=4))
    first = list(evolve(field, spins, integrator, protocol, seed=4, n_steps=20))
    second = list(evolve(field, first[-1].spins, integrator, protocol, seed=4, start_step=first[-1].step))
    assert [frame.step for frame in first + second] == [frame.step for frame in whole] == [0, 10, 20, 30, 40]
    for a, b in zip(first + second, whole, strict=True):
        assert torch.equal(a.spins, b.spins)
        assert torch.equal(a.energy, b.energy)
        assert (a.time, a.temperature) == (b.time, b.temperature)


def test_anneal_goes_from_start_to_end_by_its_schedule():
    exponential = Anneal(steps=101, T_start=1.0, T_end=0.01)
    assert [exponential.temperature(k, 0.0) for k in (0, 50, 100)] == pytest.approx([1.0, 0.1, 0.01])
    linear = Anneal(steps=101, T_start=1.0, T_end=0.0, schedule="linear")
    assert [linear.temperature(k, 0.0) for k in (0, 50, 100)] == pytest.approx([1.0, 0.5, 0.0])


def test_slow_cooling_ends_at_the_energy_of_the_last_temperature():
    """A ferromagnet close to its ground state, -2 per site."""
    field = ClassicalField(ClassicalHamiltonian(make_lattice("square", (4, 4)), heisenberg=(-1.0,)))
    protocol = Anneal(steps=600, record_every=600, T_start=2.0, T_end=0.05)
    frames = list(
        evolve(field, random_start(16, replicas=4), make_integrator("sib", 0.05, 0.5), protocol, seed=0)
    )
    per_site = frames[-1].energy / 16
    # equipartition: two transverse modes a site, T/2 each
    assert float(per_site.mean()) == pytest.approx(-2 + 0.05, abs=0.03)


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: Quench(steps=0), "protocol.steps"),
        (lambda: Quench(initial="sideways"), "protocol.initial"),
        (lambda: Relax(tolerance=-1.0), "protocol.tolerance"),
        (lambda: Anneal(T_end=0.0), "protocol.T_end"),
        (lambda: Anneal(schedule="sudden"), "protocol.schedule"),
        (lambda: Relax().check(make_integrator("sib", T=0.1)), "integrator.T"),
        (lambda: Anneal().check(make_integrator("sib", T=0.1)), "integrator.T"),
        (lambda: Anneal().check(make_integrator("sib", alpha=0.0)), "integrator.alpha"),
    ],
)
def test_wrong_protocols_are_refused_by_name(build, key):
    with pytest.raises(ConfigError) as error:
        build()
    assert error.value.key == key
