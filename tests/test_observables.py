"""Observables: invariances, and what is measured where."""

from __future__ import annotations

import numpy as np
import pytest
from reference_lattices import ALL_LATTICES, name

from magsim import observables as obs
from magsim.arrays import cuda_available, to_numpy
from magsim.errors import ConfigError, DataError
from magsim.lattice import Lattice, make_lattice
from magsim.spins import (
    ferromagnet,
    normalise,
    random_rotation,
    random_spins,
    tetrahedral,
)


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_scalars_do_not_change_under_a_common_spin_rotation(lattice: Lattice) -> None:
    rng = np.random.default_rng(2)
    spins = random_spins(lattice.n_sites, rng, (3,))
    names = [n for n in obs.select(None, lattice) if n != "energy"]
    before = obs.measure(names, lattice, spins)
    after = obs.measure(names, lattice, spins @ random_rotation(rng).T)
    for key in names:
        np.testing.assert_allclose(after[key], before[key], atol=1e-10, err_msg=key)


def test_chirality_and_charge_are_odd_under_time_reversal() -> None:
    lattice = make_lattice("triangular", [6, 6])
    spins = random_spins(36, np.random.default_rng(2))
    for odd in (obs.scalar_chirality, obs.mean_chirality, obs.skyrmion_number):
        np.testing.assert_allclose(odd(lattice, -spins), -odd(lattice, spins))
    for even in (obs.mean_abs_chirality, obs.chirality_domain_size, obs.correlation_length):
        np.testing.assert_allclose(even(lattice, -spins), even(lattice, spins))


@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_batched_equals_single_and_torch_equals_numpy(lattice: Lattice) -> None:
    torch = pytest.importorskip("torch")
    spins = random_spins(lattice.n_sites, np.random.default_rng(9), (2, 3))
    names = obs.select(["all"], lattice)
    energy = np.arange(6.0).reshape(2, 3)
    batched = obs.measure(names, lattice, spins, energy)
    tensors = obs.measure(names, lattice, torch.from_numpy(spins), torch.from_numpy(energy))
    for key in names:
        assert batched[key].shape == (2, 3)
        assert isinstance(tensors[key], torch.Tensor)
        np.testing.assert_allclose(tensors[key].numpy(), batched[key], atol=1e-12, err_msg=key)
        single = obs.measure([key], lattice, spins[1, 2], energy[1, 2])[key]
        np.testing.assert_allclose(single, batched[key][1, 2], atol=1e-14, err_msg=key)
    for function in (obs.structure_factor, obs.sublattice_structure_factor):
        np.testing.assert_allclose(
            function(lattice, torch.from_numpy(spins)).numpy(), function(lattice, spins), atol=1e-12
        )


def test_single_precision_spins_stay_single_precision() -> None:
    lattice = make_lattice("triangular", [12, 12])
    spins = normalise(tetrahedral(lattice) + 0.2 * random_spins(144, np.random.default_rng(1)))
    names = [n for n in obs.select(None, lattice) if n != "energy"]
    double = obs.measure(names, lattice, spins)
    single = obs.measure(names, lattice, spins.astype(np.float32))
    for key in names:
        assert single[key].dtype == np.float32
        np.testing.assert_allclose(single[key], double[key], rtol=1e-4, atol=1e-5, err_msg=key)


def test_energy_is_per_site_and_needs_the_field() -> None:
    lattice = make_lattice("square", [4, 4])
    assert obs.OBSERVABLES["energy"](lattice, ferromagnet(lattice), energy=-32.0) == -2.0
    with pytest.raises(ConfigError, match="energy"):
        obs.measure(["energy"], lattice, ferromagnet(lattice))


@pytest.mark.parametrize(
    ("names", "lattice_name", "shape"),
    [
        (["magnetization"], "square", [4, 4]),
        (["mean_chirality"], "chain", [8]),
        (["energy", "energy"], "square", [4, 4]),
        (["energy", "chirality_domain_size"], "triangular", [1, 1]),
    ],
)
def test_observables_that_cannot_be_measured_are_refused(
    names: list[str], lattice_name: str, shape: list[int]
) -> None:
    with pytest.raises(ConfigError, match=r"observables\.names"):
        obs.select(names, make_lattice(lattice_name, shape))


def test_all_means_what_the_lattice_allows() -> None:
    walls = {"afm_fm_wall_position", "domain_wall_position"}  # across an open x
    without = tuple(name for name in obs.OBSERVABLES if name not in walls)
    assert obs.select(["all"], make_lattice("triangular", [48, 48])) == without
    assert walls <= set(obs.select(["all"], make_lattice("square", [6, 4], ["open", "periodic"])))
    assert obs.select(None, make_lattice("cubic", [4, 4, 4])) == (
        "energy",
        "magnetisation",
        "nn_correlation",
        "correlation_length",
        "ordering_wavenumber",
        "ordering_weight",
        "ferromagnetic_fraction",
        "cluster_size",
        "cluster_number",
    )
    for shape in ([1, 1], [1, 6], [2, 2]):
        for boundary in ("open", "periodic"):
            lattice = make_lattice("triangular", shape, boundary)
            spins = random_spins(lattice.n_sites, np.random.default_rng(0))
            assert np.isfinite(
                list(obs.measure(obs.select(None, lattice), lattice, spins, 0.0).values())
            ).all()


def test_spins_of_another_lattice_are_refused() -> None:
    with pytest.raises(DataError, match="16, 3"):
        obs.magnetisation(make_lattice("square", [4, 4]), np.zeros((9, 3)))


@pytest.mark.gpu
@pytest.mark.parametrize("lattice", ALL_LATTICES, ids=name)
def test_device_equals_host(lattice: Lattice) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(9), (2, 3))
    names = obs.select(None, lattice)
    energy = np.arange(6.0).reshape(2, 3)
    host = obs.measure(names, lattice, spins, energy)
    devices = []
    if (torch := pytest.importorskip("torch")).cuda.is_available():
        devices.append(lambda a: torch.from_numpy(a).cuda())
    if cuda_available():
        import cupy

        devices.append(cupy.asarray)
    if not devices:
        pytest.skip("no CUDA device")
    for move in devices:
        device = obs.measure(names, lattice, move(spins), move(energy))
        for key in names:
            np.testing.assert_allclose(to_numpy(device[key]), host[key], atol=1e-10, err_msg=key)
