"""What a run says while it works: a headline for each stage, and progress with rate and time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

PLAIN_INTERVAL = 5.0  # seconds between lines where there is no terminal


def say(text: str = "") -> None:
    """One line for the user, at once."""
    print(text, flush=True)


def headline(text: str) -> None:
    """The name of a stage."""
    console = Console()
    if console.is_terminal:
        console.print()
        console.rule(Text(text, style="bold"), align="left")
    else:
        say(f"\n== {text} ==")


def seconds(value: float) -> str:
    """``8 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class ProgressBar:
    """Progress of one loop: a bar on a terminal, else a line every few seconds; a summary at the end.

    Args:
        label: what is done.
        total: how many units.
        unit: what is counted.
        done: units that an earlier session did (they do not count in the rate).
    """

    def __init__(self, label: str, total: float, unit: str = "steps", done: float = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self._skipped = done, done
        self._info = ""
        self._start = self._spoken = time.monotonic()
        self._rich: Progress | None = None

    def __enter__(self) -> ProgressBar:
        self._start = self._spoken = time.monotonic()
        if sys.stdout.isatty():
            self._rich = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}  {task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[info]}"),
                transient=True,
            )
            self._rich.start()
            self._task = self._rich.add_task(
                self.label, total=self.total, completed=int(self.done), unit=self.unit, rate="", info=""
            )
        return self

    def advance(self, n: float = 1, **info: Any) -> None:
        """Count ``n`` more units; ``info`` (numbers or texts) is shown beside."""
        self.done += n
        if info:
            self._info = "  ".join(f"{key} {_short(value)}" for key, value in info.items())
        if self._rich is not None:
            self._rich.update(self._task, completed=self.done, rate=f"{self.rate:.3g}/s", info=self._info)
        elif time.monotonic() - self._spoken > PLAIN_INTERVAL:
            self._spoken = time.monotonic()
            share = f"{100 * self.done / self.total:.0f} %" if self.total else ""
            left = f"{seconds(self.left)} left" if self.rate else ""
            counted = f"{_count(self.done)}/{_count(self.total)} {self.unit}"
            say(
                "  ".join(
                    w
                    for w in (f"  {self.label}", counted, share, f"{self.rate:.3g}/s", left, self._info)
                    if w
                )
            )

    @property
    def elapsed(self) -> float:
        """Seconds since the bar was opened."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Units per second in this session."""
        return (self.done - self._skipped) / max(self.elapsed, 1e-9)

    @property
    def left(self) -> float:
        """Seconds left at this rate."""
        return max(self.total - self.done, 0) / max(self.rate, 1e-9)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
        state = "" if error is None else ", stopped"
        info = f"  {self._info}" if self._info else ""
        counted = f"{_count(self.done)} {self.unit} in {seconds(self.elapsed)} ({self.rate:.3g}/s){state}"
        say(f"  {self.label}: {counted}{info}")


def _count(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
