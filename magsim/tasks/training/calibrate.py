"""The spread of a committee against its true error: fitted, judged on other trajectories, kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.states import STATES, state_classes
from magsim.dynamics.committee import spread_of
from magsim.learning.calibration import (
    LEVELS,
    MIN_MEMBERS,
    Calibration,
    covered,
    fit_calibration,
    gaussian_quantile,
    halves,
    seed_quantile,
    tail_quantile,
)
from magsim.report.page import Picture, Section, Table
from magsim.runs import Run, outputs_root, read_json, write_json
from magsim.spins import transverse


@dataclass(frozen=True, eq=False)
class Judged:
    """Sites of known error, with the error that a fit to other trajectories expects.

    Attributes:
        spread, error: ``(n, N)`` per component of the tangent plane.
        expected, tail: ``(n, N)`` sigma and ``(n,)`` c of the fit that has not seen the snapshot.
        states: ``(n,)`` classes.
        independent: whether there were other trajectories to fit to.
    """

    spread: np.ndarray
    error: np.ndarray
    expected: np.ndarray
    tail: np.ndarray
    states: np.ndarray
    independent: bool

    def coverage(self, level: float, mine: np.ndarray | slice = slice(None)) -> float:
        """Share of the errors within the interval that should hold a share ``level`` of them."""
        return covered(self.error[mine], self.expected[mine], tail_quantile(self.tail[mine], level)[:, None])


def calibration_file(model: str) -> Path:
    """``outputs/calibration/<hash of the committee>.json``."""
    return outputs_root() / "calibration" / f"{model[:16]}.json"


def known_calibration(model: str) -> Calibration | None:
    """What task=evaluate has found for the committee of this hash; None if it has not been asked."""
    path = calibration_file(model)
    return Calibration(**read_json(path)["calibration"]) if path.is_file() else None


def calibrate(
    run: Run, dataset: SpinDataset, index: np.ndarray, fields: np.ndarray, model: str
) -> tuple[dict[str, Any], Section]:
    """Fit, judge, draw and keep the calibration of a committee on held-out snapshots.

    Args:
        run: gets ``calibration.json`` and the figure.
        dataset, index: the snapshots.
        fields: ``(M, n, N, 3)`` of the members.
        model: hash of the committee.

    Returns:
        metrics ``calibration/...`` and the section of the page; nothing for two members.
    """
    title = "What the committee knows of its error"
    members = len(fields)
    if members < MIN_MEMBERS:
        run.say(f"  {members} members have a spread but no calibration: {MIN_MEMBERS} at least")
        return {}, Section(title)
    spins = dataset.spins[index]
    fields = transverse(fields, spins)
    error = np.linalg.norm(fields.mean(0) - transverse(dataset.field[index], spins), axis=-1) / np.sqrt(2)
    spread = spread_of(fields)
    whole = fit_calibration(spread.ravel(), error.ravel(), members)
    judged = _judge(spread, error, members, dataset, index)
    coverage = _coverage(judged, members)
    content = {"model": model, "calibration": asdict(whole), "coverage": coverage, "states": _states(judged)}
    write_json(run.folder / "calibration.json", content)
    path = calibration_file(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)
    _tell(run, whole, coverage, path)
    metrics = {f"calibration/{key}": value for key, value in asdict(whole).items()}
    metrics |= {f"calibration/covered_{p:g}": row["calibrated"] for p, row in coverage.items()}
    return metrics, _section(run, title, whole, judged, coverage)


def _judge(
    spread: np.ndarray, error: np.ndarray, members: int, dataset: SpinDataset, index: np.ndarray
) -> Judged:
    """Each half of the trajectories by the fit to the other half."""
    second = halves(dataset.source_names[index], dataset.trajectory[index])
    independent = bool(second.any() and not second.all())
    expected, tail = np.empty_like(spread), np.empty(len(spread))
    for mine in (second, ~second) if independent else (np.ones(len(spread), dtype=bool),):
        others = ~mine if independent else mine
        fit = fit_calibration(spread[others].ravel(), error[others].ravel(), members)
        expected[mine], tail[mine] = fit.expected(spread[mine]), fit.tail
    return Judged(spread, error, expected, tail, state_classes(dataset)[index], independent)


def _coverage(judged: Judged, members: int) -> dict[float, dict[str, float]]:
    """Measured shares by nominal level: of the calibrated law, and of two that only know ``s / sqrt(M)``."""
    plain = judged.spread / np.sqrt(members)
    return {
        level: {
            "calibrated": judged.coverage(level),
            "seed": covered(judged.error, plain, seed_quantile(members, level)),
            "gaussian": covered(judged.error, plain, gaussian_quantile(level)),
        }
        for level in LEVELS
    }


def _states(judged: Judged) -> dict[str, dict[str, Any]]:
    """Numbers by class of state."""
    rows: dict[str, dict[str, Any]] = {}
    for name in STATES:
        mine = judged.states == name
        if not mine.any():
            continue
        square = [
            float(np.sqrt(np.mean(v[mine] ** 2))) for v in (judged.spread, judged.error, judged.expected)
        ]
        rows[name] = {"sites": int(judged.error[mine].size)} | dict(
            zip(("spread", "error", "expected"), square, strict=True)
        )
        rows[name] |= {f"{level:g}": judged.coverage(level, mine) for level in LEVELS}
    return rows


def _tell(run: Run, fit: Calibration, coverage: Mapping[float, Mapping[str, float]], path: Path) -> None:
    run.headline("Calibration")
    run.say(
        f"  error = {fit.scale:.3g} t (spread / t)^{fit.power:.3g}, tail {fit.tail:.3g} "
        f"({fit.members - 1} if the seed were all), from {fit.sites} sites"
    )
    for name, words in (("calibrated", "calibrated"), ("gaussian", "Gaussian of s / sqrt(M)")):
        shares = ", ".join(f"{100 * row[name]:.1f} %" for row in coverage.values())
        run.say(f"  {words}: {', '.join(f'{100 * p:g}' for p in coverage)} % cover {shares}")
    run.say(f"  kept for simulations: {path}")


def _section(
    run: Run, title: str, fit: Calibration, judged: Judged, coverage: Mapping[float, Mapping[str, float]]
) -> Section:
    from magsim.report.uncertainty import calibration_figure

    states = _states(judged)
    figure = calibration_figure(
        run.folder / "calibration.png",
        {s: (judged.spread[judged.states == s], judged.error[judged.states == s]) for s in states},
        fit,
        {"calibrated": judged.coverage, **{s: _of_state(judged, s) for s in states if len(states) > 1}},
        lambda level: covered(judged.error, judged.spread / np.sqrt(fit.members), gaussian_quantile(level)),
    )
    run.image("calibration", figure)
    on = "the half of the trajectories that the fit has not seen" if judged.independent else "the fit itself"
    text = (
        f"The spread s of the {fit.members} members and the error e of their mean, per component of the "
        f"tangent plane, are related by e = {fit.scale:.3g} s^{fit.power:.3g} (rms, in units of t), with a "
        f"tail of c = {fit.tail:.3g} (c = {fit.members - 1} if all error were due to the seed). Coverage is "
        f"measured on {on}."
    )
    kinds = ("calibrated", "seed", "gaussian")
    laws = [[f"{100 * p:g} %", *(100 * row[k] for k in kinds)] for p, row in coverage.items()]
    columns = ("nominal", "calibrated (%)", "F law of s/√M (%)", "Gaussian of s/√M (%)")
    levels = [f"{level:g}" for level in LEVELS]
    by_state = [
        [name, row["sites"], row["spread"], row["error"], row["expected"], *(100 * row[k] for k in levels)]
        for name, row in states.items()
    ]
    heads = (
        "states",
        "sites",
        "spread (t)",
        "error (t)",
        "expected (t)",
        *(f"{100 * p:g} %" for p in LEVELS),
    )
    caption = (
        "Left: true error against spread of every site; symbols: rms in bins of the spread, line: "
        "calibration, dashed: s/√M, what the spread would mean if members erred independently. Right: share "
        "of the errors within the interval against its nominal share."
    )
    tables = [
        Table(columns, laws, "Errors within the interval."),
        Table(heads, by_state, "By class of state."),
    ]
    return Section(title, text, tables=tables, pictures=[Picture(figure, caption)])


def _of_state(judged: Judged, name: str) -> Any:
    mine = judged.states == name
    return lambda level: judged.coverage(level, mine)
