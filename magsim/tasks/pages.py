"""The report page of a run, with what belongs on every page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from magsim.report.page import Metric, Section, write_report
from magsim.runs import Run
from magsim.tasks.words import count


def publish(
    cfg: DictConfig, run: Run, title: str, sections: list[Section], metrics: list[Metric], summary: str = ""
) -> Path:
    """Write ``report.html`` of a run, with its provenance and configuration, and say where it is."""
    path = write_report(
        run.folder,
        title,
        sections,
        summary=summary,
        origin=f"`task={cfg.task.name}`" + (f", {cfg.name}" if cfg.name != "default" else ""),
        metrics=metrics,
        provenance=_readable(json.loads((run.folder / "provenance.json").read_text())),
        config=OmegaConf.to_yaml(cfg, resolve=True),
    )
    run.say(f"Report {path}")
    return path


def _readable(provenance: dict[str, Any]) -> dict[str, Any]:
    """Provenance for a page: of uncommitted changes how many, not which."""
    git = provenance.get("git") or {}
    if git.get("dirty"):
        files, lines = len(git.get("status", "").splitlines()), len(git.get("diff", "").splitlines())
        words = f"{count(files, 'file')}, {count(lines, 'line')}, all in provenance.json"
        return {**provenance, "git": {"commit": git["commit"], "uncommitted changes": words}}
    return {**provenance, "git": {"commit": git["commit"]}} if git else provenance
