"""Write docs/configuration.md from the configuration tree.

usage: python scripts/make_configuration_doc.py

Values come from composing every option, meanings from the comments beside the keys: those in
``conf/*/*.yaml`` and, where there is none, those in ``magsim/config/schema/*.py``.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from magsim.config import CONF, compose, groups, to_flat
from magsim.config.conform import describe, kinds_of
from magsim.config.paths import PRESETS
from magsim.config.schema import Config
from magsim.config.schema.root import OPTIONS

OUT = CONF.parent / "docs" / "configuration.md"

HEAD = """# Configuration

Made by `scripts/make_configuration_doc.py` from `conf/` and `magsim/config/schema/`; do not edit.

One YAML file per option lies in `conf/<group>/`; choose one with `group=option`, change a key with
`group.key=value`: `python run.py lattice=square lattice.shape=[16,16]`. Later wins: the option's file, then
`experiment=...`, then the command line. Unknown keys, wrong types and values out of range stop the program
before any work, with exit code 2. `python run.py --help` prints the whole tree with your arguments applied.

Energies, fields and temperatures are in units of the nearest-neighbour hopping, times in units of its
inverse, lengths in units of the nearest-neighbour distance.
"""


def main() -> None:
    """Write the page."""
    OUT.write_text(page(), encoding="utf-8")
    print(OUT)


def page() -> str:
    """The page as it should be."""
    nodes = _nodes()
    parts = [HEAD, _root(), *(_group(group, nodes[group]) for group in _defaults() if group in nodes)]
    return "\n".join([*parts, _experiments(groups()["experiment"]), _scales()])


def _nodes() -> dict[str, dict[str, DictConfig]]:
    """group -> option -> its node, from as few compositions as the largest group has options."""
    options = {group: names for group, names in groups().items() if group not in PRESETS}
    nodes: dict[str, dict[str, DictConfig]] = {group: {} for group in options}
    for k in range(max(map(len, options.values()))):
        chosen = {group: names[k % len(names)] for group, names in options.items()}
        cfg = compose([f"{group}={option}" for group, option in chosen.items()])
        for group, option in chosen.items():
            nodes[group][option] = cfg[group]
    return nodes


def _defaults() -> dict[str, str]:
    """The groups in the order of the defaults list, with the option that each starts from."""
    entries = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml").defaults)
    assert isinstance(entries, list)
    pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
    return {group: option for group, option in pairs if " " not in group}


def _root() -> str:
    cfg = compose()
    comments = dict(_class_comments(Config))
    rows = [
        (key, _value(cfg[key]), _kind(Config, key), _escaped(comments.get(key, "")))
        for key in cfg
        if not OmegaConf.is_dict(cfg[key])
    ]
    node = OmegaConf.get_type(cfg.data)
    rows += [
        (f"data.{key}", _value(cfg.data[key]), _kind(node, str(key)), dict(_class_comments(node))[key])
        for key in cfg.data
    ]
    return "## Keys of the root\n\n" + _table(("key", "default", "type", "meaning"), rows)


def _group(group: str, nodes: dict[str, DictConfig]) -> str:
    options = list(nodes)
    lines = [f"## `{group}`\n"]
    for option in options:
        mark = " (default)" if option == _defaults()[group] else ""
        lines.append(f"- `{group}={option}`{mark}: {_escaped(_about(group, option))}")
    values: dict[str, dict[str, list[str]]] = {}  # key -> value -> options
    kinds: dict[str, str] = {}
    meanings: dict[str, str] = {}
    for option in options:
        for key, value, kind, meaning in _leaves(group, option, nodes[option]):
            values.setdefault(key, {}).setdefault(value, []).append(option)
            kinds[key] = kind
            meanings[key] = meanings.get(key) or meaning
    rows = [
        (f"{group}.{key}", _by_option(found, options), kinds[key], meanings[key])
        for key, found in values.items()
    ]
    table = "\n" + _table(("key", "default", "type", "meaning"), rows) if rows else ""
    return "\n".join(lines) + "\n" + table


def _experiments(options: list[str]) -> str:
    lines = ["## `experiment`\n", "Presets of several groups at once. None is chosen by default.\n"]
    for option in options:
        overrides = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{option}.yaml"))
        assert isinstance(overrides, dict)
        chosen = [
            f"{key.removeprefix('override /')}={value}"
            for entry in overrides.pop("defaults", [])
            for key, value in entry.items()
        ]
        about = _about("experiment", option)
        lines.append(f"- `experiment={option}`: {about} Sets `{' '.join(chosen + _changed(overrides))}`.")
    return "\n".join(lines) + "\n"


def _scales() -> str:
    lines = ["## `scale`\n", "How large an experiment is.\n"]
    lines += [f"- `scale={option}`: {_about('scale', option)}" for option in groups()["scale"]]
    for file in sorted((CONF / "scale" / "of").glob("*.yaml")):
        experiment, _, scale = file.stem.rpartition("_")
        changed = " ".join(_changed(OmegaConf.to_container(OmegaConf.load(file))))
        about = _about("scale/of", file.stem)
        lines.append(f"- `experiment={experiment} scale={scale}`: {about} Sets `{changed}`.")
    return "\n".join(lines) + "\n"


def _changed(overrides: Any) -> list[str]:
    """What a preset sets, without its name and its references."""
    hidden = ("name", "references", "scale")
    return [f"{key}={_plain(value)}" for key, value in to_flat(overrides).items() if key not in hidden]


def _leaves(group: str, option: str, node: DictConfig, prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Key, default, type and meaning of everything below a node, names of options left out."""
    kind = OmegaConf.get_type(node)
    comments = dict(_class_comments(kind))
    for key in node:
        name = str(key)
        if OmegaConf.is_dict(node[name]):
            yield from _leaves(group, name, node[name], f"{prefix}{name}.")
        elif name != "name":
            meaning = _yaml_comment(group, option, name) or comments.get(name, "")
            yield f"{prefix}{name}", _value(node[name]), _kind(kind, name), _escaped(meaning)


def _class_comments(kind: Any) -> Iterator[tuple[str, str]]:
    """Comments beside (or above) the fields of a dataclass and of those it inherits from."""
    for parent in reversed(kind.__mro__[:-1]):
        above: list[str] = []
        for line in inspect.getsource(parent).splitlines():
            if found := re.match(r"\s+# (.*)", line):
                above.append(found[1])
            elif found := re.match(r"\s+(\w+): [^#]*(?:# (.*))?$", line):
                yield found[1], " ".join([*above, found[2] or ""]).strip()
                above = []
            else:
                above = []


def _yaml_comment(group: str, option: str, key: str) -> str:
    """The comment beside a key in the option's file, else in any file of its group."""
    files = sorted((CONF / group).glob("*.yaml"), key=lambda file: file.stem != option)
    for file in files:
        found = re.search(rf"^{key}: [^#\n]*# (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return ""


def _about(group: str, option: str) -> str:
    """What an option is: the comment lines of its file or beside its name, else its dataclass's docstring."""
    text = (CONF / group / f"{option}.yaml").read_text(encoding="utf-8")
    lines = re.findall(r"^# (.*)$", text, re.MULTILINE)
    words = " ".join(line for line in lines if not line.startswith("@package"))
    if not words and (beside := re.search(r"^name: \w+ # (.*)$", text, re.MULTILINE)):
        words = beside[1]
    if not words and option in OPTIONS.get(group, {}):
        words = inspect.getdoc(OPTIONS[group][option]) or ""
    words = re.sub(r"python run\.py \S.*?(?=$|\. )", lambda found: f"`{found[0]}`", " ".join(words.split()))
    words = words.replace("``", "`")
    return words if words.endswith((".", "`")) or not words else f"{words}."


def _by_option(found: dict[str, list[str]], options: list[str]) -> str:
    """One value if all options that have the key agree, else each value with its options."""
    having = [option for names in found.values() for option in names]
    if len(found) == 1:
        (value,) = found
        return value if len(having) == len(options) else f"{value} ({', '.join(having)} only)"
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in found.items())


def _kind(node_type: Any, key: str) -> str:
    return describe(kinds_of(node_type)[key])


def _value(value: Any) -> str:
    return f"`{_plain(OmegaConf.to_container(value) if OmegaConf.is_list(value) else value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _escaped(text: str) -> str:
    """Markdown leaves it as it is: ``<ij>`` is no tag and ``*`` no emphasis."""
    return re.sub(r"([<*])", r"\\\1", text)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for key, *cells in rows:
        lines.append("| " + " | ".join([f"`{key}`", *(cell.replace("|", "\\|") for cell in cells)]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
