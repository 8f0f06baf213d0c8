"""The few forms that most checks have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from magsim.config.conform import suggestion
from magsim.errors import ConfigError


def value_of(cfg: DictConfig, key: str) -> Any:
    """The plain value (numbers, texts, lists) at a dotted key."""
    value = OmegaConf.select(cfg, key)
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, ListConfig) else value


def require(cfg: DictConfig, key: str, holds: bool, allowed: str) -> None:
    """Raise a :class:`ConfigError` for ``key`` unless ``holds``."""
    if not holds:
        raise ConfigError(key, _text(value_of(cfg, key)), allowed)


def finite(cfg: DictConfig, key: str) -> None:
    """A number, or every number of a list, is finite."""
    value = value_of(cfg, key)
    numbers = value if isinstance(value, list) else [value]
    require(cfg, key, all(math.isfinite(x) for x in numbers), "must be finite.")


def positive(cfg: DictConfig, *keys: str, null: str = "") -> None:
    """Numbers above zero; ``null`` says what null means where it is allowed."""
    for key in keys:
        value = value_of(cfg, key)
        text = f"must be positive{f', or null: {null}' if null else ''}."
        require(
            cfg, key, (value is None and bool(null)) or (value is not None and 0 < value < math.inf), text
        )


def not_negative(cfg: DictConfig, *keys: str) -> None:
    """Numbers that are zero or above."""
    for key in keys:
        require(cfg, key, 0 <= value_of(cfg, key) < math.inf, "must be zero or positive.")


def between(
    cfg: DictConfig, key: str, low: float, high: float, *, ends: bool = False, null: str = ""
) -> None:
    """A number inside an interval, open unless ``ends``."""
    value = value_of(cfg, key)
    text = f"must be from {low:g} to {high:g}" if ends else f"must be above {low:g} and below {high:g}"
    text += f", or null: {null}." if null else "."
    inside = value is not None and (low <= value <= high if ends else low < value < high)
    require(cfg, key, inside or (value is None and bool(null)), text)


def one_of(cfg: DictConfig, key: str, allowed: Sequence[str]) -> None:
    """A text out of a list."""
    value = value_of(cfg, key)
    require(
        cfg, key, value in allowed, f"must be one of {', '.join(allowed)}.{suggestion(str(value), allowed)}"
    )


def _text(value: Any) -> Any:
    return "null" if value is None else value


def existing(cfg: DictConfig, key: str, kinds: Sequence[str] = ()) -> None:
    """A path that is null or exists; a file ends in one of ``kinds``.

    Raises:
        ConfigError: there is nothing at the path, or a file of another kind.
    """
    given = value_of(cfg, key)
    if given is None:
        return
    path = Path(given).expanduser()
    require(cfg, key, path.exists(), f"no such file or folder (looked at {path.resolve()}).")
    if kinds and path.is_file():
        require(
            cfg,
            key,
            path.suffix.lstrip(".") in kinds,
            f"must be {' or '.join('.' + kind for kind in kinds)}.",
        )
