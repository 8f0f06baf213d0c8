"""Where configurations are read and outputs are written."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"


def outputs_root() -> Path:
    """Folder of all run folders and datasets: ``$MAGSIM_OUTPUTS``, or ``outputs`` beside ``run.py``."""
    given = os.environ.get("MAGSIM_OUTPUTS")
    return Path(given).expanduser().resolve() if given else ROOT / "outputs"


def groups() -> dict[str, list[str]]:
    """Every config group and the names of its options, as they lie in ``conf``."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(CONF.iterdir())
        if folder.is_dir()
    }
