"""What README and docs say can be done: commands compose, snippets run, tables and links are up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from magsim.config import check, compose, groups, resumed
from magsim.tasks.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in ROOT.glob("*.md")}
PAGES |= {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(ROOT.glob("docs/*.md"))}

# What turns a command of the README into one that takes seconds.
SMALL = {
    "label": "sampler.random.count=12 sampler.quench.trajectories=4 sampler.quench.steps=6",
    "train": "model=linear descriptor.cutoff=1 descriptor.references=2",
    "evaluate": "",
    "simulate": "lattice.shape=[12,12] protocol.steps=4 protocol.record_every=2",
}


def fences(page: str, language: str) -> list[str]:
    """Code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def prose(page: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def spans(page: str) -> list[str]:
    """Inline code without placeholders."""
    return [s for s in re.findall(r"`([^`\n]+)`", prose(page)) if not re.search(r"\.\.\.|<|…", s)]


def commands() -> Iterator[str]:
    """Arguments of every ``run.py`` in code blocks and inline code."""
    for page in PAGES:
        lines = [line for fence in fences(page, "bash") for line in fence.splitlines()]
        for line in [*lines, *spans(page)]:
            for part in line.split(" && "):
                if found := re.search(r"python3? run\.py\b ?(.*)", part):
                    yield found[1]


def choices() -> Iterator[str]:
    """Inline code that consists of overrides, like ``sampler=file``."""
    nodes = [*compose(), "experiment"]
    for page in PAGES.keys() - {"docs/configuration.md"}:  # that page is made from what composes
        for span in spans(page):
            words = span.split(" ")
            overrides = all(re.fullmatch(r"[\w.]+=[^=]+", word) for word in words)
            if overrides and re.split(r"[=.]", span)[0] in nodes:
                yield span


COMMANDS = sorted(set(commands()))
CHOICES = sorted(set(choices()))


def jobs(arguments: str) -> list[list[str]]:
    """Overrides of each job of a command line; several with ``-m``."""
    words = [word for word in shlex.split(arguments) if not word.startswith("-")]
    if "-m" not in arguments.split():
        return [words]
    each = []
    for override in OverridesParser.create().parse_overrides(words):
        values = list(override.sweep_string_iterator()) if override.is_sweep_override() else None
        each.append(
            [f"{override.key_or_group}={value}" for value in values] if values else [override.input_line]
        )
    return [[str(word) for word in job] for job in product(*each)]


def make_files(overrides: list[str]) -> None:
    """Put what the overrides name into the working directory."""
    for key, _, value in (override.partition("=") for override in overrides):
        path = Path(value.replace("*", "x"))
        if key in ("data.path", "sampler.path", "checkpoint", "runs", "resume", "trainer.start"):
            for name in path.as_posix().strip("[]").split(","):
                one = Path(name)
                one.parent.mkdir(parents=True, exist_ok=True)
                one.touch() if one.suffix == ".npz" else one.mkdir(exist_ok=True)
        if key == "task.path":
            (path / "trajectory.zarr").mkdir(parents=True, exist_ok=True)
        if key == "resume":
            made_with = [f"task={path.parts[1]}"]
            OmegaConf.save(compose(made_with), path / "config.yaml")
            OmegaConf.save(OmegaConf.create(made_with), path / "overrides.yaml")
            (path / "status.json").touch()


def test_the_pages_have_commands_and_choices_to_check() -> None:
    assert len(COMMANDS) >= 16
    assert len(CHOICES) >= 10


@pytest.mark.parametrize("arguments", COMMANDS, ids=[arguments[:60] for arguments in COMMANDS])
def test_every_command_passes_the_checks(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for overrides in jobs(arguments):
        make_files(overrides)
        folders = [word.partition("=")[2] for word in overrides if word.startswith("resume=")]
        cfg = resumed(folders[0], overrides)[0] if folders else compose(overrides)
        if "compute=cuda" not in overrides:  # refused on a machine without a GPU
            check(cfg)


@pytest.mark.parametrize("span", CHOICES)
def test_every_choice_composes(span: str) -> None:
    compose(span.split(" "))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands of "One task at a time" were run, in small."""
    folder = tmp_path_factory.mktemp("workshop")
    block = next(fence for fence in fences("README.md", "bash") if "task=label output=" in fence)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MAGSIM_OUTPUTS", str(folder / "outputs"))
        for line in block.splitlines():
            words = shlex.split(line)[2:]
            task = words[0].removeprefix("task=")
            assert main([*words, *SMALL[task].split(), "logger=csv"]) == 0
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if fences(page, "python")])
def test_every_snippet_runs(page: str, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    names: dict[str, object] = {}
    for snippet in fences(page, "python"):
        exec(compile(snippet, page, "exec"), names)


def test_the_snippet_of_the_readme_does_what_its_comments_say(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    import magsim

    monkeypatch.chdir(workshop)
    data = magsim.open_dataset("labels.zarr")
    energy, field = magsim.load_field("trained")(data.spins[:4])
    assert energy.shape == (4,)
    assert field.shape == data.spins[:4].shape
    energy, field = magsim.effective_field(compose(["lattice.shape=[12,12]"]))(data.spins[0])
    assert energy == pytest.approx(data.energy[0], abs=1e-9)
    np.testing.assert_allclose(field, data.field[0], atol=1e-9)
    assert magsim.load_field("trained", shape=(48, 48)).n_sites == 48 * 48


def test_the_configuration_page_is_what_the_script_makes_of_the_tree() -> None:
    spec = importlib.util.spec_from_file_location("page", ROOT / "scripts" / "make_configuration_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = PAGES["docs/configuration.md"]
    assert page == module.page(), "run python scripts/make_configuration_doc.py"
    assert not re.search(r"\| *\|$|: $", page, re.MULTILINE), "every key and option says what it means"


def test_the_table_of_the_readme_lists_every_group_and_option() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+` ?)+)\|", PAGES["README.md"], re.MULTILINE)
    listed = {group: sorted(re.findall(r"\w+", options)) for group, options in rows}
    assert listed == groups()


@pytest.mark.parametrize("page", list(PAGES))
def test_links_and_named_files_exist(page: str) -> None:
    here = (ROOT / page).parent
    links = [here / target for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", prose(page))]
    files = [
        ROOT / span
        for span in spans(page)
        if re.fullmatch(r"(magsim|conf|tests|scripts|docs|\.ci)/[\w./-]+", span)
    ]
    missing = [str(path.relative_to(ROOT)) for path in [*links, *files] if not path.exists()]
    assert not missing


def test_constraints_pin_every_dependency_within_its_range_and_name_no_host() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        requirement = Requirement(text)
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier
