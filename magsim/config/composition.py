"""Composing a configuration from a list of overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from magsim.config.errors import translated
from magsim.config.paths import CONF
from magsim.config.schema import register


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration that ``python run.py <overrides>`` runs with, before the cross-group checks.

    Args:
        overrides: as on the command line, e.g. ``["lattice=square", "lattice.shape=[6,6]"]``.

    Raises:
        ConfigError: an unknown key, a wrong type or an unknown option.
    """
    register()
    with (
        translated(overrides),
        _hydra_set_aside(),
        initialize_config_dir(str(CONF), version_base="1.3", job_name="magsim"),
    ):
        return hydra_compose("config", overrides=list(overrides))


@contextmanager
def _hydra_set_aside() -> Iterator[None]:
    """Hydra has one global state; a job of the command line that composes (resume) gets its own back."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outer


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
