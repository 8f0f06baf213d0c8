"""S(q, omega): its sum rule, and the spin waves of ferromagnets where theory has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from magsim import observables as obs
from magsim.errors import ConfigError
from magsim.lattice import Lattice, make_lattice
from magsim.spins import random_spins

STEP, EVERY, FRAMES = 0.05, 5, 400


def spin_waves(lattice: Lattice, seed: int = 0) -> np.ndarray:
    """``(F, N, 3)`` of dS/dt = S x F, F_i = sum of the neighbours, little excited; midpoint rule by RK4."""
    shell = lattice.shells(1)[0]
    neighbours = shell.j.reshape(lattice.n_sites, -1)

    def torque(spins: np.ndarray) -> np.ndarray:
        return np.cross(spins, spins[neighbours].sum(1))

    spins = np.array([0, 0, 1.0]) + 0.02 * np.random.default_rng(seed).normal(size=(lattice.n_sites, 3))
    spins /= np.linalg.norm(spins, axis=1, keepdims=True)
    frames = []
    for step in range(FRAMES * EVERY):
        if step % EVERY == 0:
            frames.append(spins)
        a = torque(spins)
        b = torque(spins + STEP / 2 * a)
        c = torque(spins + STEP / 2 * b)
        d = torque(spins + STEP * c)
        spins = spins + STEP / 6 * (a + 2 * b + 2 * c + d)
    return np.stack(frames)


# omega(q) = sum over neighbours of (1 - cos q.d) for J = S = 1
DISPERSION: dict[str, tuple[list[int], Callable[[np.ndarray], np.ndarray]]] = {
    "chain": ([16], lambda q: 2 - 2 * np.cos(q[:, 0])),
    "square": ([8, 8], lambda q: 4 - 2 * np.cos(q).sum(-1)),
    "triangular": (
        [6, 6],
        lambda q: 6 - 2 * np.cos(q[:, 0]) - 4 * np.cos(q[:, 0] / 2) * np.cos(np.sqrt(3) / 2 * q[:, 1]),
    ),
}


@pytest.mark.parametrize("name", list(DISPERSION))
def test_ferromagnets_have_the_magnons_of_theory(name: str) -> None:
    shape, law = DISPERSION[name]
    lattice = make_lattice(name, shape)
    path = obs.route(lattice)
    omega, spectrum = obs.dynamic_structure_factor(
        obs.amplitudes(lattice, spin_waves(lattice), path), STEP * EVERY, connected=True
    )
    expected = law(path.q)
    positive = omega > 0
    peak = omega[positive][np.argmax(spectrum[:, positive], axis=-1)]
    moving = expected > 0.1
    assert moving.sum() >= 5
    resolution = 2 * np.pi / (FRAMES * STEP * EVERY)
    np.testing.assert_allclose(peak[moving], expected[moving], atol=resolution)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "rectangular"])
def test_the_integral_over_omega_is_the_static_structure_factor(window: str) -> None:
    from magsim.observables.excitations import window_weights

    lattice = make_lattice("kagome", [4, 4])
    frames = random_spins(lattice.n_sites, np.random.default_rng(3), (40, 2))
    path = obs.route(lattice)
    omega, spectrum = obs.dynamic_structure_factor(obs.amplitudes(lattice, frames, path), 0.3, window)
    static = obs.structure_factor(lattice, frames).reshape(40, 2, -1)[..., path.index]
    weights = window_weights(window, 40) ** 2
    mean = np.tensordot(weights / weights.sum(), static, axes=(0, 0))
    np.testing.assert_allclose(spectrum.sum(-1) * (omega[1] - omega[0]), mean, rtol=1e-12)
    assert spectrum.shape == (2, len(path.index), 40)


def test_torch_gives_the_same_spectrum() -> None:
    torch = pytest.importorskip("torch")
    lattice = make_lattice("triangular", [6, 6])
    frames = random_spins(lattice.n_sites, np.random.default_rng(3), (16,))
    expected = obs.dynamic_structure_factor(obs.amplitudes(lattice, frames), 0.1)[1]
    values = obs.amplitudes(lattice, torch.from_numpy(frames))
    np.testing.assert_allclose(obs.dynamic_structure_factor(values, 0.1)[1].numpy(), expected, atol=1e-12)


def test_the_route_passes_through_the_symmetry_points_of_the_lattice() -> None:
    lattice = make_lattice("triangular", [12, 12])
    path = obs.route(lattice)
    assert path.names == ("Γ", "M", "K", "Γ")
    for name, tick in zip(path.names, path.ticks, strict=True):
        nearest = path.q[np.argmin(np.abs(path.distance - tick))]
        assert obs.symmetry_name(lattice, nearest) == name
    assert (np.diff(path.distance) > 0).all()
    with pytest.raises(ConfigError, match="two times"):
        obs.dynamic_structure_factor(np.zeros((1, 4, 3), dtype=complex), 0.1)
