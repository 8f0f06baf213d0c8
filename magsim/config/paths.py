"""Where configurations are read."""

from __future__ import annotations

from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"


def groups() -> dict[str, list[str]]:
    """Every config group and the names of its options, as they lie in ``conf``."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(CONF.iterdir())
        if folder.is_dir()
    }
