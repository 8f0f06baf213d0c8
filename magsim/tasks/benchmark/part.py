"""What a part of the benchmark is, and what the parts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig

from magsim.report.page import Metric, Picture, Section
from magsim.runs import ProgressBar, Run

ENDLESS = 10**12  # steps of a run that is timed for a while


class Part(Protocol):
    """A module that measures something; its result is a dataclass or a list of rows."""

    def count(self, cfg: DictConfig) -> int:
        """Number of measurements."""

    def measure(self, cfg: DictConfig, device: str, bar: ProgressBar) -> Any:
        """The result, or an iterator over how it grows."""

    def metrics(self, result: Any) -> dict[str, float]:
        """Flat numbers."""

    def section(self, cfg: DictConfig, run: Run, result: Any) -> Section:
        """For the report page."""

    def cards(self, result: Any) -> list[Metric]:
        """The numbers at the head of the page."""


@dataclass(frozen=True)
class OnLattice:
    """A row of one lattice.

    Attributes:
        shape: of the lattice.
    """

    shape: list[int]

    @property
    def name(self) -> str:
        """The shape as text, 32x24."""
        return shape_name(self.shape)


def shape_name(shape: Sequence[int]) -> str:
    """A shape as text, 32x24."""
    return "x".join(map(str, shape))


def millions(rate: float | None) -> float | None:
    """Of a rate that may not have been measured."""
    return None if rate is None else rate / 1e6


def failed(failures: Sequence[str]) -> str:
    """What failed, as the end of a text."""
    return "".join(f"\n\nFailed: {line}" for line in failures)


def picture(run: Run, path: Path) -> tuple[Picture, ...]:
    """A figure for the page, which the logger gets, too."""
    run.image(path.stem, path)
    return (Picture(path, "Rates of the table."),)
