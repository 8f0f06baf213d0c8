"""The page over finished trainings: cost against accuracy, learning curves, the keys that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from magsim.report.frontier import Point, frontier, pareto
from magsim.runs import write_json
from magsim.tasks.cli import main
from magsim.tasks.comparison import tradeoffs
from magsim.tasks.comparison.entries import Entry, differing_keys, find_runs, ordered, read_entry
from magsim.tasks.comparison.tradeoffs import classes, describe, trained_table

BISPECTRUM = {"name": "bispectrum", "cutoff": 1.0, "references": 4}
IRREPS = {"name": "equivariant", "cutoff": 1.0, "lmax": 2}
BP = {"name": "bp", "hidden": [8]}
MESSAGES = {"name": "equivariant", "layers": 2}


def training(
    folder: Path,
    model: dict[str, Any] = BP,
    descriptor: dict[str, Any] = BISPECTRUM,
    given: tuple[str, ...] = (),
    snapshots: int = 40,
    seed: int = 0,
    cost: float = 5.0,
    **errors: float,
) -> Path:
    """The folder that a finished ``task=train`` leaves, with these numbers."""
    folder.mkdir(parents=True)
    config = {"task": {"name": "train"}, "seed": seed, "descriptor": descriptor, "model": model}
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    OmegaConf.save(OmegaConf.create([f"{key}=x" for key in given]), folder / "overrides.yaml")
    found = {f"test/{name}/torque_error": value for name, value in (errors or {"random": 0.3}).items()}
    found |= {"cost/us_per_site": cost, "train/snapshots": snapshots, "train/weights": 1000}
    write_json(folder / "metrics.json", found)
    write_json(folder / "status.json", {"status": "done", "task": "train"})
    return folder


def entries(folder: Path) -> list[Entry]:
    return [read_entry(path) for path in find_runs(str(folder))]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=12))
def test_the_front_is_what_no_other_model_beats(points: list[tuple[int, int]]) -> None:
    costs, errors = zip(*points, strict=True)
    front = [points[k] for k in pareto(costs, errors)]
    unbeaten = {p for p in points if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)}
    assert front == sorted(unbeaten)


def test_an_option_explains_the_keys_that_come_with_it(tmp_path: Path) -> None:
    training(tmp_path / "0-a", given=("model",))
    training(tmp_path / "1-b", MESSAGES, IRREPS, given=("model",))
    assert differing_keys(entries(tmp_path)) == ["model.name"]
    training(tmp_path / "2-c", BP, BISPECTRUM | {"cutoff": 2.0}, given=("model", "descriptor.cutoff"))
    assert differing_keys(entries(tmp_path)) == ["model.name", "descriptor.cutoff"]


def test_runs_are_sorted_by_their_settings_as_numbers(tmp_path: Path) -> None:
    for k, cutoff in enumerate((10.0, 2.0, 1.5)):
        training(tmp_path / f"{k}-a", descriptor=BISPECTRUM | {"cutoff": cutoff})
    table = trained_table(ordered(entries(tmp_path), ["descriptor.cutoff"]))
    assert [row[0] for row in table.rows] == [1.5, 2, 10]
    assert table.columns == ("descriptor.cutoff", "error, random", "µs / site", "weights")


def test_classes_of_state_go_before_the_sources_that_mix_them(tmp_path: Path) -> None:
    training(tmp_path / "0-a", random=0.3, quench=0.2, early=0.2, late=0.1, all=0.2)
    assert classes(entries(tmp_path)) == ["random", "early", "late"]
    training(tmp_path / "b" / "0-a", random=0.3, quench=0.2, all=0.2)
    assert classes(entries(tmp_path / "b")) == ["random", "quench"]


def test_labels_say_what_varies_and_no_more(tmp_path: Path) -> None:
    training(tmp_path / "0-a", descriptor=BISPECTRUM | {"bispectrum": True, "cutoff": 2.0})
    (entry,) = entries(tmp_path)
    assert describe(entry, ["model.name", "descriptor.cutoff"]) == "bp, cutoff 2"
    assert describe(entry, ["descriptor.bispectrum", "model.layers"]) == "bispectrum"
    assert describe(entry, ["descriptor.cutoff", "descriptor.bispectrum"], named=False) == "2, yes"


def test_learning_curves_ascend_in_snapshots_and_average_over_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, (n, seed, wrong) in enumerate([(100, 0, 0.2), (10, 0, 0.5), (10, 1, 0.7), (30, 0, 0.3)]):
        training(tmp_path / f"{k}-a", snapshots=n, seed=seed, random=wrong)
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(
        tradeoffs, "learning_curves", lambda path, panels, floors: drawn.update(panels) or path
    )
    tradeoffs.learning_section(entries(tmp_path), FakeRun(tmp_path))
    curve = drawn["random"]["model"]
    assert curve.snapshots == [10, 30, 100]
    np.testing.assert_allclose(curve.error, [0.6, 0.3, 0.2])
    np.testing.assert_allclose(curve.spread, [0.1, 0, 0])


class FakeRun:
    """What the sections need of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, name: str, path: Path) -> None: ...


def test_labels_do_not_cover_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty models at one place: most labels are left out, those of the front are written."""
    from matplotlib.axes import Axes

    written: list[str] = []
    annotate = Axes.annotate

    def remember(self: Axes, text: str, *args: Any, **more: Any) -> Any:
        written.append(text)
        return annotate(self, text, *args, **more)

    monkeypatch.setattr(Axes, "annotate", remember)
    points = [Point(5 + 0.01 * k, 0.3 + 0.001 * k, label=f"model {k}") for k in range(20)]
    frontier(tmp_path / "figure.png", {"random": [*points, Point(20, 0.1, label="the best")]})
    assert {"model 0", "the best"} <= set(written)
    assert len(written) < 12


def test_one_page_holds_frontier_curves_and_table_although_a_member_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    sweep = tmp_path / "sweep"
    for k, (model, n) in enumerate([(BP, 10), (BP, 100), (MESSAGES, 10), (MESSAGES, 100)]):
        kind = IRREPS if model is MESSAGES else BISPECTRUM
        wrong = (0.5 if model is BP else 0.4) / (1 + n / 100)
        training(sweep / f"{k}-a", model, kind, ("model",), n, cost=5.0 + k, random=wrong, late=wrong / 3)
    failed = training(sweep / "4-a")
    (failed / "metrics.json").unlink()
    write_json(failed / "status.json", {"status": "failed", "task": "train", "reason": "out of memory"})
    assert main(["task=compare", f"runs={sweep}", "logger=csv", f"output={tmp_path / 'page'}"]) == 0
    assert {path.name for path in (tmp_path / "page" / "figures").iterdir()} == {
        "frontier.png",
        "learning_curves.png",
    }
    page = (tmp_path / "page" / "report.html").read_text()
    for text in ("Cost and accuracy", "Learning curves", "error, late", "µs / site", "out of memory"):
        assert text in page
    assert "descriptor.lmax" not in page
