"""Peaks of the structure factor and correlations against distance, on states where they are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magsim.lattice import make_lattice
from magsim.observables import (
    chirality_pair_correlation,
    ordering_wavenumber,
    ordering_weight,
    pair_distances,
    spin_pair_correlation,
)
from magsim.spins import TEXTURES, random_spins


@pytest.mark.parametrize(
    ("name", "lattice", "wavenumber"),
    [
        ("ferromagnet", "triangular", 0.0),
        ("order_120", "triangular", 4 * np.pi / 3),
        ("tetrahedral", "triangular", 2 * np.pi / np.sqrt(3)),
        ("neel", "square", np.sqrt(2) * np.pi),
    ],
)
def test_perfect_order_has_all_its_weight_at_the_length_of_its_wavevectors(
    name: str, lattice: str, wavenumber: float
) -> None:
    crystal = make_lattice(lattice, [12, 12])
    spins = TEXTURES[name](crystal)
    assert ordering_weight(crystal, spins) == pytest.approx(1.0)
    assert ordering_wavenumber(crystal, spins) == pytest.approx(wavenumber, abs=1e-5)
    noisy = torch.from_numpy(np.stack([spins, random_spins(144, np.random.default_rng(0))]))
    weights = ordering_weight(crystal, noisy)
    assert weights[0] == pytest.approx(1.0)
    assert weights[1] < 0.2


def test_pair_correlation_is_the_average_over_pairs_of_each_ring() -> None:
    crystal = make_lattice("triangular", [8, 8])
    spins = random_spins(64, np.random.default_rng(1))
    r, found = pair_distances(crystal), spin_pair_correlation(crystal, spins)
    box = 8 * crystal.vectors
    sums, counts = np.zeros(len(r)), np.zeros(len(r))
    for i in range(64):
        for j in range(64):
            d = crystal.positions[j] - crystal.positions[i]
            d = min(np.linalg.norm(d + m * box[0] + n * box[1]) for m in (-1, 0, 1) for n in (-1, 0, 1))
            if d <= 8 * np.sqrt(3) / 4 + 1e-9:
                ring = int(np.floor(d + 0.5))
                sums[ring] += spins[i] @ spins[j]
                counts[ring] += 1
    np.testing.assert_allclose(found, sums / counts, atol=1e-12)
    assert r[1] == pytest.approx(1.0)


def test_chirality_correlation_is_one_in_a_domain_and_falls_across_two() -> None:
    crystal = make_lattice("triangular", [48, 48])
    spins = TEXTURES["tetrahedral"](crystal).reshape(48, 48, 3).copy()
    spins[:24] *= -1  # time reversal turns the chirality
    correlation = chirality_pair_correlation(crystal, spins.reshape(-1, 3))
    assert correlation[0] == pytest.approx(1.0)
    assert correlation[1] > 0.9
    assert correlation[-1] < 0.2
    whole = chirality_pair_correlation(crystal, TEXTURES["tetrahedral"](crystal))
    np.testing.assert_allclose(whole, 1.0, atol=1e-12)
