"""The report page of a run, with what belongs on every page."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from magsim.report.page import Metric, Section, write_report
from magsim.runs import Run


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
        provenance=json.loads((run.folder / "provenance.json").read_text()),
        config=OmegaConf.to_yaml(cfg, resolve=True),
    )
    run.say(f"Report {path}")
    return path
