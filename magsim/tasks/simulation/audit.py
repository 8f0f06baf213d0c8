"""Which watchers a simulation with a learned field has, and the page section of what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from magsim.dynamics import CommitteeField, EffectiveField, SumField
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.learning.committee import committee_facts, find_members, source_hash
from magsim.report.page import Picture, Section, Table
from magsim.runs import Run, read_json, seconds
from magsim.tasks.build import build_classical, labeler_device, plain
from magsim.tasks.simulation.truth import Auditor
from magsim.tasks.simulation.watch import CARTESIAN, Audit, Domain, Spread, Watch
from magsim.tasks.training.calibrate import known_calibration

SHOWN = {  # values of an audit in the table of the page
    "torque_rmse": "rmse (t)",
    "torque_rms": "rms (t)",
    "torque_error": "rmse / rms",
    "largest": "largest (t)",
    "cut_error": "error of the cut (t)",
    "seconds": "seconds",
}
ROWS = 12  # of that table


def watchers(cfg: DictConfig, run: Run, lattice: Lattice, field: EffectiveField) -> list[Watch]:
    """The audit, if ``audit.every`` asks for one, and the spread of a committee.

    Raises:
        ConfigError: the checkpoint does not say which Hamiltonian the model learned.
    """
    if cfg.checkpoint is None:
        return []
    committee = _committee(field)
    calibration = None if committee is None else known_calibration(source_hash(cfg.checkpoint))
    rmse = tested_rmse(cfg.checkpoint) if calibration is None else float(CARTESIAN) * calibration.rmse
    found: list[Watch] = []
    if cfg.audit.every is not None:
        found.append(_audit(cfg, run, lattice, Domain(run, rmse, float(cfg.audit.warn))))
        if rmse is None:
            run.say("  the error of the model on its test is not known here: no warnings")
    if committee is not None:
        every = int(cfg.protocol.record_every * cfg.observables.every)
        found.append(Spread(run, every, Domain(run, rmse, float(cfg.audit.warn)), committee, calibration))
        if calibration is None:
            run.say("  the spread of this committee is not calibrated: task=evaluate does that")
    return found


def _audit(cfg: DictConfig, run: Run, lattice: Lattice, domain: Domain) -> Audit:
    hamiltonian = committee_facts(cfg.checkpoint).get("hamiltonian")
    if not hamiltonian:
        raise ConfigError(
            "audit.every",
            cfg.audit.every,
            f"{cfg.checkpoint} does not say which Hamiltonian it learned, so none can be solved.",
        )
    auditor = Auditor(hamiltonian, lattice, plain(cfg.audit), int(cfg.seed), labeler_device(cfg))
    run.say(f"  audit every {cfg.audit.every} steps: {auditor}")
    return Audit(run, int(cfg.audit.every), domain, auditor, build_classical(cfg, lattice))


def _committee(field: EffectiveField) -> CommitteeField | None:
    terms = field.terms if isinstance(field, SumField) else (field,)
    return next((term for term in terms if isinstance(term, CommitteeField)), None)


def tested_rmse(source: str | Sequence[str]) -> float | None:
    """rmse of the torque per Cartesian component in the test after the training, from the run folders of the
    members (their mean); None if one of them is not in its run folder."""
    found = []
    for file in find_members(source):
        folder = file.parent.parent if file.parent.name == "checkpoints" else file.parent
        path = folder / "metrics.json"
        value = read_json(path).get("test/all/torque_rmse") if path.is_file() else None
        if value is None:
            return None
        found.append(float(value))
    return float(np.mean(found))


def tell(run: Run, watches: Sequence[Watch]) -> None:
    """One line about each, when the run is over."""
    for watch in watches:
        if isinstance(watch, Audit) and watch.rows:
            error, ratio = watch.column("torque_rmse"), watch.column("torque_error")
            run.say(
                f"  {len(watch.rows)} audits ({watch.auditor}), {seconds(watch.seconds)} each: torque rmse "
                f"{error[0]:.3g} at first, {error.max():.3g} at worst, {error[-1]:.3g} at last, "
                f"{ratio[-1]:.3f} of rms"
            )


def audit_section(run: Run, watches: Sequence[Watch]) -> Section:
    """Error of the torque along the trajectory: audited, expected from the spread, that of the test."""
    title = "Torque error along the trajectory"
    audit = next((w for w in watches if isinstance(w, Audit) and w.rows), None)
    spread = next((w for w in watches if isinstance(w, Spread) and w.rows), None)
    if audit is None and spread is None:
        return Section(title)  # without content: pages leave it out
    text = []
    tables = []
    if audit is not None:
        text.append(
            f"The state was solved exactly every {audit.every} steps ({audit.auditor}; "
            f"{seconds(audit.seconds)} each) and the transverse field of the model compared with it, per "
            "Cartesian component."
        )
        tables.append(_table(audit))
    if spread is not None:
        how = (
            "calibrated on held-out labels (task=evaluate)"
            if spread.calibration
            else "not calibrated: a scale, not an error"
        )
        text.append(f"The spread of the committee is {how}.")
    text += run.warnings
    figure = draw(run.folder / "audit.png", audit, spread)
    run.image("audit", figure)
    caption = (
        "rms error of the torque per Cartesian component against time; dotted: error on the held-out part of "
        "the data; shaded: where a warning is given."
    )
    return Section(title, "\n\n".join(text), tables=tables, pictures=[Picture(figure, caption)])


def draw(path: Path, audit: Audit | None, spread: Spread | None) -> Path:
    """The figure of that section."""
    from magsim.report.uncertainty import error_along_trajectory

    curves = {}
    exact = None
    if audit is not None:
        exact = (audit.column("time"), audit.column("torque_rmse"), audit.column("torque_rms"))
    if spread is not None:
        name = "expected_rmse" if spread.calibration is not None else "spread"
        label = "expected from the spread" if spread.calibration is not None else "spread of the committee"
        curves[label] = (spread.column("time"), spread.column(name))
    domain = (audit or spread).domain  # type: ignore[union-attr]
    return error_along_trajectory(path, exact, curves, domain.test_rmse, domain.factor)


def _table(audit: Audit) -> Table:
    steps = sorted(audit.rows)
    chosen = sorted({steps[round(k)] for k in np.linspace(0, len(steps) - 1, min(ROWS, len(steps)))})
    names = {k: v for k, v in SHOWN.items() if k != "cut_error" or audit.auditor.cut is not None}
    rows = [[step, audit.rows[step]["time"], *(audit.rows[step].get(k) for k in names)] for step in chosen]
    return Table(("step", "time", *names.values()), rows)
