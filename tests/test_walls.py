"""Domain walls of the chirality: length and direction of walls that are known."""

from __future__ import annotations

import numpy as np
import pytest

from magsim import observables as obs
from magsim.errors import ConfigError
from magsim.lattice import Lattice, make_lattice
from magsim.spins import ferromagnet, random_rotation, random_spins, tetrahedral

LATTICE = make_lattice("triangular", [48, 48])


def stripes(lattice: Lattice, wavevector: tuple[int, int]) -> tuple[np.ndarray, float, float]:
    """Domains of both chiralities in stripes: spins, angle of the walls, length per area."""
    m = np.array(wavevector)
    fraction = lattice.positions @ np.linalg.inv(lattice.vectors) / np.array(lattice.shape)
    sign = np.sign(np.sin(2 * np.pi * fraction @ m + 0.3))
    q = m / np.array(lattice.shape) @ lattice.reciprocal
    angle = (np.arctan2(q[1], q[0]) + np.pi / 2) % np.pi
    return tetrahedral(lattice) * sign[:, None], angle, float(np.linalg.norm(q) / np.pi)


@pytest.mark.parametrize("wavevector", [(1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (1, 2), (3, 1)])
def test_straight_walls_have_their_length_direction_and_sixfold_moment(wavevector: tuple[int, int]) -> None:
    spins, angle, density = stripes(LATTICE, wavevector)
    spins = spins @ random_rotation(np.random.default_rng(1)).T
    histogram = obs.wall_orientations(LATTICE, spins, bins=36)
    assert histogram.sum() == pytest.approx(density, rel=2e-3)
    assert obs.wall_density(LATTICE, spins) == pytest.approx(histogram.sum())
    turned = (np.argmax(histogram) * np.pi / 36 - angle + np.pi / 2) % np.pi - np.pi / 2
    assert abs(turned) <= np.pi / 72 + 1e-9
    assert histogram.max() > 0.7 * histogram.sum()
    assert obs.wall_anisotropy(LATTICE, spins) == pytest.approx(np.cos(6 * angle), abs=0.01)


def test_the_wall_of_a_round_domain_is_its_circumference_and_has_no_direction() -> None:
    radius = np.linalg.norm(LATTICE.positions - LATTICE.positions.mean(axis=0), axis=1)
    spins = tetrahedral(LATTICE) * np.where(radius < 12, 1, -1)[:, None]
    walls = obs.domain_walls(LATTICE, spins)
    assert walls.length.sum() == pytest.approx(24 * np.pi, rel=0.01)
    assert abs(obs.wall_anisotropy(LATTICE, spins)) < 0.06


def test_directions_turn_with_the_lattice_and_walls_do_not_see_time_reversal() -> None:
    spins = random_spins(LATTICE.n_sites, np.random.default_rng(2))
    histogram = obs.wall_orientations(LATTICE, spins, bins=12)
    # rotation by 60 degrees maps the cell (x, y) to (-y, x + y)
    x, y = LATTICE.cells.T
    rotated = np.empty_like(spins)
    rotated[LATTICE.site_index(np.stack([-y, x + y], axis=-1), np.zeros(len(x), dtype=int))] = spins
    turned = obs.wall_orientations(LATTICE, rotated, bins=12)
    # the cells are cut into triangles along one diagonal, which a rotation does not keep: nearly equal
    np.testing.assert_allclose(turned, np.roll(histogram, 4), rtol=0.05)
    np.testing.assert_allclose(obs.wall_orientations(LATTICE, -spins, bins=12), histogram)


def test_walls_of_a_square_lattice_are_fourfold() -> None:
    lattice = make_lattice("square", [24, 24])
    # a row of skyrmions: stripes of one sign of the charge between stripes without
    x, y = lattice.positions.T
    polar, azimuth = np.pi * np.sin(np.pi * x / 12), 2 * np.pi * y / 12
    spins = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1
    )
    assert obs.rotation_order(lattice) == 4
    assert obs.wall_density(lattice, spins) > 0
    assert obs.wall_anisotropy(lattice, spins) == pytest.approx(1, abs=0.05)
    turned = spins.reshape(24, 24, 3).transpose(1, 0, 2).reshape(-1, 3)
    assert obs.wall_anisotropy(lattice, turned) == pytest.approx(1, abs=0.05)


def test_a_single_domain_has_no_walls_and_an_open_lattice_is_refused() -> None:
    for spins in (tetrahedral(LATTICE), ferromagnet(LATTICE)):
        assert obs.wall_density(LATTICE, spins) == 0
        assert obs.wall_anisotropy(LATTICE, spins) == 0
    strip = make_lattice("triangular", [12, 12], ["open", "periodic"])
    with pytest.raises(ConfigError, match="periodic"):
        obs.wall_density(strip, tetrahedral(strip))


def test_blurred_chirality_has_the_mean_and_the_centres_of_the_chirality() -> None:
    lattice = make_lattice("kagome", [12, 12])
    spins = random_spins(lattice.n_sites, np.random.default_rng(4), (2,))
    smooth = obs.smooth_chirality(lattice, spins)
    np.testing.assert_allclose(smooth.mean((-2, -1)), obs.scalar_chirality(lattice, spins).mean(-1))
    # one chiral triangle in a collinear state: the blurred field is the Gaussian about its centre
    alone = ferromagnet(lattice)
    corner = lattice.triangles()[40]
    alone[corner] = np.eye(3)
    chirality = obs.scalar_chirality(lattice, alone)
    centres = lattice.triangle_centres(lattice.triangles())
    field = obs.smooth_chirality(lattice, alone)
    periods = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]) * 12 @ lattice.vectors
    cells = (lattice.cells @ lattice.vectors)[:, None, None] - centres[None, :, None] - periods
    sigma = 1.5 * 2
    weight = np.exp(-0.5 * (cells**2).sum(-1) / sigma**2).sum(-1) / (2 * np.pi * sigma**2)
    expected = weight @ chirality * abs(np.linalg.det(lattice.vectors)) / 2
    np.testing.assert_allclose(field.reshape(-1), expected, atol=1e-4 * np.abs(expected).max())
