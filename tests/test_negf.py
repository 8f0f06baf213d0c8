"""Driven strips: reference values, and the sum rules that hold to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from effective_field_checks import Case, EffectiveFieldChecks
from strips import reference_spins, spins_of, strip

from magsim.dynamics import ExactField
from magsim.errors import ConfigError
from magsim.hamiltonian import SDHamiltonian
from magsim.labelers import EDLabeler, GreensLabeler, KPMLabeler, NEGFLabeler
from magsim.lattice import make_lattice

# electrons, F_0, F_7, I_L / I_R / I_b of a 4 x 3 strip, computed independently of this project
TABLE = {
    0.0: (
        12.5319819354,
        [0.2404439443, -0.0334956855, 0.8324101528],
        [0.7869298846, -0.5302654477, 0.3275067777],
        [0.0, 0.0, 0.0],
    ),
    0.6: (
        12.7481088332,
        [0.2004219448, -0.0915312485, 0.7970357118],
        [0.7939885635, -0.4981838877, 0.3337292674],
        [0.0492536068, -0.0449310689, -0.0043225380],
    ),
}


@pytest.mark.parametrize("voltage", TABLE)
def test_electrons_fields_and_currents_of_a_small_strip_are_the_reference_values(voltage: float) -> None:
    labels = NEGFLabeler(strip(voltage=voltage), tolerance=1e-11).label(reference_spins()[None])
    electrons, first, eighth, currents = TABLE[voltage]
    assert labels.energy is None
    assert abs(labels.density.sum() - electrons) < 1e-9
    np.testing.assert_allclose(labels.field[0, 0], first, rtol=0, atol=1e-9)
    np.testing.assert_allclose(labels.field[0, 7], eighth, rtol=0, atol=1e-9)
    np.testing.assert_allclose(labels.extra["terminal_current"][0], currents, rtol=0, atol=1e-9)


KINDS = {
    "wide": {},
    "periodic": {"across": "periodic", "shape": (5, 4)},
    "two wide": {"across": "periodic", "shape": (3, 2)},
    "T=0": {"T": 0.0},
    "dropping": {"potential_drop": True},
    "magnetised": {"lead_moment_L": (0.0, 0.3, 0.5), "lead_moment_R": (0.8, 0.0, 0.0)},
    "square leads": {"leads": "semi_infinite"},
    "magnetic square leads": {
        "leads": "semi_infinite",
        "lead_moment_L": (0.0, 0.6, 0.8),
        "lead_moment_R": (1.0, 0.0, 0.0),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_flows_in_flows_out_and_turns_the_spins(kind: str) -> None:
    """Terminal sum, continuity of every site, and sum_i S_i x F_i = injected spin, to rounding and at any
    number of energies."""
    h = strip(**{"voltage": 0.6, **KINDS[kind]})
    spins = spins_of(h)
    labels = NEGFLabeler(h, tolerance=1e-3).label(spins[None])
    charge, spin = labels.extra["terminal_current"][0], labels.extra["terminal_spin_current"][0]
    assert abs(charge[0]) > 1e-3
    assert abs(charge.sum()) < 1e-12
    np.testing.assert_allclose(spin.sum(0), np.cross(spins, labels.field[0]).sum(0), rtol=0, atol=1e-12)
    columns, width = h.lattice.shape
    i, j = h.current_bonds
    across = np.zeros(columns + 1)  # from column x - 1 to column x
    along = (columns - 1) * width
    across[1:-1] = labels.extra["bond_current"][0, :along].reshape(columns - 1, width).sum(1)
    assert np.all(j[:along] - i[:along] == width)
    across[0], across[-1] = charge[0], -charge[1]
    if h.potential_drop:
        return
    still = NEGFLabeler(h.with_voltage(0.0), tolerance=1e-3).label(spins[None])
    bath = h.gamma_bath * (still.density - labels.density)[0].reshape(columns, width).sum(1)
    np.testing.assert_allclose(np.diff(across), bath, rtol=0, atol=1e-12)


def test_others_refuse_a_driven_strip_and_it_refuses_them() -> None:
    for labeler in (EDLabeler, GreensLabeler, KPMLabeler):
        with pytest.raises(ConfigError, match="labeler=negf"):
            labeler(strip())
    with pytest.raises(ConfigError, match="driven only"):
        NEGFLabeler(SDHamiltonian(make_lattice("square", (4, 3)), (1.0,), mu=0.0))


class TestDrivenField(EffectiveFieldChecks):
    @pytest.fixture(params=["wide_band", "semi_infinite"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        h = strip((4, 3), "periodic", leads=request.param, voltage=0.5)
        field = ExactField(NEGFLabeler(h, tolerance=1e-9))
        assert not field.conservative
        return Case(h.lattice, field, exact=1e-9, time_reversal=False)

    def test_a_lattice_operation_moves_the_field_with_the_spins(self, case: Case) -> None:
        pytest.skip("the mirror in x is no symmetry: see below")


def test_the_mirror_image_in_y_has_the_mirrored_field_and_that_in_x_has_not() -> None:
    h = strip((4, 3), voltage=0.6)
    labeler, spins = NEGFLabeler(h, tolerance=1e-9), spins_of(h)
    field = labeler.label(spins[None]).field[0].reshape(4, 3, 3)
    grid = spins.reshape(4, 3, 3)
    mirrored = labeler.label(grid[:, ::-1].reshape(1, -1, 3)).field[0].reshape(4, 3, 3)
    np.testing.assert_allclose(mirrored[:, ::-1], field, rtol=0, atol=1e-12)
    turned = labeler.label(grid[::-1].reshape(1, -1, 3)).field[0].reshape(4, 3, 3)
    assert np.abs(turned[::-1] - field).max() > 1e-2
    back = labeler.with_voltage(-0.6).label(grid[::-1].reshape(1, -1, 3)).field[0].reshape(4, 3, 3)
    np.testing.assert_allclose(back[::-1], field, rtol=0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["wide", "T=0", "magnetic square leads"])
def test_the_gpu_gives_the_labels_of_the_cpu(kind: str) -> None:
    h = strip(**{"shape": (6, 10), "across": "periodic", "voltage": 0.6, **KINDS[kind]})
    spins = spins_of(h, batch=(3,))
    cpu, gpu = (NEGFLabeler(h, device, tolerance=1e-9).label(spins) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.field, cpu.field, rtol=0, atol=1e-11)
    for name in cpu.extra:
        np.testing.assert_allclose(gpu.extra[name], cpu.extra[name], rtol=0, atol=1e-11)
