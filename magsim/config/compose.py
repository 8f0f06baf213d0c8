"""Composing a configuration outside the command line, and the parts the command line shares."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from magsim.config.errors import translated
from magsim.config.paths import CONF, groups, outputs_root
from magsim.config.schema import register

SWEEP_VARIABLE = "MAGSIM_SWEEP_FOLDER"


def prepare() -> None:
    """Register schemas and resolvers with Hydra (idempotent)."""
    register()
    OmegaConf.register_new_resolver("magsim_help", _help, replace=True)
    OmegaConf.register_new_resolver("magsim_sweep_folder", _sweep_folder, replace=True)


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration that ``python run.py <overrides>`` runs with, before the cross-group checks.

    Args:
        overrides: as on the command line, e.g. ``["lattice=square", "lattice.shape=[6,6]"]``.

    Raises:
        ConfigError: an unknown key, a wrong type or an unknown option.
    """
    prepare()
    with translated(overrides), initialize_config_dir(str(CONF), version_base="1.3", job_name="magsim"):
        return hydra_compose("config", overrides=list(overrides))


def to_flat(cfg: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Resolved ``{"lattice.shape": [12, 12], ...}``; lists stay lists, empty nodes vanish."""
    tree = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg
    flat: dict[str, Any] = {}

    def walk(node: Mapping[Any, Any], prefix: str) -> None:
        for key, value in node.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping):
                walk(value, f"{name}.")
            else:
                flat[name] = value

    assert isinstance(tree, Mapping)
    walk(tree, "")
    return flat


def _sweep_folder(task: str, name: str, output: str | None) -> str:
    """One folder for all jobs of a sweep, remembered in the environment so that launchers on other
    processes and jobs with another task or name agree with the first call."""
    if SWEEP_VARIABLE not in os.environ:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = Path(output).resolve() if output else outputs_root() / task / name / f"sweep-{stamp}"
        os.environ[SWEEP_VARIABLE] = str(folder)
    return os.environ[SWEEP_VARIABLE]


def _help() -> str:
    """Text of ``python run.py --help``."""
    width = max(map(len, groups()))
    options = "\n".join(f"  {group:<{width}}  {', '.join(names)}" for group, names in groups().items())
    return f"""From electrons to learned spin dynamics.

usage: python run.py [group=option ...] [key=value ...] [-m] [--cfg job]

  python run.py lattice=triangular model=bp           label, train, evaluate, simulate, report
  python run.py task=train data.path=labels.npz       one task at a time
  python run.py resume=outputs/train/default/...      continue a run
  python run.py -m model=linear,bp seed=0,1           one run for each combination

  -m, --multirun   sweep over comma separated values
  --cfg job        print the composed configuration and stop
  --hydra-help     flags of Hydra

Groups and their options:
{options}

The configuration with these arguments (change anything with key=value):

$CONFIG"""
