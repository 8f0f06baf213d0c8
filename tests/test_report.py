"""The report page carries everything with it, and reads well."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from magsim.errors import DataError
from magsim.observables import OBSERVABLES
from magsim.report.figures import bars
from magsim.report.numbers import number
from magsim.report.page import Metric, Picture, Section, Table, metrics_table, write_report


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.38123, "0.3812"),
        (-1.0238913395, "−1.024"),
        (1234567, "1 234 567"),
        (12345.6, "12 346"),
        (3.2e-7, "3.200·10⁻⁷"),
        (0.0, "0"),
        (float("nan"), "–"),
        (None, "–"),
        (True, "yes"),
        ("bp", "bp"),
        ([12, 12], "12, 12"),
        (np.float32(0.5), "0.5000"),
        (99999.9, "100 000"),
    ],
)
def test_numbers_are_rounded_for_reading(value: object, text: str) -> None:
    assert number(value) == text


class Checker(HTMLParser):
    """Collects what a page refers to and checks that tags close."""

    void = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.sources += [values["src"] or ""] if "src" in values else []
        self.ids += [values["id"] or ""] if "id" in values else []
        self.links += [values["href"] or ""] if "href" in values else []
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path: Path) -> str:
    picture = bars(tmp_path / "figures" / "bars.png", ["a", "b"], {"error": [0.1, 0.2]}, "error")
    sections = [
        Section(
            "Held-out errors",
            "First <b>paragraph</b>.\n\nSecond & last.",
            [Table(("source", "rmse / rms"), [["random", 0.38123], ["quench", None]], "errors")],
            [Picture(picture, "A caption")],
        ),
        Section("Numbers", tables=[metrics_table({"wall time": (12.5, "s"), "sites": 144})]),
        Section("Nothing to say"),
    ]
    path = write_report(
        tmp_path / "run",
        "Run <1>",
        sections,
        metrics=[Metric("torque error", 0.42, "rmse / rms", "≤ 0.40", False)],
        provenance={"git": {"commit": "abc123", "dirty": True}, "seed": 20250101},
        config="lattice:\n  shape: [12, 12]  # <script>",
    )
    assert path == tmp_path / "run" / "report.html"
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_page_is_one_file_that_loads_nothing(page: str, tmp_path: Path) -> None:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.sources
    assert all(source.startswith("data:image/png;base64,") for source in checker.sources)
    assert not {"script", "link", "iframe"} & set(checker.tags)
    assert str(tmp_path) not in page
    embedded = base64.b64decode(checker.sources[0].split(",", 1)[1])
    assert embedded == (tmp_path / "figures" / "bars.png").read_bytes()


def test_links_of_the_page_lead_to_its_sections(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert (
        [link.removeprefix("#") for link in checker.links]
        == checker.ids
        == ["held-out-errors", "numbers", "origin"]
    )


def test_page_shows_text_as_text_and_numbers_rounded(page: str) -> None:
    assert "First &lt;b&gt;paragraph&lt;/b&gt;." in page
    assert "&lt;script&gt;" in page
    assert "<p>Second &amp; last.</p>" in page
    assert '<td class="n">0.3812</td>' in page
    assert "✗ ≤ 0.40" in page
    assert "<td>git.commit</td><td>abc123</td>" in page
    assert "<td>20250101</td>" in page  # seeds and ids are no quantities
    assert "Nothing to say" not in page


def test_numbers_stand_flush_right_where_the_first_is_missing(tmp_path: Path) -> None:
    table = Table(("source", "error"), [["random", None], ["quench", 0.2]])
    page = write_report(tmp_path, "t", [Section("s", tables=[table])]).read_text(encoding="utf-8")
    assert '<th scope="col">source</th><th scope="col" class="n">error</th>' in page
    assert '<td class="n">–</td>' in page


def test_a_table_without_units_has_no_column_for_them() -> None:
    assert metrics_table({"wall time": (12.5, "s"), "sites": 144}).columns == ("quantity", "value", "unit")
    assert metrics_table({"sites": 144}).columns == ("quantity", "value")


def test_figures_are_numbered_through_the_page_and_described(tmp_path: Path) -> None:
    picture = bars(tmp_path / "a.png", ["x"], {"y": [1.0]}, "z")
    sections = [
        Section("First", pictures=[Picture(picture, "S(q) of `run`.")]),
        Section("Second", pictures=[Picture(picture, "Energy"), Picture(picture)]),
    ]
    page = write_report(tmp_path, "t", sections).read_text(encoding="utf-8")
    assert "<b>Figure 1.</b> S(q) of <code>run</code>." in page
    assert "<b>Figure 2.</b> Energy" in page
    assert "<b>Figure 3.</b>" in page
    assert page.count("<img") == page.count('alt="') == 3
    assert 'alt="Second"' in page


def test_text_between_backticks_is_code_and_still_text(tmp_path: Path) -> None:
    section = Section("s", "Try `a < b`.\n\nAn odd ` stays.")
    page = write_report(tmp_path, "t", [section], origin="`task=train`").read_text(encoding="utf-8")
    assert "Try <code>a &lt; b</code>." in page
    assert "An odd ` stays." in page
    assert "· <code>task=train</code>" in page


def test_every_observable_has_words_of_its_own() -> None:
    words = {name: observable.words for name, observable in OBSERVABLES.items()}
    assert all(words.values())
    positions = {"afm_fm_wall_position", "domain_wall_position"}  # of different strips
    assert len(set(words.values())) == len(words) - len(positions) + 1


def test_page_refuses_missing_and_foreign_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        write_report(tmp_path, "t", [Section("s", pictures=[Picture(tmp_path / "gone.png")])])
    with pytest.raises(DataError, match="must end in"):
        write_report(tmp_path, "t", [Section("s", pictures=[Picture(tmp_path / "notes.txt")])])
    assert not (tmp_path / "report.html").exists()
