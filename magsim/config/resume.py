"""The configuration with which a run folder continues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from magsim.config.composition import compose, to_flat
from magsim.config.conform import conform
from magsim.errors import ConfigError

GROW = (
    "protocol.steps",
    "trainer.max_epochs",
    "trainer.max_minutes",
    "task.rounds",
    "task.budget",
    "task.max_minutes",
)
FREE = ("audit.", "compute.", "logger.", "debug", "resume")


def resumed(folder: str | Path, overrides: Sequence[str] = ()) -> tuple[DictConfig, list[str]]:
    """The stored configuration of a run, with what a continued run may change.

    Lengths and budgets (``protocol.steps``, ``trainer.max_epochs``, ...) may grow; ``audit``, ``compute``,
    ``logger`` and ``debug`` may change; anything else would make another run of it.

    Args:
        folder: a run folder with ``config.yaml`` and ``overrides.yaml``.
        overrides: the new command line, without ``resume=``.

    Returns:
        the configuration, and the overrides that the continued run was made with.

    Raises:
        ConfigError: not a run folder, or an override that changes the physics.
    """
    path = Path(folder).expanduser().resolve()
    for file in ("config.yaml", "overrides.yaml", "status.json"):
        if not (path / file).is_file():
            raise ConfigError("resume", str(folder), f"must be a run folder: there is no {file} in {path}.")
    stored = [str(o) for o in OmegaConf.load(path / "overrides.yaml")]
    new = [o for o in overrides if _key(o) != "resume"]
    keys = {_key(o) for o in new}
    kept = [o for o in stored if _key(o) != "resume"]
    before = compose(kept)
    together = [o for o in kept if _key(o) not in keys] + new
    after = compose(together)
    changed = _difference(to_flat(before), to_flat(after))
    cfg = OmegaConf.merge(before, _stored(path, before))
    assert isinstance(cfg, DictConfig)
    # what is asked for counts against what is stored, also where a default has changed since
    flat = to_flat(after)
    changed |= {key: flat[key] for key in keys & flat.keys() if flat[key] != OmegaConf.select(cfg, key)}
    for key, value in changed.items():
        now = OmegaConf.select(cfg, key)
        if key in GROW:
            _must_grow(key, now, value)
        elif not key.startswith(FREE):
            raise ConfigError(
                key, value, f"a resumed run keeps {now}; may change: {', '.join((*GROW, *FREE))}."
            )
        elif key.startswith("logger."):
            cfg.logger = after.logger
            continue
        OmegaConf.update(cfg, key, value)
    cfg.resume = str(path)
    conform(cfg)
    return cfg, together


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _stored(path: Path, typed: DictConfig) -> Any:
    stored = OmegaConf.load(path / "config.yaml")
    assert isinstance(stored, DictConfig)
    unknown = set(to_flat(stored)) - set(to_flat(typed))
    if unknown:
        raise ConfigError(
            "resume",
            str(path),
            f"its config.yaml has keys this version does not know: {', '.join(sorted(unknown))}.",
        )
    return stored


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Keys whose value differs, with the new value; keys that vanish count as null."""
    keys = [*after, *(key for key in before if key not in after)]
    return {key: after.get(key) for key in keys if before.get(key, ...) != after.get(key, ...)}


def _must_grow(key: str, now: float | None, value: float | None) -> None:
    if value is not None and now is not None and value < now:
        raise ConfigError(key, value, f"a resumed run can only go on: at least {now}.")
