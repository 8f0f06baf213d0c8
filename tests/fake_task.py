"""A task for the tests of runs and command line: it logs, and fails as its seed says."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from omegaconf import DictConfig

from magsim.errors import DataError, RunError
from magsim.runs import Run

FAILURES = {
    13: RunError("spin 4 lost its length at step 7"),
    14: ValueError("bug"),
    15: DataError("a.npz", "bad"),
}


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``seed``: 13-15 raise, 16 sends SIGTERM to itself, 17 waits to be killed, others finish."""
    first = len((run.folder / "metrics.csv").read_text().splitlines()) - 1 if run.resumed else 0
    with run.progress("steps", cfg.protocol.steps, unit="steps", done=first) as bar:
        for step in range(first, cfg.protocol.steps):
            run.log({"train/loss": cfg.seed + 1 / (step + 1)}, step)
            bar.advance(1, loss=0.5)
    if cfg.seed in FAILURES:
        raise FAILURES[cfg.seed]
    if cfg.seed == 16:
        signal.raise_signal(signal.SIGTERM)
    if cfg.seed == 17:
        print("waiting", os.getpid(), flush=True)
        time.sleep(60)
    model = run.folder / "model.safetensors"
    model.write_text("weights")
    run.parent("dataset", "outputs/datasets/abc", "d" * 8)
    run.artifact("model", model, "m" * 8)
    return {"test/rmse": 0.1 * cfg.seed, "steps": cfg.protocol.steps}
