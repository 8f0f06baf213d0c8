"""Runs of the fake task: how they are started, and where they leave their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from magsim.tasks import dispatch

QUICK = ["task=simulate", "protocol.steps=6", "protocol.record_every=2", "logger=csv"]


def redirected(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Outputs below ``folder``, the fake task instead of ``task=simulate``, no account of W&B."""
    patch.setenv("MAGSIM_OUTPUTS", str(folder / "outputs"))
    patch.setitem(dispatch.TASKS, "simulate", "fake_task")
    patch.syspath_prepend(str(Path(__file__).parent))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        patch.delenv(name, raising=False)
    return folder / "outputs"


def only(outputs: Path, pattern: str = "simulate/*/*") -> Path:
    """The folder of the only run, or sweep, that there is."""
    (folder,) = outputs.glob(pattern)
    return folder
