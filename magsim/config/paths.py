"""Where configurations are read."""

from __future__ import annotations

from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"
PRESETS = ("experiment", "scale")  # groups whose options set keys of other groups and have no node


def groups() -> dict[str, list[str]]:
    """Every config group and the names of its options, as they lie in ``conf``."""
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(CONF.iterdir())
        if folder.is_dir()
    }


def scaled(scale: str) -> list[str]:
    """Experiments that have a size of their own at a scale: ``conf/scale/of/<experiment>_<scale>.yaml``."""
    return sorted(
        file.stem.removesuffix(f"_{scale}") for file in (CONF / "scale" / "of").glob(f"*_{scale}.yaml")
    )
