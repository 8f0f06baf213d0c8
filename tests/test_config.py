"""Every option composes, and nothing but the schema gets in."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from magsim.config import CONF, check, compose, groups, to_flat
from magsim.config.paths import PRESETS, scaled
from magsim.config.schema import Config
from magsim.config.schema.root import OPTIONS
from magsim.errors import ConfigError
from magsim.tasks.dispatch import TASKS

CHOICES = [(group, option) for group, options in groups().items() for option in options]

# What an option needs besides itself to be a job that can start; files are made by the fixture.
STRIP = ["hamiltonian=driven", "labeler=negf", "lattice=square", "lattice.boundary=[open,periodic]"]
COMPANIONS = {
    ("task", "analyze"): ["task.path={folder}"],
    ("task", "evaluate"): ["checkpoint={folder}"],
    ("task", "export"): ["checkpoint={folder}"],
    ("task", "agreement"): ["checkpoint={folder}", "protocol.replicas=2"],
    ("scale", "paper"): ["experiment=tetrahedral_coarsening"],
    ("task", "compare"): ["runs={folder}"],
    ("model", "potential"): ["lattice=square", "lattice.boundary=[open,periodic]"],
    ("hamiltonian", "none"): ["task=simulate", "classical=heisenberg"],
    ("hamiltonian", "driven"): STRIP,
    ("labeler", "negf"): STRIP,
    ("integrator", "suzuki_trotter"): ["task=simulate", "hamiltonian=none", "classical=heisenberg"],
    ("sampler", "file"): ["sampler.path={file}"],
    ("experiment", "double_exchange_published"): ["data.path={file}"],
}


@pytest.mark.parametrize(("group", "option"), CHOICES, ids=[f"{g}={o}" for g, o in CHOICES])
def test_every_option_composes_conforms_and_passes_the_checks(
    group: str, option: str, tmp_path: Path
) -> None:
    if (group, option) == ("compute", "cuda"):
        assert compose(["compute=cuda"]).compute.device == "cuda"
        return
    file = tmp_path / "labels.npz"
    file.touch()
    (tmp_path / "trajectory.zarr").mkdir()
    extra = [text.format(folder=tmp_path, file=file) for text in COMPANIONS.get((group, option), [])]
    check(compose([f"{group}={option}", *extra]))


def test_every_group_of_the_tree_is_a_node_of_the_schema_and_back() -> None:
    cfg = compose()
    nodes = {f.name for f in dataclasses.fields(Config) if OmegaConf.is_dict(cfg[f.name])} - {"data"}
    assert nodes == set(groups()) - set(PRESETS)


def test_every_schema_of_an_option_belongs_to_an_option_that_pulls_it_in() -> None:
    for group, options in OPTIONS.items():
        text = "".join(file.read_text() for file in (CONF / group).glob("*.yaml"))
        for option in options:
            assert f"/schema/{group}/{option}@_here_" in text


def test_option_files_are_named_like_the_option() -> None:
    for group, option in CHOICES:
        content = OmegaConf.load(CONF / group / f"{option}.yaml")
        if "name" in content and group != "hamiltonian":
            assert content.name == option, f"conf/{group}/{option}.yaml"


def test_lists_in_the_checks_agree_with_the_registries_of_the_physics() -> None:
    """The checks do not import torch, so they carry the names themselves."""
    from magsim.config.checks import dynamics, learning, physics, steps
    from magsim.dynamics import INTEGRATORS
    from magsim.dynamics.minimise import MINIMISERS
    from magsim.dynamics.protocols.relax import METHODS
    from magsim.dynamics.recorded import STEPS
    from magsim.hamiltonian.classical import DM_KINDS
    from magsim.models.bp import ACTIVATIONS
    from magsim.models.equivariant import OUTPUTS

    assert set(learning.ACTIVATIONS) == set(ACTIVATIONS)
    assert set(learning.OUTPUTS) == set(OUTPUTS)
    assert steps.STEPS == STEPS
    assert set(steps.IMPLICIT) == {name for name, method in INTEGRATORS.items() if method.implicit}
    assert set(physics.DM_KINDS) == set(DM_KINDS)
    assert set(physics.INTEGRATORS) == set(INTEGRATORS)
    assert set(dynamics.RELAXATIONS) == set(METHODS) == {"llg", *MINIMISERS}


def test_the_checks_know_every_figure() -> None:
    from magsim.config.checks import dynamics
    from magsim.tasks.trajectories.figures import FIGURES

    assert tuple(FIGURES) == dynamics.FIGURES


def test_every_registry_has_the_options_of_its_group() -> None:
    from magsim.descriptors import DESCRIPTORS
    from magsim.dynamics import INTEGRATORS, PROTOCOLS
    from magsim.hamiltonian import HAMILTONIANS
    from magsim.labelers import LABELERS
    from magsim.models import MODELS
    from magsim.samplers import SAMPLERS

    for group, registry in {
        "hamiltonian": HAMILTONIANS,
        "labeler": LABELERS,
        "sampler": SAMPLERS,
        "descriptor": DESCRIPTORS,
        "model": MODELS,
        "integrator": INTEGRATORS,
        "protocol": PROTOCOLS,
    }.items():
        assert set(registry) == set(groups()[group]) - {"none"}, group


@pytest.mark.parametrize("option", groups()["model"])
def test_every_model_is_built_with_the_keys_of_its_option(option: str) -> None:
    from magsim.models import MODELS, build_model
    from magsim.tasks.build import build_lattice, plain

    others = COMPANIONS.get(("model", option), [])
    cfg = compose([f"model={option}", "descriptor.cutoff=1", *others])
    model = build_model(build_lattice(cfg), plain(cfg.descriptor), plain(cfg.model))
    assert isinstance(model, MODELS[option])
    assert model.n_features > 0


@pytest.mark.parametrize("group", ["hamiltonian", "labeler", "sampler", "integrator", "protocol", "lattice"])
def test_every_option_can_be_built(group: str) -> None:
    from magsim.tasks import build
    from magsim.tasks.simulation import setup

    builders = {"integrator": setup.build_integrator, "protocol": setup.build_protocol}
    for option in sorted(set(groups()[group]) - {"none"}):  # no electrons are nothing to build
        path = ["sampler.path=spins.npz"] if (group, option) == ("sampler", "file") else []
        others = STRIP if option in ("driven", "negf") else []
        cfg = compose([f"{group}={option}", *path, *others])
        assert (builders.get(group) or getattr(build, f"build_{group}"))(cfg) is not None


def test_every_task_of_the_tree_has_a_module() -> None:
    assert set(groups()["task"]) == set(TASKS)


def test_default_job_is_the_tetrahedral_case() -> None:
    cfg = compose()
    assert (cfg.lattice.name, list(cfg.lattice.shape), cfg.model.name) == ("triangular", [12, 12], "bp")
    assert (cfg.hamiltonian.J, cfg.hamiltonian.mu, cfg.hamiltonian.T) == (3.0, -3.2, 0.1)
    spelled = to_flat(compose(["experiment=tetrahedral"]))
    assert {key: v for key, v in spelled.items() if key != "name"} == {
        key: v for key, v in to_flat(cfg).items() if key != "name"
    }


def test_command_line_beats_experiment_beats_group_option() -> None:
    assert compose().protocol.steps != 20
    assert compose(["experiment=smoke"]).protocol.steps == 20
    assert compose(["experiment=smoke", "protocol.steps=7"]).protocol.steps == 7


def test_an_experiment_fits_every_task() -> None:
    for task in ("label", "train", "simulate", "pipeline", "benchmark"):
        check(compose(["experiment=smoke", f"task={task}"]))


def test_a_model_selects_its_descriptor() -> None:
    for model in groups()["model"]:
        text = (CONF / "model" / f"{model}.yaml").read_text()
        assert "override /descriptor@_global_.descriptor:" in text
        assert compose([f"model={model}"]).descriptor.name in groups()["descriptor"]


def test_flat_configuration_has_dotted_keys_and_plain_values() -> None:
    flat = to_flat(compose(["lattice.shape=[6,6]"]))
    assert flat["lattice.shape"] == [6, 6]
    assert flat["sampler.random.count"] > 0
    assert not any(isinstance(value, dict) for value in flat.values())


def test_values_set_from_python_are_checked_too() -> None:
    cfg = compose()
    OmegaConf.set_struct(cfg, False)
    cfg.integrator.sense = 2
    with pytest.raises(ConfigError, match=r"integrator\.sense=2"):
        check(cfg)


def test_typo_in_an_experiment_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the tree with one wrong key in an experiment file."""
    import shutil

    tree = tmp_path / "conf"
    shutil.copytree(CONF, tree)
    (tree / "experiment" / "typo.yaml").write_text("# @package _global_\nhamiltonian:\n  Jay: 3.0\n")
    (tree / "experiment" / "root.yaml").write_text("# @package _global_\nsede: 3\n")
    (tree / "lattice" / "typo.yaml").write_text("name: square\nshpe: [3, 3]\n")
    (tree / "lattice" / "kind.yaml").write_text("name: square\nshape: wide\n")
    for module in ("composition", "errors", "paths"):
        monkeypatch.setattr(f"magsim.config.{module}.CONF", tree)
    with pytest.raises(
        ConfigError, match=r"hamiltonian\.Jay=3\.0: unknown key in conf/experiment/typo\.yaml"
    ):
        compose(["experiment=typo"])
    with pytest.raises(ConfigError, match=r"sede=3: unknown key in .*Did you mean seed\?"):
        compose(["experiment=root"])
    with pytest.raises(ConfigError, match=r"lattice\.shpe=\[3, 3\]: .*Did you mean shape\?"):
        compose(["lattice=typo"])
    with pytest.raises(ConfigError, match=r"lattice\.shape=wide: must be a list of whole numbers"):
        compose(["lattice=kind"])


def test_composing_and_checking_import_nothing_heavy() -> None:
    """`--help` and error messages are fast because torch and matplotlib stay away."""
    code = (
        "import sys; from magsim.config import compose, check; import magsim.tasks.cli; check(compose());"
        "heavy = ('torch', 'wandb', 'matplotlib', 'pytorch_lightning', 'cupy', 'zarr');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CONF.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_size_of_the_papers_lies_between_an_experiment_and_the_command_line() -> None:
    words = ["experiment=tetrahedral_coarsening"]
    small, large = compose(words), compose([*words, "scale=paper"])
    assert (small.scale, large.scale) == ("laptop", "paper")
    assert large.lattice.shape[0] > small.lattice.shape[0]
    assert compose([*words, "scale=paper", "lattice.shape=[6,6]"]).lattice.shape == [6, 6]
    for others in ([], ["experiment=smoke"]):
        with pytest.raises(ConfigError, match=r"scale=paper: is known to .*tetrahedral_coarsening"):
            check(compose([*others, "scale=paper"]))


@pytest.mark.parametrize("experiment", scaled("paper"))
def test_every_experiment_with_a_size_of_the_papers_composes_with_it(experiment: str) -> None:
    cfg = compose([f"experiment={experiment}", "scale=paper"])
    check(cfg)
    assert cfg.references, "its page ends in a table of what is known"


def test_references_name_what_is_measured_and_where_they_are_from() -> None:
    reference = "{quantity: nn_correlation, value: -1, source: theory}"
    check(compose([f"references=[{reference}]"]))
    for wrong, message in (
        ("quantity: magnetization, value: 1, source: a", r"Did you mean magnetisation\?"),
        ("quantity: energy, value: 1, source: ''", r"references\[0\]\.source=: must say where"),
        ("quantity: energy, value: 1, source: a, tolerance: -1", r"references\[0\]\.tolerance=-1"),
        ("quantity: energy, value: 1", r"references\[0\]\.source=\?\?\?: has no value; give a text"),
        ("quantity: energy, value: low, source: a", r"^references\[\.\.\]\.value=low: must be a number\.$"),
        ("quantiti: energy, value: 1", r"^references\[\.\.\]\.quantiti=.*Did you mean quantity\?"),
    ):
        with pytest.raises(ConfigError, match=message):
            check(compose([f"references=[{{{wrong}}}]"]))
    with pytest.raises(ConfigError, match=r"is not measured: observables\.names=\['energy'\]"):
        check(compose(["task=simulate", f"references=[{reference}]", "observables.names=[energy]"]))
