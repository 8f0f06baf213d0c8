"""The skyrmion number is an integer where it must be, and the right one."""

from __future__ import annotations

import numpy as np
import pytest
from reference_lattices import PLANAR, name

from magsim import observables as obs
from magsim.lattice import Lattice, make_lattice
from magsim.spins import (
    random_spins,
    tetrahedral,
)


def skyrmion(lattice: Lattice, radius: float, winding: int) -> np.ndarray:
    """Belavin-Polyakov texture w = (lambda / z)^(+-1): core down, background up."""
    offset = (
        lattice.positions - lattice.positions[lattice.n_sites // 2 + lattice.shape[1] // 2] - [0.31, 0.17]
    )
    # nearest image of the core on the torus
    images = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]) * lattice.shape @ lattice.vectors
    candidates = offset[:, None] + images
    offset = candidates[np.arange(len(offset)), np.argmin(np.linalg.norm(candidates, axis=-1), axis=1)]
    x, y = offset.T
    r2 = x**2 + y**2
    return (
        np.stack([2 * radius * x, 2 * winding * radius * y, r2 - radius**2], axis=-1)
        / (r2 + radius**2)[:, None]
    )


@pytest.mark.parametrize(
    "lattice", [make_lattice("square", [24, 24]), make_lattice("triangular", [24, 24])], ids=name
)
def test_belavin_polyakov_skyrmion_has_charge_minus_one_and_its_mirror_plus_one(lattice: Lattice) -> None:
    for radius in (1.5, 3.0):
        texture = skyrmion(lattice, radius, +1)
        assert obs.skyrmion_number(lattice, texture) == -1
        assert obs.skyrmion_number(lattice, skyrmion(lattice, radius, -1)) == 1
        assert obs.skyrmion_number(lattice, -texture) == 1
        assert obs.skyrmion_count(lattice, texture) == 1
        density = obs.topological_charge_density(lattice, texture)
        assert density.sum() == pytest.approx(-1, abs=1e-12)
        assert np.abs(density).max() < 0.5


@pytest.mark.parametrize("lattice", PLANAR, ids=name)
def test_charge_of_random_spins_is_an_integer_on_a_torus_and_not_on_a_strip(lattice: Lattice) -> None:
    spins = random_spins(lattice.n_sites, np.random.default_rng(11), (16,))
    charge = obs.topological_charge_density(lattice, spins).sum(-1)
    np.testing.assert_allclose(charge, np.round(charge), atol=1e-12)
    assert len(set(np.round(charge))) > 1
    np.testing.assert_array_equal(obs.skyrmion_number(lattice, spins), np.round(charge))
    strip = make_lattice(lattice.name, lattice.shape, ["open", "periodic"])
    charge = obs.skyrmion_number(strip, spins)
    assert np.abs(charge - np.round(charge)).max() > 1e-3


def test_tetrahedral_order_carries_half_a_charge_per_four_triangles() -> None:
    # every triangle covers a quarter of the sphere
    lattice = make_lattice("triangular", [4, 4])
    assert abs(obs.skyrmion_number(lattice, tetrahedral(lattice))) == 2 * lattice.n_sites / 4
