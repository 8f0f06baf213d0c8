"""One self-contained page per run: numbers, figures, provenance, configuration."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from magsim.errors import DataError
from magsim.report.numbers import number

MEDIA = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
}


@dataclass(frozen=True)
class Metric:
    """A number worth showing large at the top.

    Attributes:
        name: what it is.
        value: number or text.
        unit: unit, empty for pure numbers.
        target: what it should reach, as text, e.g. ``≤ 0.40``.
        passed: whether it does; None shows no mark.
    """

    name: str
    value: Any
    unit: str = ""
    target: str = ""
    passed: bool | None = None


@dataclass(frozen=True)
class Table:
    """Rows of numbers or text.

    Attributes:
        columns: headings, with units.
        rows: cells; numbers are rounded.
        caption: above the table.
        digits: significant ones of real numbers.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    digits: int = 4

    def cells(self) -> list[list[str]]:
        """Text of every cell."""
        return [[number(cell, self.digits) for cell in row] for row in self.rows]

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds a number anywhere: such columns are set flush right."""
        return [
            any(not isinstance(row[k], str | None) for row in self.rows) for k in range(len(self.columns))
        ]


@dataclass(frozen=True)
class Picture:
    """A figure file with its caption.

    Attributes:
        path: png, svg, jpg or gif file; its bytes go into the page.
        caption: what it shows, also its alternative text.
        wide: spans the whole width.
    """

    path: str | Path
    caption: str = ""
    wide: bool = True

    @property
    def content(self) -> bytes:
        """The bytes of the file.

        Raises:
            DataError: the file is missing or no picture that browsers show.
        """
        path = Path(self.path)
        if path.suffix.lower() not in MEDIA:
            raise DataError(path, f"a picture of the report must end in {', '.join(MEDIA)}.")
        if not path.is_file():
            raise DataError(path, "the picture does not exist.")
        return path.read_bytes()

    @property
    def source(self) -> str:
        """The file as a data URI."""
        media = MEDIA[Path(self.path).suffix.lower()]
        return f"data:{media};base64,{base64.b64encode(self.content).decode()}"

    @property
    def width(self) -> int | None:
        """Width on the page in CSS pixels: three quarters of the pixels of a png, so that its text has
        the size of the page's text and sharp screens show all of it."""
        head = self.content[:24]
        return round(0.75 * int.from_bytes(head[16:20], "big")) if head[1:4] == b"PNG" else None


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        title: heading.
        text: paragraphs, separated by empty lines; plain text.
        pictures: figures under the text, numbered on the page.
        tables: tables under the figures.
    """

    title: str
    text: str = ""
    tables: Sequence[Table] = field(default_factory=tuple)
    pictures: Sequence[Picture] = field(default_factory=tuple)

    @property
    def anchor(self) -> str:
        """Name of the section in links."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())

    @property
    def paragraphs(self) -> list[str]:
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


def metrics_table(metrics: Mapping[str, tuple[Any, str] | Any], caption: str = "") -> Table:
    """Table of ``name -> value`` or ``name -> (value, unit)``; without a unit anywhere, no column for it."""
    entries = {k: v if isinstance(v, tuple) else (v, "") for k, v in metrics.items()}
    if not any(unit for _, unit in entries.values()):
        return Table(("quantity", "value"), [[name, value] for name, (value, _) in entries.items()], caption)
    rows = [[name, *entry] for name, entry in entries.items()]
    return Table(("quantity", "value", "unit"), rows, caption)


def write_report(
    folder: str | Path,
    title: str,
    sections: Sequence[Section],
    *,
    summary: str = "",
    origin: str = "",
    metrics: Sequence[Metric] = (),
    provenance: Mapping[str, Any] | None = None,
    config: str = "",
) -> Path:
    """Write one HTML file that carries everything with it, so that it can be mailed and archived.

    No script, no network: figures are embedded, the page follows the reader's light or dark setting, fits a
    phone and prints.

    Args:
        folder: run folder; made if missing.
        title: heading of the page.
        sections: parts in order; those without any content are left out.
        summary: plain sentences under the heading; words between backticks are set as code, as everywhere.
        origin: a few words beside the date: which run this is.
        metrics: headline numbers.
        provenance: name -> value (commit, versions, host, seeds, parent hashes), shown in a closed block.
        config: resolved configuration as YAML, shown in a closed block.

    Returns:
        path of the page.

    Raises:
        DataError: a picture is missing or of an unknown kind.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["code"] = _with_code
    shown = [s for s in sections if s.paragraphs or s.pictures or any(t.rows for t in s.tables)]
    html = environment.get_template("template.html").render(
        title=title,
        summary=summary,
        origin=origin,
        metrics=metrics,
        sections=shown,
        provenance=_flat(provenance or {}),
        config=config.strip(),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    )
    path = Path(folder) / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    # a reader or a crash in between never sees half a page
    partial = path.with_name(path.name + ".partial")
    partial.write_text(html, encoding="utf-8")
    os.replace(partial, path)
    return path


def _with_code(text: str) -> Any:
    """Text for HTML, what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:  # an odd backtick is only a backtick
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if k % 2 else escape(part) for k, part in enumerate(parts)
    )


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested provenance as ``a.b -> text``."""
    flat: dict[str, str] = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{name}."))
        else:
            flat[name] = (
                str(value) if isinstance(value, int) and not isinstance(value, bool) else number(value)
            )
    return flat
