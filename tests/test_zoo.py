"""The zoo: every model loads from the package alone and errs as much as its manifest says."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import magsim
from magsim.config import check, compose
from magsim.datasets.dataset import snapshot_hashes
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError
from magsim.learning import zoo
from magsim.learning.checkpoint import load_checkpoint
from magsim.spins import transverse

HERE = os.environ | {"PYTHONPATH": str(Path(magsim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
DATA = Path(__file__).parent / "data"
EXCERPTS = {
    data.content_hash: data
    for data in (open_dataset(file, learnable=False) for file in sorted(DATA.glob("*[0-9]x[0-9]*.npz")))
}
MODELS = magsim.zoo_models()
# (model, measurement) for all measurements on the excerpts of published data in tests/data
MEASURED = [
    pytest.param(name, record, id=f"{name} on {record['data']['name']}")
    for name, entry in MODELS.items()
    for record in entry["errors"]
    if record["data"]["content_hash"] in EXCERPTS
]

FRESH = """
import json, sys
import numpy as np
import magsim
answers = {}
for name, entry in magsim.zoo_models().items():
    field = magsim.load_field(name, shape=(12, 12))
    if field.takes_voltage:
        field.set_voltage(0.2)
    spins = np.zeros((144, 3))
    spins[:, 2] = 1
    spins[5] = 1, 0, 0
    energy, force = field(spins)
    finite = np.isfinite(energy) or not field.conservative
    answers[name] = [bool(finite), float(np.abs(force).max())]
print(json.dumps([answers, sorted(sys.modules)]))
"""


def test_every_zoo_model_loads_in_a_fresh_process_without_hydra_lightning_or_wandb(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH], capture_output=True, text=True, cwd=tmp_path, env=HERE, check=False
    )
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout)
    assert answers.keys() == MODELS.keys()
    assert all(finite and 0 < largest < np.inf for finite, largest in answers.values())
    roots = {module.partition(".")[0] for module in modules}
    unwanted = {
        "hydra",
        "omegaconf",
        "pytorch_lightning",
        "lightning",
        "lightning_fabric",
        "wandb",
        "rich",
        "matplotlib",
    }
    assert not roots & unwanted


@pytest.mark.parametrize(("name", "record"), MEASURED)
def test_the_documented_errors_come_out_again(name: str, record: dict) -> None:
    """On the few published snapshots of tests/data, which may have been in the training: the record says so.
    It is a check of these numbers, not of how well the model does elsewhere."""
    data = EXCERPTS[record["data"]["content_hash"]]
    facts = load_checkpoint(name)[1]
    assert record["weights"] == facts["hash"]
    assert record["in_training"] == np.isin(snapshot_hashes(data.spins), facts["seen"]).sum()
    field = magsim.load_field(name, shape=tuple(data.lattice["shape"]))(data.spins)[1]
    exact = transverse(data.field, data.spins)
    rmse, rms = (float(np.sqrt(np.mean(x**2))) for x in (field - exact, exact))
    assert rmse == pytest.approx(record["metrics"]["all/torque_rmse"], rel=1e-3)
    assert rmse / rms == pytest.approx(record["metrics"]["all/torque_error"], rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_a_manifest_entry_says_what_the_file_is_and_where_it_comes_from(name: str) -> None:
    entry = MODELS[name]
    file = zoo.FOLDER / entry["file"]
    assert file.stat().st_size == entry["bytes"] <= zoo.LARGEST
    assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
    facts = load_checkpoint(name)[1]
    assert facts["hash"] == entry["weights"]
    assert facts["dataset"] == entry["data"]["content_hash"]
    assert entry["data"]["source"]
    assert entry["data"]["licence"]
    assert entry["program"]["commit"]
    assert all(record["metrics"]["all/torque_error"] > 0 for record in entry["errors"])
    for key in ("lattice", "descriptor", "model", "hamiltonian", "recipe", "errors"):
        assert facts[key] == entry[key], key


@pytest.mark.parametrize("name", MODELS)
def test_the_recipe_of_a_zoo_model_is_a_command_of_this_version(name: str) -> None:
    program, script, *overrides = MODELS[name]["recipe"].split()
    assert (program, script) == ("python", "run.py")
    cfg = compose(overrides)
    assert cfg.model.name == MODELS[name]["model"]["name"]
    assert not any("/" in word for word in overrides)


def test_an_unknown_name_is_answered_with_the_names_of_the_zoo() -> None:
    with pytest.raises(ConfigError) as refusal:
        magsim.load_field("perovskite")
    message = str(refusal.value)
    assert message.startswith(
        "checkpoint=perovskite: does not exist; give the folder of a training, a model file"
    )
    assert all(name in message for name in MODELS)
    assert "\n" not in message


@pytest.mark.parametrize("name", MODELS)
def test_the_command_line_takes_a_zoo_name_for_a_checkpoint(name: str) -> None:
    lattice, electrons = MODELS[name]["lattice"], MODELS[name]["hamiltonian"]["name"]
    driven = [f"hamiltonian={electrons}", "labeler=negf", "lattice.boundary=[open,periodic]"]
    check(
        compose(
            [
                "task=simulate",
                f"checkpoint={name}",
                f"lattice={lattice['name']}",
                "lattice.shape=[12,12]",
                "compute=cpu",
                *(driven if electrons == "driven" else []),
            ]
        )
    )
    with pytest.raises(ConfigError, match=r"^checkpoint=.*no such file or folder.*the zoo has"):
        check(compose(["task=simulate", f"checkpoint={name}x", "compute=cpu"]))


def test_a_path_is_never_taken_for_a_zoo_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in MODELS:
        (tmp_path / name).mkdir()
        with pytest.raises(ConfigError, match=r"has no model\.safetensors"):
            magsim.load_field(f"./{name}")
        assert magsim.load_field(name).n_sites > 0


def test_a_model_of_another_lattice_is_refused_before_a_run_begins(tmp_path: Path) -> None:
    name = next(name for name, entry in MODELS.items() if entry["lattice"]["name"] == "triangular")
    assert zoo.trained_lattice(name) == "triangular"
    with pytest.raises(
        ConfigError, match=r"trained on lattice triangular; lattice\.name=square does not fit"
    ):
        check(compose(["task=simulate", f"checkpoint={name}", "lattice=square", "compute=cpu"]))
    # of what is no model file the loader says why
    (tmp_path / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b"not a JSON text.")
    assert zoo.trained_lattice(str(tmp_path)) is None
    assert zoo.trained_lattice(str(tmp_path / "nothing")) is None
