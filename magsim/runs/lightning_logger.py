"""Lightning's metrics into a run."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from magsim.runs.run import Run


class RunLogger(Logger):
    """A Lightning logger that forwards to :class:`~magsim.runs.run.Run`.

    Keys that Lightning adds itself (``epoch``) stay out; a metric logged as ``loss`` becomes
    ``<prefix>/loss``, one that has a slash keeps its name.
    """

    def __init__(self, run: Run, prefix: str = "train") -> None:
        super().__init__()
        self._run, self._key = run, prefix

    @property
    def name(self) -> str:
        return "magsim"

    @property
    def version(self) -> str:
        return self._run.id

    @property
    def save_dir(self) -> str:
        return str(self._run.folder)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        values = {
            key if "/" in key else f"{self._key}/{key}": value
            for key, value in metrics.items()
            if key != "epoch"
        }
        if values:
            self._run.log(values, step or 0)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run has its configuration already."""
