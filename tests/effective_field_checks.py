"""What every effective field must satisfy; a test class inherits this and says which field it is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from magsim.dynamics import EffectiveField
from magsim.lattice import Lattice, site_permutations
from magsim.spins import normalise, random_rotation, random_spins, transverse


@dataclass(frozen=True, eq=False)
class Case:
    """A field, where it lives and how exact it claims to be.

    Attributes:
        lattice: of the spins.
        field: under test.
        gradient: largest difference of -dE/dS and the field, relative to the rms transverse field.
        exact: largest difference between two ways to compute the same number, relative likewise.
        step: angle of the finite difference.
        rotations: whether a common rotation of all spins is a symmetry.
        time_reversal: whether E(-S) = E(S).
        mirror_x: whether lattice operations that move columns are symmetries.
    """

    lattice: Lattice
    field: EffectiveField
    gradient: float = 1e-7
    exact: float = 1e-10
    step: float = 3e-4
    rotations: bool = True
    time_reversal: bool = True
    mirror_x: bool = True

    @property
    def spins(self) -> np.ndarray:
        return random_spins(self.lattice.n_sites, np.random.default_rng(7))

    @property
    def scale(self) -> float:
        return float(np.sqrt(np.mean(transverse(self.field(self.spins)[1], self.spins) ** 2)))


def tangent_directions(spins: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """``(count, N, 3)`` random displacements perpendicular to the spins, of rms length 1 in all."""
    return normalise(transverse(rng.normal(size=(count, *spins.shape)), spins)) / np.sqrt(len(spins))


def moved(spins: np.ndarray, direction: np.ndarray, angle: float) -> np.ndarray:
    """Every spin turned along its direction by ``angle`` times the length of the direction (a geodesic)."""
    length = np.linalg.norm(direction, axis=-1, keepdims=True)
    unit = np.divide(direction, length, out=np.zeros_like(direction), where=length > 0)
    return np.cos(angle * length) * spins + np.sin(angle * length) * unit


def slope(case: Case, spins: np.ndarray, direction: np.ndarray) -> float:
    """dE/dangle along geodesics, fourth order."""
    h = case.step
    energy = case.field(np.stack([moved(spins, direction, k * h) for k in (-2, -1, 1, 2)]))[0]
    return float(energy @ np.array([1.0, -8.0, 8.0, -1.0]) / (12 * h))


def chirality(lattice: Lattice, vectors: np.ndarray) -> float:
    """Sum of ``V_i.(V_j x V_k)`` over the elementary triangles."""
    a, b, c = np.moveaxis(vectors[lattice.triangles()], 1, 0)
    return float((a * np.cross(b, c)).sum())


class EffectiveFieldChecks:
    """Inherit and define the fixture ``case`` -> :class:`Case` (with ``params`` for several)."""

    def test_the_field_is_minus_the_gradient_of_the_energy(self, case: Case) -> None:
        if not case.field.conservative:
            pytest.skip("this field is declared not to be a gradient")
        rng, spins = np.random.default_rng(1), case.spins
        field = case.field(spins)[1]
        directions = [*tangent_directions(spins, rng, 3)]
        for _ in range(3):  # one spin alone: the whole sum does not hide a wrong site
            site = int(rng.integers(len(spins)))
            alone = np.zeros_like(spins)
            alone[site] = normalise(transverse(rng.normal(size=3), spins[site]))
            directions.append(alone)
        for direction in directions:
            expected = -slope(case, spins, direction)
            assert abs(float((field * direction).sum()) - expected) < case.gradient * max(case.scale, 1.0)

    def test_the_field_has_no_curl(self, case: Case) -> None:
        """``dF_i/dS_j`` equals the transpose of ``dF_j/dS_i``: there is an energy."""
        if not case.field.conservative:
            pytest.skip("this field is declared not to be a gradient")
        spins, h = case.spins, max(case.step, 1e-3)
        a, b = tangent_directions(spins, np.random.default_rng(2), 2)
        half = len(spins) // 2
        a[half:], b[:half] = 0.0, 0.0  # on different sites, where covariant and plain derivatives agree

        def response(push: np.ndarray, probe: np.ndarray) -> float:
            fields = case.field(np.stack([moved(spins, push, k * h) for k in (-2, -1, 1, 2)]))[1]
            return float(np.einsum("k,knc,nc->", np.array([1.0, -8.0, 8.0, -1.0]) / (12 * h), fields, probe))

        ab, ba = response(a, b), response(b, a)
        assert abs(ab) > 100 * case.exact  # there is something to compare
        assert abs(ab - ba) < 1e-3 * abs(ab)

    def test_a_common_rotation_of_all_spins_turns_the_field_and_keeps_the_energy(self, case: Case) -> None:
        if not case.rotations:
            pytest.skip("the field singles out a direction of spin space")
        spins = case.spins
        energy, field = case.field(spins)
        for seed in range(3):
            R = random_rotation(np.random.default_rng(seed))
            turned_energy, turned_field = case.field(spins @ R.T)
            self._same_energy(case, turned_energy, energy)
            np.testing.assert_allclose(turned_field, field @ R.T, rtol=0, atol=case.exact * self._top(field))

    def test_a_lattice_operation_moves_the_field_with_the_spins(self, case: Case) -> None:
        spins = case.spins
        permutations = site_permutations(case.lattice)
        if not case.mirror_x:
            x = case.lattice.positions[:, 0]
            permutations = permutations[np.abs(x[permutations] - x).max(axis=1) < 1e-9]
            assert len(permutations) > 1
        energy, field = case.field(spins)
        carried = np.empty((len(permutations), *spins.shape))
        for k, p in enumerate(permutations):
            carried[k, p] = spins
        energies, fields = case.field(carried)
        self._same_energy(case, energies, energy)
        for p, moved_field in zip(permutations, fields, strict=True):
            np.testing.assert_allclose(moved_field[p], field, rtol=0, atol=case.exact * self._top(field))

    def test_time_reversal_keeps_the_energy_and_turns_the_field_over(self, case: Case) -> None:
        if not case.time_reversal:
            pytest.skip("the field breaks time reversal")
        energy, field = case.field(case.spins)
        reversed_energy, reversed_field = case.field(-case.spins)
        self._same_energy(case, reversed_energy, energy)
        np.testing.assert_allclose(reversed_field, -field, rtol=0, atol=case.exact * self._top(field))

    def test_the_mirror_image_of_a_texture_has_the_mirrored_field_and_opposite_chirality(
        self, case: Case
    ) -> None:
        if not (case.rotations and case.time_reversal):
            pytest.skip("a mirror of the spins is no symmetry of this field")
        spins, mirror = case.spins, np.array([1.0, 1.0, -1.0])
        energy, field = case.field(spins)
        mirrored_energy, mirrored_field = case.field(spins * mirror)
        self._same_energy(case, mirrored_energy, energy)
        np.testing.assert_allclose(mirrored_field, field * mirror, rtol=0, atol=case.exact * self._top(field))
        if case.lattice.dim == 2:
            before, after = (chirality(case.lattice, f) for f in (field, mirrored_field))
            assert abs(before) > 1e3 * case.exact
            assert after == pytest.approx(-before, rel=1e-6, abs=10 * case.exact)

    def test_a_batch_gives_what_its_members_give_alone(self, case: Case) -> None:
        n = case.lattice.n_sites
        spins = random_spins(n, np.random.default_rng(3), (2, 3))
        energy, field = case.field(spins)
        assert energy.shape == (2, 3)
        assert field.shape == (2, 3, n, 3)
        for index in np.ndindex(2, 3):
            one_energy, one_field = case.field(spins[index])
            self._same_energy(case, one_energy, energy[index])
            np.testing.assert_allclose(
                one_field, field[index], rtol=0, atol=case.exact * self._top(one_field)
            )

    def test_tensors_give_tensors_with_the_same_numbers(self, case: Case) -> None:
        energy, field = case.field(case.spins)
        tensor_energy, tensor_field = case.field(torch.tensor(case.spins))
        assert tensor_energy.dtype == tensor_field.dtype == torch.float64
        assert isinstance(field, np.ndarray)
        np.testing.assert_array_equal(tensor_energy.numpy(), energy)
        np.testing.assert_array_equal(tensor_field.numpy(), field)

    def test_spins_of_another_lattice_are_refused(self, case: Case) -> None:
        with pytest.raises(ValueError, match="spins have shape"):
            case.field(case.spins[:-1])

    @staticmethod
    def _same_energy(case: Case, one: np.ndarray, other: np.ndarray) -> None:
        """A field that is declared no gradient need not have an energy: NaN then."""
        close = np.abs(one - other) < case.exact * np.maximum(1.0, np.abs(other))
        assert np.all(close | (np.isnan(one) & np.isnan(other) & (not case.field.conservative)))

    @staticmethod
    def _top(field: np.ndarray) -> float:
        return max(1.0, float(np.abs(field).max()))
