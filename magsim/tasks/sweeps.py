"""Sweeps: what a preset sweeps over gives way to the command line, and the runs end in one page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override

from magsim.config import compose
from magsim.runs import read_status
from magsim.tasks.dispatch import execute

COMPARISON = "comparison"


class CommandLineWins(Callback):
    """``hydra.sweeper.params`` of an experiment loses the keys that the command line gives: Hydra would run
    every job once for each value of either."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        params = config.hydra.sweeper.get("params")
        if not params:
            return
        words = [
            str(word) for word in OmegaConf.to_container(config.hydra.overrides.task, resolve=False) or []
        ]
        given = {override.key_or_group for override in OverridesParser.create().parse_overrides(words)}
        with flag_override(config, ["readonly", "struct"], False):
            config.hydra.sweeper.params = {k: v for k, v in params.items() if k not in given}


def job_folders(sweep: Path) -> list[Path]:
    """Run folders of the jobs of a sweep, by their number."""
    folders = [file.parent for file in sweep.glob("*/status.json") if file.parent.name[0].isdigit()]
    return sorted(folders, key=lambda folder: int(folder.name.partition("-")[0]))


def compare_jobs(sweep: Path, overrides: Sequence[str]) -> None:
    """``task=compare`` over the finished jobs of a sweep, if there are several: its page lies in the folder
    of the sweep.

    Args:
        sweep: its folder.
        overrides: the command line of the sweep, whose logger is used again.
    """
    done = [f for f in job_folders(sweep) if read_status(f)["status"] == "done"]
    if len(done) < 2:
        return
    logger = [word for word in overrides if word.partition("=")[0].split(".")[0] == "logger"]
    cfg = compose(["task=compare", *logger])
    cfg.runs = [str(sweep)]
    cfg.name = str(OmegaConf.load(done[0] / "config.yaml").name)
    names = (COMPARISON if k == 1 else f"{COMPARISON}-{k}" for k in count(1))
    folder = next(sweep / name for name in names if not (sweep / name).exists())
    execute(cfg, ["task=compare", f"runs=[{sweep}]", *logger], folder, sweep.name)
