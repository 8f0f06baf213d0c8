"""Every way in which composing can fail, as one sentence: key, value, what is allowed."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from magsim.config.conform import describe, suggestion, unknown_key
from magsim.config.paths import CONF, groups
from magsim.errors import ConfigError, MagsimError

LISTS = "lists are written [1,2] and texts with commas or spaces in quotes"


@contextmanager
def translated(overrides: Sequence[str] = ()) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise into :class:`~magsim.errors.MagsimError`."""
    try:
        yield
    except Exception as error:
        sentence = translate(error, overrides)
        if sentence is None or sentence is error:
            raise
        raise sentence from error


def translate(error: BaseException, overrides: Sequence[str] = ()) -> MagsimError | None:
    """The user-facing error behind an exception, or None if it is not about the configuration."""
    if isinstance(error, MagsimError):
        return error
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, str(error))
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_option(str(error.missing_cfg_file))
    chain = list(_chain(error))
    dummy = next((e for e in chain if isinstance(e, InterpolationResolutionError)), None)
    if dummy is not None and isinstance(error, HydraException):
        return _interpolated_option(str(dummy).splitlines()[0], overrides)
    omega = next((e for e in chain if isinstance(e, OmegaConfBaseException) and e.full_key), None)
    if omega is not None:
        return _omega(omega, str(error), overrides)
    if isinstance(error, HydraException):
        return _hydra(str(error))
    if isinstance(error, ValueError) and "Config group override must be a string" in str(error):
        return _not_an_option(overrides)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it; OmegaConf may close this chain to a circle."""
    seen: list[BaseException] = []
    while error is not None and not any(error is known for known in seen):
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _unreadable(override: str, message: str) -> ConfigError:
    key, _, value = override.partition("=")
    detail = next(
        (line for line in message.splitlines() if not line.startswith(("Error parsing", "See "))), ""
    )
    return ConfigError(key, value, f"cannot be read ({detail}); write key=value, {LISTS}.")


def _missing_option(file: str) -> ConfigError:
    group, _, option = file.rpartition("/")
    options = groups().get(group, [])
    if not options:
        known = list(groups())
        return ConfigError(
            group or file, option, f"no such group; there are {', '.join(known)}.{suggestion(group, known)}"
        )
    return ConfigError(group, option, f"choose one of {', '.join(options)}.{suggestion(option, options)}")


def _not_an_option(overrides: Sequence[str]) -> MagsimError:
    known = groups()
    for override in overrides:
        key, _, value = override.partition("=")
        if key in known and (value == "null" or not re.fullmatch(r"[A-Za-z_]\w*", value)):
            return ConfigError(key, value, f"choose one of {', '.join(known[key])}.")
    return MagsimError(f"{' '.join(overrides)}: an option of a group is a name; write group=option.")


def _interpolated_option(problem: str, overrides: Sequence[str]) -> MagsimError:
    for override in overrides:
        key, _, value = override.partition("=")
        if "${" in value and key in groups():
            return ConfigError(key, value, f"choose one of {', '.join(groups()[key])}.")
    return MagsimError(f"{problem} while the options of the groups were chosen.")


def _omega(error: OmegaConfBaseException, outer: str, overrides: Sequence[str]) -> ConfigError:
    from magsim.config.schema.root import ReferenceConfig

    path = re.sub(r"\[\d+\]", "", str(error.full_key))
    file = re.match(r"In '([^']+)'", outer)
    where = f" in conf/{file[1]}.yaml" if file and file[1] != "config" else ""
    value = _value_given(path, file[1] if file else None, overrides)
    node_type = error.object_type
    if node_type is ReferenceConfig:  # a member of a list does not know where it is
        given = re.match(r"Value '(.*)' of type", str(error))
        path, value = f"references[..].{path}", given[1] if given else "..."
    other = _other_option(path, file[1] if file else "", overrides)
    if other is not None:
        return other
    if isinstance(error, (ConfigAttributeError, ConfigKeyError)) and dataclasses.is_dataclass(node_type):
        return unknown_key(path, value, node_type, where)
    if isinstance(error, InterpolationResolutionError):
        return ConfigError(path, value, f"cannot be resolved: {str(error).splitlines()[0]}.")
    kind = _kind(path, node_type)
    if kind is not None and f"~{path}" in (override.partition("=")[0] for override in overrides):
        return ConfigError(path, "", f"this key cannot be removed; it takes {describe(kind)}.")
    if kind is not None:
        return ConfigError(path, value, f"must be {describe(kind)}{where}.")
    return ConfigError(path, value, f"{str(error).splitlines()[0]}{where}.")


def _other_option(path: str, file: str, overrides: Sequence[str]) -> ConfigError | None:
    """The error for an experiment that sets keys of another option than the one that was chosen."""
    from magsim.config.schema.root import OPTIONS

    group, _, rest = path.partition(".")
    chosen = [value for key, _, value in (o.partition("=") for o in overrides) if key == group]
    if not file.startswith("experiment/") or not chosen:
        return None
    having = [option for option, node in OPTIONS.get(group, {}).items() if _at(node, rest) is not None]
    if not having or chosen[-1] in having:
        return None
    return ConfigError(
        group,
        chosen[-1],
        f"cannot be combined with {file.replace('/', '=')}, which sets {path}: a key of "
        f"{group}={'|'.join(having)}.",
    )


def _at(node_type: Any, path: str) -> Any:
    """The annotation of a dotted key below a dataclass, None if it has no such key."""
    kind = node_type
    for part in path.split("."):
        kind = typing.get_type_hints(kind).get(part) if dataclasses.is_dataclass(kind) else None
    return kind


def _kind(path: str, node_type: Any) -> Any:
    """The annotation of a key: from the dataclass that holds it, else by walking down from the root."""
    from magsim.config.schema.root import OPTIONS, Config

    key = path.rpartition(".")[2]
    if dataclasses.is_dataclass(node_type):
        return typing.get_type_hints(node_type).get(key)
    group, _, rest = path.partition(".")
    candidates = [typing.get_type_hints(Config).get(group), *OPTIONS.get(group, {}).values()]
    if not rest:
        return candidates[0]
    return next((kind for candidate in candidates if (kind := _at(candidate, rest)) is not None), None)


def _value_given(path: str, file: str | None, overrides: Sequence[str]) -> Any:
    """What the user wrote for a key, on the command line or in the group or experiment file."""
    for override in reversed(overrides):
        key, _, value = override.partition("=")
        if key.lstrip("+") == path:
            return value
    if file is not None and (CONF / f"{file}.yaml").is_file():
        content = OmegaConf.to_container(OmegaConf.load(CONF / f"{file}.yaml"))
        for start in (path, path.partition(".")[2]):
            node: Any = content
            for part in start.split("."):
                node = node.get(part) if isinstance(node, dict) else None
            if node is not None:
                return node
    return "..."


def _hydra(message: str) -> MagsimError:
    ambiguous = re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", message)
    if ambiguous:
        return ConfigError(
            ambiguous[1], ambiguous[2], "several values are a sweep: add -m; a list is written [a,b]."
        )
    return MagsimError(" ".join(line.strip() for line in message.splitlines() if line.strip()))
