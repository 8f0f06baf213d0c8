"""Whether a configuration has exactly the keys and types of its schema.

Hydra checks most of this while it composes; what it lets through (``+key=value``, ``~key``, lists inside
lists, values set from Python) is found here.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from magsim.config.paths import groups, scaled
from magsim.errors import ConfigError

TABLE = list[Any]  # rows of numbers: as list[list[float]], OmegaConf would refuse the whole ones among them
NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
PLURALS = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts"}


def suggestion(word: str, words: Sequence[str]) -> str:
    """`` Did you mean x?`` if one of ``words`` is close to ``word``, else nothing."""
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def kinds_of(schema: type) -> dict[str, Any]:
    """Type of each field: its annotation, or ``metadata["kind"]`` where that is a union with lists, which
    OmegaConf does not know."""
    kinds = typing.get_type_hints(schema)
    fields = dataclasses.fields(schema) if dataclasses.is_dataclass(schema) else ()
    return kinds | {f.name: f.metadata["kind"] for f in fields if "kind" in f.metadata}


def describe(kind: Any) -> str:
    """A type annotation in words: ``list[int]`` is "a list of whole numbers"."""
    arguments = typing.get_args(kind)
    if kind == TABLE:
        return describe(list[list[float]])
    if kind is Any:  # OmegaConf has no unions with lists
        return describe(str | list[str] | None)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(describe(a) if a is not type(None) else "null" for a in arguments)
    if typing.get_origin(kind) is list:
        (element,) = arguments
        if dataclasses.is_dataclass(element):
            return f"a list of groups of keys ({_fields(element)})"
        return f"a list of {PLURALS.get(element) or 'lists of ' + PLURALS[typing.get_args(element)[0]]}"
    if kind in NAMES:
        return NAMES[kind]
    return f"a group of keys ({_fields(kind)})"


def _fields(kind: Any) -> str:
    return ", ".join(field.name for field in dataclasses.fields(kind))


def unknown_key(path: str, value: object, node_type: type, where: str = "") -> ConfigError:
    """The error for a key that ``node_type`` does not have."""
    parent, _, key = path.rpartition(".")
    known = [field.name for field in dataclasses.fields(node_type)]
    if parent:
        return ConfigError(
            path, value, f"unknown key{where}; {parent} has {', '.join(known)}.{suggestion(key, known)}"
        )
    return ConfigError(
        path,
        value,
        f"unknown key{where}; there are {', '.join(known)}, experiment."
        f"{suggestion(key, [*known, 'experiment'])}",
    )


def conform(cfg: DictConfig) -> None:
    """Compare every node with its dataclass.

    Raises:
        ConfigError: a key that is not in the schema, one that was deleted, or a value of another type.
    """
    _node(cfg, "")


def _node(node: DictConfig, prefix: str) -> None:
    schema = OmegaConf.get_type(node)
    assert isinstance(schema, type)
    assert dataclasses.is_dataclass(schema)
    hints = kinds_of(schema)
    for key in map(str, node.keys()):
        if key not in hints:
            raise unknown_key(prefix + key, _show(node, key), schema)
    for key, kind in hints.items():
        path = prefix + key
        if key not in node and not OmegaConf.is_missing(node, key):
            raise ConfigError(path, "", f"this key cannot be removed; it takes {describe(kind)}.")
        if OmegaConf.is_missing(node, key):
            group = path.split(".")[0]
            options = groups().get(group)
            hint = f"choose {group}={'|'.join(options)}" if options else f"give {describe(kind)}"
            if path == "scale":
                raise ConfigError(path, "paper", f"is known to the experiments {', '.join(scaled('paper'))}.")
            raise ConfigError(path, "???", f"has no value; {hint}.")
        try:
            value = node[key]
        except OmegaConfBaseException as error:
            shown = OmegaConf.to_container(node, resolve=False)
            assert isinstance(shown, dict)
            raise ConfigError(
                path, shown[key], f"cannot be resolved: {str(error).splitlines()[0]}."
            ) from error
        if isinstance(value, DictConfig):
            _node(value, f"{path}.")
            continue
        for k, member in enumerate(value if isinstance(value, ListConfig) else ()):
            if isinstance(member, DictConfig):
                _node(member, f"{path}[{k}].")
        if not fits(_plain(value), kind):
            raise ConfigError(path, _plain(value), f"must be {describe(kind)}.")


def fits(value: Any, kind: Any) -> bool:
    """Whether a plain value has the annotated type (whole numbers count as numbers)."""
    if kind == TABLE:
        return fits(value, list[list[float]])
    if kind is Any:
        return fits(value, str | list[str] | None)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return isinstance(value, list) and all(fits(v, typing.get_args(kind)[0]) for v in value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return (
            isinstance(value, dict)
            and set(value) == set(hints)
            and "???" not in value.values()  # a key without a default that was not given
            and all(fits(value[key], hints[key]) for key in hints)
        )
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, ListConfig) else value


def _show(node: DictConfig, key: str) -> Any:
    container = OmegaConf.to_container(node, resolve=False)
    assert isinstance(container, dict)
    return container.get(key)
