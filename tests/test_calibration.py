"""From the spread of a committee to the error of its mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_committee import member, save

from magsim.config import compose
from magsim.dynamics import CommitteeField, LearnedField
from magsim.dynamics.committee import spread_of
from magsim.learning.calibration import (
    LEVELS,
    covered,
    fit_calibration,
    gaussian_quantile,
    halves,
    seed_quantile,
)
from magsim.runs import read_json, read_series
from magsim.spins import random_spins, transverse
from magsim.tasks.dispatch import execute

SITES = 60_000


def scattered(members: int, common: float = 0.0, width: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Spread and error of members that miss the truth by Gaussian amounts whose size varies from site to
    site, and by a common amount ``common`` times that size."""
    rng = np.random.default_rng(0)
    spins = random_spins(SITES, rng)
    size = np.exp(width * rng.normal(size=(SITES, 1)))
    noise = transverse(size * rng.normal(size=(members, SITES, 3)), spins)
    noise = noise + transverse(common * size * rng.normal(size=(SITES, 3)), spins)
    return spread_of(noise), np.linalg.norm(noise.mean(0), axis=-1) / np.sqrt(2)


@pytest.mark.parametrize("members", [3, 4, 6])
def test_where_the_seed_is_the_only_cause_the_ratio_of_error_and_spread_follows_an_f_law(
    members: int,
) -> None:
    """And not the Gaussian that a known size would give, which covers too little."""
    spread, error = scattered(members, width=3.0)
    plain = spread / np.sqrt(members)
    for level in LEVELS:
        assert covered(error, plain, seed_quantile(members, level)) == pytest.approx(level, abs=0.01)
        assert covered(error, plain, gaussian_quantile(level)) < level - 0.02
    assert fit_calibration(spread, error, members).tail == pytest.approx(members - 1, rel=0.1)


@pytest.mark.parametrize("common", [0.0, 0.5, 2.0])
def test_calibrated_intervals_hold_what_they_promise_also_where_members_err_alike(common: float) -> None:
    spread, error = scattered(4, common)
    fit = fit_calibration(spread[::2], error[::2], 4)
    sigma = fit.expected(spread[1::2])
    for level in LEVELS:
        assert covered(error[1::2], sigma, fit.quantile(level)) == pytest.approx(level, abs=0.02)
    assert np.sqrt(np.mean((error[1::2] / sigma) ** 2)) == pytest.approx(1, abs=0.05)
    if common == 2.0:  # the spread alone is far too sure of itself
        assert covered(error, spread / 2, seed_quantile(4, 0.9)) < 0.6


def test_a_power_law_is_found_again_under_errors_with_heavy_tails() -> None:
    rng = np.random.default_rng(1)
    spread = np.exp(rng.normal(size=SITES))
    c = 3.0
    ratio = (c - 1) * (rng.uniform(size=SITES) ** (-1 / c) - 1)  # the law of the module, of mean 1
    fit = fit_calibration(spread, 0.7 * spread**0.6 * np.sqrt(ratio), 4)
    assert fit.scale == pytest.approx(0.7, rel=0.03)
    assert fit.power == pytest.approx(0.6, abs=0.03)
    assert fit.tail == pytest.approx(c, rel=0.1)


def test_a_spread_that_tells_nothing_gives_one_error_for_all() -> None:
    rng = np.random.default_rng(2)
    spread, error = rng.uniform(0.5, 2, SITES), rng.uniform(0.5, 2, SITES)
    fit = fit_calibration(spread, error / spread**0.2, 3)
    assert fit.power == 0
    assert fit.expected(spread) == pytest.approx(np.full(SITES, np.sqrt(np.mean((error / spread**0.2) ** 2))))


def test_two_members_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        fit_calibration(np.ones(100), np.ones(100), 2)


def test_no_trajectory_is_in_both_halves() -> None:
    group = np.repeat(["random", "quench"], [8, 30])
    trajectory = np.r_[np.arange(8), np.repeat([7, 3, 5], 10)]
    second = halves(group, trajectory)
    for name in ("random", "quench"):
        mine = group == name
        assert not set(trajectory[mine & second]) & set(trajectory[mine & ~second])
        assert (mine & second).any()
        assert (mine & ~second).any()


def test_evaluating_a_committee_calibrates_it_and_simulations_use_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    spins = random_spins(25, np.random.default_rng(0), (24,))
    field = LearnedField(member(9))(spins)[1]
    np.savez(tmp_path / "data.npz", spins=spins, field=field, shape=np.array([5, 5]))
    for seed in range(3):
        save(tmp_path / "sweep" / f"{seed}-a", seed)
    common = ["logger=csv", "compute=cpu", "lattice.shape=[5,5]", f"checkpoint={tmp_path / 'sweep'}"]
    given = [*common, "task=evaluate", f"data.path={tmp_path / 'data.npz'}", "compute.cost_seconds=0"]
    metrics = execute(compose([*given, f"output={tmp_path / 'judged'}"]), given)
    assert metrics["calibration/members"] == 3
    assert metrics["calibration/covered_0.9"] == pytest.approx(0.9, abs=0.06)
    stored = read_json(tmp_path / "judged" / "calibration.json")
    assert stored["states"]["random"]["sites"] == 24 * 25
    assert (tmp_path / "judged" / "calibration.png").is_file()
    given = [*common, "task=simulate", "protocol.steps=4", "protocol.record_every=2", "integrator.dt=0.01"]
    metrics = execute(compose([*given, f"output={tmp_path / 'run'}"]), given)
    steps, expected = read_series(tmp_path / "run" / "metrics.csv")["uncertainty/expected_rmse"]
    assert steps == [0, 2, 4]
    committee = CommitteeField([LearnedField(member(seed)) for seed in range(3)])
    true = np.sqrt(np.mean((committee(spins)[1] - transverse(field, spins)) ** 2))
    assert expected[0] == pytest.approx(true, rel=0.3)
