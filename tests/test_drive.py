"""A strip under a bias: tables of voltages, walls to begin with, where walls are, what continues."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from biased_labeler import BiasedLabeler, Strip
from test_potential import DRIVEN, driven
from test_potential import STRIP as STRIP_OF_MODEL

from magsim.config import check, compose
from magsim.datasets.trajectory_data import _voltages
from magsim.dynamics import (
    ClassicalField,
    Drive,
    ExactField,
    Quench,
    evolve,
    initial_spins,
    make_integrator,
    open_trajectory,
)
from magsim.errors import ConfigError
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import model_facts, save_model
from magsim.observables import afm_fm_wall_position, correlation_profile, domain_wall_position
from magsim.spins import afm_fm_wall, domain_wall, ferromagnet, neel, random_rotation, random_spins, tilted
from magsim.tasks.agreement import _torque_error
from magsim.tasks.build import build_labeler, build_lattice
from magsim.tasks.dispatch import execute
from magsim.tasks.trajectories.scene import references_of

STRIP = make_lattice("square", (12, 4), ("open", "periodic"))


def exact(voltage=0.0):
    return ExactField(BiasedLabeler(Strip(STRIP, voltage)))


def frames(protocol, field, dt=0.05, alpha=0.2, spins=None, **options):
    start = torch.from_numpy(initial_spins(protocol, STRIP, 3)) if spins is None else spins
    return list(evolve(field, start, make_integrator("heun", dt, alpha), protocol, 3, **options))


# --- the bias


def test_a_constant_voltage_is_the_field_at_that_bias():
    """The same frames as those of a field that was made with the voltage, bit by bit."""
    start = {"steps": 20, "record_every": 10, "initial": "domain_wall"}
    driven = frames(Drive(V=0.7, **start), exact())
    still = frames(Quench(**start), exact(0.7))
    assert [f.step for f in driven] == [0, 10, 20]
    for a, b in zip(driven, still, strict=True):
        assert torch.equal(a.spins, b.spins)
        assert torch.equal(a.field, b.field)
    assert not torch.equal(driven[-1].spins, frames(Quench(**start), exact())[-1].spins)


def test_every_replica_moves_as_it_would_alone_at_its_voltage():
    together = frames(Drive(20, 10, V=[0.0, 0.7, -0.3], tilt=0.1), exact())[-1].spins
    for r, V in enumerate((0.0, 0.7, -0.3)):
        alone = frames(Drive(20, 10, V=V, tilt=0.1), exact())[-1].spins
        torch.testing.assert_close(together[r], alone[0], rtol=0, atol=1e-13)


def test_the_voltage_of_a_step_is_that_of_the_table():
    """Linear between rows in steps or in time; the field of a frame is that at its own voltage."""
    table = [[10, 0.0, 1.0], [30, 2.0, 1.0]]
    drive = Drive(40, 5, clock="steps", V=table)
    assert drive.replicas == 2
    for frame in frames(drive, exact()):
        for r, V in enumerate((np.interp(frame.step, [10, 30], [0, 2]), 1.0)):
            torch.testing.assert_close(frame.field[r], exact(V)(frame.spins[r])[1], rtol=0, atol=1e-14)
    timed = Drive(40, 5, clock="time", V=[[10 * 0.05, *table[0][1:]], [30 * 0.05, *table[1][1:]]]).timed(0.05)
    for step in (0, 10, 17, 30, 40):
        np.testing.assert_allclose(timed.voltage(step), drive.voltage(step))


@pytest.mark.parametrize("clock", ["time", "steps"])
@pytest.mark.parametrize("V", [0.8, [0.0, 1.4], [[0, 0.2], [6, 1.4]], [[1, 0, 0.5], [5, 1, -1], [6, 2, 2]]])
def test_frames_of_a_driven_run_are_learned_at_the_voltage_they_had(V, clock):
    protocol = Drive(V=V, clock=clock)
    step = np.arange(0, 12, 3)
    found = _voltages({"V": V, "clock": clock}, step, 0.7 * step, protocol.replicas)
    expected = [np.broadcast_to(protocol.timed(0.7).voltage(int(k)), protocol.replicas) for k in step]
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert _voltages({"name": "quench"}, step, step, 1) is None


def test_fields_without_a_bias_cannot_be_driven():
    field = ClassicalField(ClassicalHamiltonian(STRIP, heisenberg=[1.0]))
    with pytest.raises(ConfigError, match=r"protocol\.name=drive: field classical knows no bias"):
        frames(Drive(10, 5), field)
    with pytest.raises(ConfigError, match=r"integrator\.tolerance=.*one voltage for all"):
        Drive(V=[0, 1]).check(make_integrator("heun", 0.1, 0.1, tolerance=1e-3))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"V": [[5, 1.0], [5, 0.5]]}, r"protocol\.V=.*must increase"),
        ({"V": [[0, 1.0], [5, 0.5, 1.0]]}, r"protocol\.V=.*every row is \[when, V\]"),
        ({"V": math.inf}, r"protocol\.V=.*finite"),
        ({"V": []}, r"protocol\.V=.*a number, a list of numbers"),
        ({"V": [0, 1], "replicas": 3}, r"protocol\.replicas=3.*2 voltages"),
        ({"clock": "days"}, r"protocol\.clock=days"),
        ({"tilt": -1.0}, r"protocol\.tilt=-1"),
        ({"width": 0.0}, r"protocol\.width=0"),
    ],
)
def test_drives_that_mean_nothing_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Drive(**options)


@pytest.mark.parametrize("half", [40, 33])
def test_n_steps_and_n_more_equal_2n_bitwise(half):
    drive = Drive(80, 10, V=[[0, 0, 1], [4, 2, 1]], initial="domain_wall", tilt=0.1)
    whole = frames(drive, exact())
    first = frames(drive, exact(), n_steps=half)[-1]
    rest = frames(drive, exact(), spins=first.spins, start_step=first.step)
    assert [f.step for f in rest] == [f.step for f in whole if f.step > first.step]
    for frame in rest:
        (same,) = (f for f in whole if f.step == frame.step)
        assert torch.equal(frame.spins, same.spins)


@pytest.mark.parametrize("V", [0.4, -0.4])
def test_a_spin_transfer_torque_moves_a_wall_at_its_velocity_in_its_direction(V):
    """``dS/dt = S x F = -V dS/dx`` for the torque of the strip: the texture moves with velocity V."""
    strip = make_lattice("square", (40, 2), ("open", "periodic"))
    field = ExactField(BiasedLabeler(Strip(strip)))
    drive = Drive(40, 40, initial="domain_wall", width=5.0, V=V)
    start = torch.from_numpy(initial_spins(drive, strip, 0))
    end = list(evolve(field, start, make_integrator("rk4", 0.2, 0.0), drive, 0))[-1]
    moved = domain_wall_position(strip, end.spins) - domain_wall_position(strip, start)
    assert float(moved) == pytest.approx(V * end.time, rel=0.03)


# --- walls


@pytest.mark.parametrize("place", [3.5, 7.5])
def test_the_wall_between_antiferromagnet_and_ferromagnet_is_where_it_was_put(place):
    spins = afm_fm_wall(STRIP, place) @ random_rotation(np.random.default_rng(1)).T
    assert float(afm_fm_wall_position(STRIP, spins)) == pytest.approx(place)
    c = correlation_profile(STRIP, spins)
    np.testing.assert_allclose(c[: int(place)], -1)
    np.testing.assert_allclose(c[int(place) + 2 :], 1)
    noisy = tilted(spins, 0.1, np.random.default_rng(0))
    assert float(afm_fm_wall_position(STRIP, noisy)) == pytest.approx(place, abs=0.1)
    torch.testing.assert_close(
        afm_fm_wall_position(STRIP, torch.from_numpy(noisy)),
        torch.from_numpy(np.asarray(afm_fm_wall_position(STRIP, noisy))),
    )


def test_a_zigzag_wall_is_where_its_rows_are_on_average_and_canted_domains_do_not_move_it():
    spins = afm_fm_wall(STRIP, 5.5).reshape(12, 4, 3)
    spins[6:8, ::2] = [[[1, 0, 0]], [[-1, 0, 0]]]  # every other row: two columns farther
    assert float(afm_fm_wall_position(STRIP, spins.reshape(-1, 3))) == pytest.approx(6.5)
    spins[10] = [0.8**0.5, 0, -(0.2**0.5)]  # one column of the ferromagnet turned by more than 90 degrees
    assert float(afm_fm_wall_position(STRIP, spins.reshape(-1, 3))) == pytest.approx(6.5)


def test_a_wall_that_has_left_the_strip_is_at_its_end():
    assert float(afm_fm_wall_position(STRIP, ferromagnet(STRIP))) == 0
    assert float(afm_fm_wall_position(STRIP, neel(STRIP))) == 11
    assert math.isnan(domain_wall_position(STRIP, ferromagnet(STRIP)))


@pytest.mark.parametrize("place", [4.0, 5.3, 6.71])
@pytest.mark.parametrize("width", [0.7, 2.0, 4.0])
def test_the_place_of_a_180_degree_wall_is_known_far_below_a_lattice_constant(place, width):
    spins = domain_wall(STRIP, place, width)
    both = np.stack([spins, -spins])  # down on the left as well
    np.testing.assert_allclose(domain_wall_position(STRIP, both), place, atol=1e-9)
    torch.testing.assert_close(
        domain_wall_position(STRIP, torch.from_numpy(both)),
        torch.full((2,), place, dtype=torch.float64),
        rtol=0,
        atol=1e-9,
    )


def test_walls_need_an_open_end_and_a_place_on_the_lattice():
    ring = make_lattice("square", (12, 4))
    with pytest.raises(ConfigError, match=r"lattice\.boundary=.*first boundary open"):
        domain_wall(ring)
    with pytest.raises(ConfigError, match=r"protocol\.wall=12: the columns .* from 0 to 11"):
        afm_fm_wall(STRIP, 12)
    with pytest.raises(ConfigError, match=r"lattice\.boundary=.*first boundary open"):
        domain_wall_position(ring, random_spins(48, np.random.default_rng(0)))


def test_voltages_are_compared_from_one_state_and_replicas_start_apart():
    apart = initial_spins(Drive(V=[0, 1], tilt=0.1), STRIP, 0)
    np.testing.assert_array_equal(apart[0], apart[1])
    alike = initial_spins(Drive(replicas=2, tilt=0.1), STRIP, 0)
    assert np.abs(alike[0] - alike[1]).max() > 0.05
    angle = np.arccos(np.clip((alike * afm_fm_wall(STRIP)).sum(-1), -1, 1))
    assert np.sqrt((angle**2).mean()) == pytest.approx(0.1 * math.sqrt(2), rel=0.2)


# --- the task


@pytest.mark.slow
def test_a_driven_wall_ends_in_its_figures_currents_and_velocities(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    job = ["experiment=driven_domain_wall", "logger=csv", "compute=cpu", "lattice.shape=[6,2]"]
    job += ["protocol.wall=2.5", "protocol.V=[0,1]", "protocol.steps=4", "observables.transport=2"]
    job += ["references=[]", "observables.figures=[series,wall_motion,transport,space_time,strips]"]
    metrics = execute(compose(job), job, tmp_path / "run")
    for name in ("wall_motion", "currents", "density_space_time", "space_time", "strips"):
        assert (tmp_path / "run" / f"{name}.png").is_file()
    assert (tmp_path / "run" / "strips.gif").is_file()
    assert metrics["simulate/current_left_0"] == pytest.approx(0, abs=1e-4)
    assert metrics["simulate/current_left_1"] > 1e-4  # electrons enter where mu is higher
    kept = np.load(tmp_path / "run" / "transport.npz")
    np.testing.assert_array_equal(kept["voltage"], [[0, 1], [0, 1]])
    np.testing.assert_allclose(kept["terminal_current"].sum(-1), 0, atol=1e-10)
    spins = open_trajectory(tmp_path / "run" / "trajectory.zarr").spins(-1)
    for r, V in enumerate((0.0, 1.0)):  # the sum rule: what is injected is the torque on all spins
        field = build_labeler(compose(job)).with_voltage(V).label(spins[[r]]).field[0]
        np.testing.assert_allclose(
            np.cross(spins[r], field).sum(0), kept["injected_spin_current"][-1, r], atol=1e-4
        )
    again = ["task=analyze", f"task.path={tmp_path / 'run'}", "logger=csv", "compute=cpu"]
    again += ["observables.figures=[transport]", "observables.transport=2"]
    execute(compose(again), again, tmp_path / "again")  # no word of the labeler: that of the run
    for name, values in kept.items():
        np.testing.assert_allclose(np.load(tmp_path / "again" / "transport.npz")[name], values, atol=1e-12)


def test_a_drive_needs_a_strip():
    job = ["task=simulate", "protocol=drive", "lattice=square", "lattice.boundary=[open,periodic]"]
    with pytest.raises(ConfigError, match=r"hamiltonian\.name=sd: protocol=drive is for hamiltonian=driven"):
        check(compose(job))


@pytest.mark.slow
def test_torques_of_a_driven_run_are_compared_at_the_voltage_of_each_frame(tmp_path, monkeypatch):
    """A model of any weights has no error on its own run, in which the voltage changes."""
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    kind = {"name": "potential", "hidden": [16, 8], "form": "sitewise", "voltage_input": True}
    save_model(
        tmp_path / "model.safetensors",
        driven(form="sitewise", voltage_input=True),
        model_facts(STRIP_OF_MODEL, DRIVEN, kind),
    )
    job = ["experiment=driven_domain_wall", "logger=csv", "compute=cpu", "compute.precision=float64"]
    job += ["lattice.shape=[7,4]", "protocol.wall=3.5", "protocol.V=[[0,0,1],[8,1,0]]", "protocol.steps=4"]
    job += [f"checkpoint={tmp_path / 'model.safetensors'}", "references=[]", "observables.figures=[series]"]
    execute(compose(job), job, tmp_path / "run")
    (tmp_path / "run" / "trajectory.zarr").rename(tmp_path / "run" / "exact.zarr")
    cfg = compose([*job, "task=agreement"])
    error = _torque_error(cfg, SimpleNamespace(folder=tmp_path / "run"), build_lattice(cfg))
    assert error < 1e-9


@pytest.mark.slow
def test_walls_of_both_fields_are_compared_voltage_by_voltage(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    folder = tmp_path / "run"
    job = ["experiment=spin_transfer", "task=agreement", "checkpoint=spin_transfer", "logger=csv"]
    job += ["compute=cpu", "lattice.shape=[12,4]", "labeler.tolerance=1e-3", "protocol.V=[-0.6,0.6]"]
    job += ["protocol.steps=3", "observables.fit=[2,6]", "observables.transport=2"]
    metrics = execute(compose(job), job, folder)
    lattice = build_lattice(compose(job))
    for name in ("exact", "learned"):
        trajectory = open_trajectory(folder / f"{name}.zarr")
        places = [domain_wall_position(lattice, np.asarray(trajectory.spins(k))) for k in range(1, 4)]
        for r, V in enumerate((-0.6, 0.6)):
            slope = np.polyfit(trajectory.time[1:], [place[r] for place in places], 1)[0]
            assert metrics[f"agreement/{name}_wall_velocity_{r}"] == pytest.approx(slope)
            ends = [np.asarray(trajectory.spins(k))[[r]] for k in (1, 3)]
            field = build_labeler(compose(job)).with_voltage(V).label(np.concatenate(ends)).field
            injected = np.cross(np.concatenate(ends), field).sum(1)[:, 2].mean()
            expected = metrics[f"agreement/{name}_spin_current_velocity_{r}"]
            assert expected == pytest.approx(injected / 8, rel=1e-6)  # 2 L_y
            assert metrics[f"agreement/{name}_spin_transfer_{r}"] == pytest.approx(slope / expected)
    assert "agreement/structure_factor/largest_difference" not in metrics
    page = (folder / "report.html").read_text()
    assert "eV = -0.6" in page
    assert "$eV" not in page
    assert (folder / "domain_wall_position.png").exists()
    assert (folder / "strips.png").exists()


@pytest.mark.parametrize(("voltage", "left"), [("1.4", []), ("0", ["0"]), ("[0,0.8,1,1.4]", ["0", "1", "3"])])
def test_a_reference_counts_at_its_voltage_alone(voltage: str, left: list[str]) -> None:
    words = ["experiment=driven_domain_wall", f"protocol.V={voltage}"]
    assert [known.replica for known in references_of(compose(words))] == left
