"""Run folders, their records, and what the user sees while a run works.

- :func:`open_run` -- a context manager that gives a :class:`Run`,
- :func:`outputs_root`, :func:`dataset_folder` -- where things lie,
- :func:`read_status`, :func:`read_series` -- reading a run folder back,
- :mod:`magsim.runs.lightning_logger` -- Lightning's metrics into a run (imports Lightning).
"""

from __future__ import annotations

from magsim.runs.console import ProgressBar, headline, say, seconds
from magsim.runs.folder import (
    dataset_folder,
    new_id,
    outputs_root,
    read_json,
    read_status,
    stamp,
    write_json,
    write_text,
)
from magsim.runs.run import Run, Terminated, failed, open_run, reason
from magsim.runs.series import Series, read_series

__all__ = [
    "ProgressBar",
    "Run",
    "Series",
    "Terminated",
    "dataset_folder",
    "failed",
    "headline",
    "new_id",
    "open_run",
    "outputs_root",
    "read_json",
    "read_series",
    "read_status",
    "reason",
    "say",
    "seconds",
    "stamp",
    "write_json",
    "write_text",
]
