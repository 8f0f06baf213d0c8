"""Audits: exact labels of the states that a simulation reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_models import BISPECTRUM, BP, trained

from magsim.config import check, compose
from magsim.dynamics import ClassicalField, EffectiveField, ExactField, Quench, make_integrator
from magsim.errors import ConfigError
from magsim.hamiltonian import SDHamiltonian
from magsim.hamiltonian.classical import ClassicalHamiltonian
from magsim.labelers import EDLabeler
from magsim.labelers.blocks import Cut, block_torques
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import model_facts, save_model
from magsim.runs import Run, open_run, read_series, read_status, write_json
from magsim.spins import random_spins, transverse
from magsim.tasks.build import plain
from magsim.tasks.dispatch import execute
from magsim.tasks.simulation.recording import simulate
from magsim.tasks.simulation.truth import Auditor
from magsim.tasks.simulation.watch import Audit, Domain

LATTICE = make_lattice("triangular", (4, 4))
SD = {"name": "sd", "t": [1.0], "J": 3.0, "mu": -3.2, "filling": None, "T": 0.3}
NODE = plain(compose(["audit.labeler=ed", "audit.every=10"]).audit)
EXACT = ExactField(EDLabeler(SDHamiltonian(LATTICE, (1.0,), mu=-3.2, T=0.3, J=3.0)))


class Scaled(EffectiveField):
    """A field whose relative error is known."""

    def __init__(self, factor: float) -> None:
        self.factor, self.n_sites, self.name = factor, LATTICE.n_sites, "scaled"

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        energy, field = EXACT(spins)
        return self.factor * energy, self.factor * field


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with open_run(compose(["logger=csv"]), "simulate", flat={}, folder=tmp_path / "run") as opened:
        yield opened


def audited(
    run: Run, field: EffectiveField, steps: int = 20, classical: ClassicalField | None = None, **options: Any
) -> Audit:
    domain = Domain(run, options.get("test_rmse"), 2.0)
    audit = Audit(run, 10, domain, Auditor(SD, LATTICE, NODE, 0, "cpu"), classical)
    total = field if classical is None else field + classical
    protocol, step = Quench(steps, 5, 2), make_integrator("heun", 0.5, 1.0)
    path = run.folder / "trajectory.zarr"
    simulate(total, LATTICE, step, protocol, ("energy",), 1, run, path, watchers=[audit])
    return audit


def test_the_exact_field_has_no_torque_error_and_one_ten_per_cent_too_strong_has_that(run: Run) -> None:
    audit = audited(run, Scaled(1.1))
    assert sorted(audit.rows) == [0, 10, 20]
    np.testing.assert_allclose(audit.column("torque_error"), 0.1, rtol=1e-9)
    assert audit.rows[20]["sites"] == 2 * 16
    assert audit.rows[20]["largest"] > np.sqrt(3) * audit.rows[20]["torque_rmse"]


def test_classical_terms_are_no_part_of_the_error(run: Run) -> None:
    terms = ClassicalField(ClassicalHamiltonian(LATTICE, heisenberg=(0.3,), zeeman=(0.0, 0.1, 0.2)))
    assert audited(run, EXACT, classical=terms).column("torque_rmse").max() < 1e-12


def test_a_continued_run_has_each_audit_once_and_makes_up_for_one_that_a_kill_prevented(run: Run) -> None:
    first = audited(run, Scaled(1.1), 20)
    table = run.folder / "metrics.csv"
    lines = table.read_text().splitlines()
    lost = [k for k, line in enumerate(lines) if line.startswith("20,") and line.split(",")[-1]]
    table.write_text("\n".join(line for k, line in enumerate(lines) if k not in lost) + "\n")
    again = audited(run, Scaled(1.1), 40)
    whole = [int(line.split(",")[0]) for line in table.read_text().splitlines()[1:] if line.split(",")[-1]]
    assert len(lost) == 1
    assert whole == sorted(again.rows) == [0, 10, 20, 30, 40]
    assert again.rows[10]["torque_rmse"] == pytest.approx(first.rows[10]["torque_rmse"], rel=1e-9)
    assert again.rows[20]["torque_rmse"] == pytest.approx(first.rows[20]["torque_rmse"], rel=1e-9)


def test_a_model_outside_its_domain_is_told_once_and_in_the_status(tmp_path: Path) -> None:
    folder = tmp_path / "warned"
    with open_run(compose(["logger=csv"]), "simulate", flat={}, folder=folder) as run:
        audit = audited(run, Scaled(2.0), test_rmse=1e-3)
        assert audit.metrics()["audit/warnings"] == 3
        assert audit.metrics()["audit/first_warning_step"] == 0
    (warning,) = read_status(folder)["warnings"]
    assert "outside its domain" in warning
    with open_run(compose(["logger=csv"]), "simulate", flat={}, folder=tmp_path / "good") as run:
        assert audited(run, Scaled(1.001), test_rmse=1e-3).metrics()["audit/warnings"] == 0
    assert "warnings" not in read_status(tmp_path / "good")


class TestBlocks:
    chain = make_lattice("chain", (80,))

    def electrons(self, **ensemble: Any) -> SDHamiltonian:
        return SDHamiltonian(self.chain, (1.0,), J=1.0, T=0.1, **ensemble)

    def test_the_inner_sites_keep_their_margin_from_every_cut(self) -> None:
        lattice = make_lattice("triangular", (30, 6), ["open", "periodic"])
        cut = Cut(lattice, 12, 3.0)
        assert cut.shape == (12, 6)
        assert cut.window("periodic").boundary == ("periodic", "periodic")
        assert cut.window("open").boundary == ("open", "periodic")
        columns = np.arange(12 * 6)[cut.inner] // 6
        # lattice planes of the cut axis are sqrt(3)/2 apart
        assert (columns.min(), columns.max()) == (4, 7)
        for seed in range(20):
            sites = cut.place(np.random.default_rng(seed))
            assert sites.min() >= 0  # nothing beyond the open ends
            assert len(set(sites.tolist())) == 72

    def test_the_error_of_a_cut_falls_with_the_margin_and_is_what_is_stated(self) -> None:
        electrons = self.electrons(mu=0.3)
        spins = random_spins(80, np.random.default_rng(0), (1,))
        whole = transverse(EDLabeler(electrons).label(spins).field, spins)[0]
        errors = []
        for margin in (2.0, 6.0, 12.0):
            cut = Cut(self.chain, 30, margin)
            sites = np.stack([cut.place(np.random.default_rng(seed)) for seed in range(8)])
            torque, stated, _ = block_torques(
                cut, lambda window: EDLabeler(replace(electrons, lattice=window)), spins[0][sites]
            )
            true = np.sqrt(np.mean((torque - whole[sites[:, cut.inner]]) ** 2))
            assert true / 2 < stated < 2 * true
            errors.append(true)
        assert errors[0] > 2 * errors[1] > 4 * errors[2]

    @pytest.mark.parametrize("ensemble", [{"mu": 0.3, "filling": None}, {"mu": None, "filling": 0.55}])
    def test_an_audit_in_blocks_finds_the_error_of_the_whole(self, ensemble: dict[str, Any]) -> None:
        """At given filling too: the blocks get the chemical potential of the whole lattice."""
        spins = random_spins(80, np.random.default_rng(1), (2,))
        field = EDLabeler(self.electrons(**ensemble)).label(spins).field
        node = NODE | {"max_sites": 10, "side": 40, "margin": 12.0, "blocks": 6}
        auditor = Auditor({**SD, "J": 1.0, "T": 0.1, **ensemble}, self.chain, node, 0, "cpu")
        truth = auditor.truth(spins, 10)
        assert set(truth.replica) == {0, 1}
        exact = transverse(field, spins)[truth.replica, truth.site]
        rmse, rms = (np.sqrt(np.mean(values**2)) for values in (truth.torque - exact, exact))
        assert rmse < 0.02 * rms  # blocks solved at their own filling: 0.06
        if ensemble["mu"] is not None:
            assert rmse < 2 * truth.cut_error
        np.testing.assert_array_equal(auditor.truth(spins, 10).site, truth.site)
        assert not np.array_equal(auditor.truth(spins, 20).site, truth.site)


def checkpoint(folder: Path, **facts: Any) -> Path:
    folder.mkdir()
    lattice = make_lattice("triangular", (4, 4))
    save_model(folder / "model.ckpt", trained(lattice, BP), model_facts(lattice, BISPECTRUM, BP, **facts))
    write_json(folder / "metrics.json", {"test/all/torque_rmse": 1e-6})
    return folder


JOB = ["task=simulate", "logger=csv", "compute=cpu", "lattice.shape=[4,4]", "protocol.record_every=5"]


def test_a_simulation_audits_writes_its_series_and_page_and_warns(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "model", hamiltonian=SD)
    given = [*JOB, f"checkpoint={source}", "protocol.steps=10", "audit.every=5", "integrator.dt=0.1"]
    folder = tmp_path / "audited"
    metrics = execute(compose([*given, f"output={folder}"]), given)
    assert metrics["audit/count"] == metrics["audit/warnings"] == 3
    steps, errors = read_series(folder / "metrics.csv")["audit/torque_rmse"]
    assert steps == [0, 5, 10]
    assert metrics["audit/final_torque_rmse"] == pytest.approx(errors[-1], rel=1e-9)
    assert (folder / "audit.png").is_file()
    assert "Torque error along the trajectory" in (folder / "report.html").read_text()
    assert "outside its domain" in read_status(folder)["warnings"][0]


def test_a_model_that_does_not_know_its_hamiltonian_cannot_be_audited(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "model")
    given = [*JOB, f"checkpoint={source}", "protocol.steps=10", "audit.every=5", "integrator.dt=0.1"]
    with pytest.raises(ConfigError, match="does not say which Hamiltonian it learned"):
        execute(compose([*given, f"output={tmp_path / 'run'}"]), given)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["audit.every=7"], r"audit\.every=7: must be a multiple of protocol\.record_every=5"),
        (["audit.every=5", "checkpoint=null"], r"audit\.every=5: .*the exact field needs none"),
        (["audit.every=5", "audit.labeler=kpm"], r"audit\.labeler=kpm: must be one of auto, ed, greens"),
        (
            ["audit.every=5", "audit.max_sites=9", "lattice.shape=[30,30]", "audit.margin=12"],
            r"audit\.margin=12\.0: leaves no site of a block",
        ),
    ],
)
def test_an_audit_that_cannot_be_is_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    source = checkpoint(tmp_path / "model", hamiltonian=SD)
    with pytest.raises(ConfigError, match=message):
        check(compose([*JOB, f"checkpoint={source}", "protocol.steps=20", *overrides]))
