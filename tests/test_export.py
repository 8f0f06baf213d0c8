"""Exported fields: history in the file, packages that run without this program, files that are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from random_models import BISPECTRUM, BP, LINEAR, driven, trained
from short_training import COMMON, SHORT, make_synthetic
from test_equivariant import SQUARE, random_model

import magsim
from magsim.config import compose
from magsim.config.checks.job import check_job
from magsim.dynamics import LearnedField
from magsim.errors import ConfigError, DataError
from magsim.lattice import make_lattice
from magsim.learning import zoo
from magsim.learning.checkpoint import load_checkpoint, model_facts, save_model
from magsim.learning.field_package import compiler_is_missing, write_packages
from magsim.learning.model_file import read_facts, write_model_file
from magsim.models import Model
from magsim.spins import random_spins
from magsim.tasks.cli import main

EXPORT = ("task=export", "logger=csv", "compute=cpu", "lattice.shape=[6,6]")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and the run of a training."""
    folder = tmp_path_factory.mktemp("workshop")
    data = make_synthetic(folder)
    words = [*COMMON, *SHORT, "model=linear", "compute.cost_seconds=0", f"data.path={data}"]
    assert main([*words, f"output={folder / 'trained'}"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _own_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")


def test_an_exported_file_holds_the_model_and_its_history(workshop: Path, tmp_path: Path) -> None:
    run, file = workshop / "trained", tmp_path / "field.safetensors"
    assert main([*EXPORT, f"checkpoint={run}", f"output={file}"]) == 0
    facts = read_facts(file)
    metrics = json.loads((run / "metrics.json").read_text())
    assert facts["recipe"].startswith("python run.py task=train compute=cpu lattice.shape=[6,6]")
    assert "data.path=synthetic.npz" in facts["recipe"].split()
    assert str(workshop) not in json.dumps(facts)
    assert facts["data"]["content_hash"] == facts["dataset"]
    assert facts["data"]["snapshots"] == 48
    assert facts["program"]["magsim"] == magsim.__version__
    [errors] = facts["errors"]
    assert errors["metrics"]["all/torque_error"] == metrics["test/all/torque_error"]
    assert errors["weights"] == facts["hash"] == metrics["train/model_hash"]
    spins = random_spins(36, np.random.default_rng(0))
    for one, other in zip(magsim.load_field(file)(spins), magsim.load_field(run)(spins), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rounded_weights_halve_the_file_and_are_what_is_measured(workshop: Path, tmp_path: Path) -> None:
    run, data = workshop / "trained", workshop / "synthetic.npz"
    files = {kind: tmp_path / f"{kind}.safetensors" for kind in ("float32", "float16")}
    for kind, file in files.items():
        words = [*EXPORT, f"checkpoint={run}", f"output={file}", f"task.weights={kind}", f"data.path={data}"]
        assert main(words) == 0
    weights = {kind: load_checkpoint(file)[0] for kind, file in files.items()}
    assert weights["float16"]["weight"].dtype == torch.float16
    assert torch.equal(weights["float16"]["mean"], weights["float32"]["mean"])
    facts = read_facts(files["float16"])
    of_training, of_these = facts["errors"]
    assert of_these["weights"] == facts["hash"] != of_training["weights"]
    spins = random_spins(36, np.random.default_rng(0))
    full, rounded = (magsim.load_field(file)(spins)[1] for file in files.values())
    assert 0 < np.abs(full - rounded).max() < 2e-3 * np.abs(full).max()


def test_a_run_goes_into_the_zoo_with_nothing_typed(workshop: Path, tmp_path: Path) -> None:
    """But source and licence of data that the program does not know."""
    run, data = workshop / "trained", workshop / "synthetic.npz"
    words = [*EXPORT, f"checkpoint={run}", "task.zoo=bilinear", f"data.path={data}"]
    assert main(words) == 2  # the licence
    assert not zoo.FOLDER.exists()
    assert main([*words, "task.source=[example.org,CC0]"]) == 0
    [(name, entry)] = magsim.zoo_models().items()
    assert name == "bilinear"
    assert (entry["data"]["source"], entry["data"]["licence"]) == ("example.org", "CC0")
    held_out, whole = entry["errors"]
    assert held_out["by"] == entry["recipe"]
    seen = load_checkpoint(run)[1]["seen"]
    assert whole["in_training"] == len(seen) < whole["data"]["snapshots"] == 48
    field = magsim.load_field("bilinear", shape=(7, 6))
    assert field.n_sites == 42
    with pytest.raises(ConfigError, match="the zoo has bilinear"):
        magsim.load_field("biquadratic")


def test_a_model_without_history_is_exported_but_not_into_the_zoo(tmp_path: Path, capsys) -> None:
    model = trained(SQUARE, LINEAR, torch.float32)
    save_model(tmp_path / "bare.safetensors", model, model_facts(SQUARE, BISPECTRUM, LINEAR))
    words = [*EXPORT, f"checkpoint={tmp_path / 'bare.safetensors'}", f"output={tmp_path / 'out.safetensors'}"]
    assert main(words) == 0
    assert read_facts(tmp_path / "out.safetensors")["model"] == LINEAR
    assert main([*words, "task.zoo=bare"]) == 2
    assert "is not in the folder of a training" in capsys.readouterr().err


def test_errors_of_another_model_are_not_taken_for_its_own(workshop: Path, tmp_path: Path, capsys) -> None:
    facts = load_checkpoint(workshop / "trained")[1]
    run = tmp_path / "other"
    run.mkdir()
    for name in ("status.json", "metrics.json", "provenance.json", "overrides.yaml"):
        (run / name).write_text((workshop / "trained" / name).read_text())
    weights = load_checkpoint(workshop / "trained")[0]
    write_model_file(run / "model.safetensors", weights, facts | {"model": facts["model"] | {"ridge": 1.0}})
    words = [*EXPORT, f"checkpoint={workshop / 'trained'}", f"output={tmp_path / 'out.safetensors'}"]
    assert main([*words, f"task.measured=[{run}]"]) == 2
    assert "measured the errors of another model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["checkpoint=null"], "checkpoint=null: task=export needs"),
        (["task.formats=[onnx]"], r"task\.formats=\['onnx'\]: must be a list of safetensors, pt2, aoti"),
        (["task.formats=[]"], r"task\.formats=\[\]: must be a list"),
        (["task.source=[MIT]"], r"task\.source=.*\[source,licence\]"),
        (["task.measured=[nowhere]"], r"task\.measured\[0\]=nowhere: no such"),
    ],
)
def test_an_export_that_cannot_be_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        check_job(compose(["task=export", f"checkpoint={tmp_path}", *words]))


def damaged(good: bytes, tmp_path: Path) -> dict[str, tuple[bytes, str]]:
    """Contents of files that are not, or no longer, models of this version; words of the refusal."""
    facts = read_facts(tmp_path / "good.safetensors")
    write_model_file(
        tmp_path / "new", load_checkpoint(tmp_path / "good.safetensors")[0], facts | {"format_version": 2}
    )
    return {
        "truncated": (good[: len(good) // 2], "not a readable model file"),
        "with a flipped bit": (good[:-3] + bytes([good[-3] ^ 4]) + good[-2:], "their hash is another"),
        "of a later version": ((tmp_path / "new").read_bytes(), "format_version is 2, this program reads 1"),
        "of another program": (safetensors.torch.save({"w": torch.zeros(2)}), "not a magsim model"),
        "that is a table": (b"x y z\n0 0 1\n", "not a readable model file"),
        "that is empty": (b"", "not a readable model file"),
        "that is a torn archive": (b"PK\x03\x04 torn", "not a readable checkpoint"),
    }


def test_files_that_are_no_models_end_with_one_sentence_and_exit_code_2(tmp_path: Path, capsys) -> None:
    model = trained(SQUARE, LINEAR, torch.float32)
    file = tmp_path / "good.safetensors"
    save_model(file, model, model_facts(SQUARE, BISPECTRUM, LINEAR))
    bad = tmp_path / "bad.safetensors"
    for name, (content, words) in damaged(file.read_bytes(), tmp_path).items():
        bad.write_bytes(content)
        with pytest.raises(DataError, match=f"^{bad}: .*{words}"):
            magsim.load_field(bad)
        if name not in ("truncated", "of a later version"):  # seconds each
            continue
        assert main([*EXPORT, f"checkpoint={bad}", f"output={tmp_path / 'out.safetensors'}"]) == 2, name
        errors = capsys.readouterr().err
        assert errors.startswith(f"{bad}: "), name
        assert words in errors, name
        assert errors.count("\n") == 1, name
    assert not (tmp_path / "out.safetensors").exists()


CASES: dict[str, Callable[[], Model]] = {
    "linear": lambda: trained(SQUARE, LINEAR, torch.float32, cutoff=1.0),
    "bp": lambda: trained(SQUARE, BP, torch.float64, chirality_cutoff=1.5),
    "bp open": lambda: trained(make_lattice("triangular", (4, 3), "open"), BP, torch.float32),
    "equivariant": lambda: random_model(SQUARE, {"layers": 1}, {"cutoff": 1.0}, torch.float32),
    "equivariant torque": lambda: random_model(SQUARE, {"output": "torque"}, {"cutoff": 1.0}, torch.float32),
    "sitewise": lambda: driven(dtype=torch.float32),
    "summed at a bias": lambda: driven(dtype=torch.float64, form="summed", voltage_input=True),
}


# A process that has torch but not this program.
FOREIGN = """
import json, sys
sys.modules["magsim"] = None
import numpy as np, torch
kind, package, data = sys.argv[1:]
note = {"magsim.json": ""}
if kind == "pt2":
    run = torch.export.load(package, extra_files=note).module()
    note = json.loads(note["magsim.json"])
else:
    run = torch._inductor.aoti_load_package(package)
    note = json.loads(run.get_metadata()["magsim.json"])
given = np.load(data)
for size in (1, 2, 5):
    names = ("spins", "voltage") if "voltage" in given else ("spins",)
    energy, field = run(*(torch.from_numpy(given[k][:size]).to(getattr(torch, note["dtype"])) for k in names))
    torch.testing.assert_close(field.double(), torch.from_numpy(given["field"][:size]), rtol=0, atol=1e-5)
    expected = torch.from_numpy(given["energy"][:size])
    torch.testing.assert_close(energy.double(), expected, rtol=1e-5, atol=1e-4, equal_nan=True)
print(note["sites"])
"""


def agrees_elsewhere(kind: str, model: Model, folder: Path) -> None:
    """A package gives the numbers of the model in a process that cannot import this program."""
    path = folder / "field.pt2"
    write_packages(model, {kind: path}, {"model": "any"})
    spins = random_spins(model.lattice.n_sites, np.random.default_rng(4), (5,))
    learned, bias = LearnedField(model), {}
    if model.takes_voltage:
        bias["voltage"] = np.linspace(-0.5, 1.0, 5)
        learned.set_voltage(bias["voltage"])
    energy, field = learned(spins)
    np.savez(folder / "expected.npz", spins=spins, energy=energy, field=field, **bias)
    words = [sys.executable, "-c", FOREIGN, kind, str(path), str(folder / "expected.npz")]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": ""}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(model.lattice.n_sites)


def test_a_torch_export_package_gives_the_same_numbers_without_this_program(tmp_path: Path) -> None:
    chain = make_lattice("chain", (5,))
    agrees_elsewhere("pt2", trained(chain, LINEAR, torch.float32, cutoff=1.0, references=1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_model_is_a_package_of_torch(name: str, tmp_path: Path) -> None:
    agrees_elsewhere("pt2", CASES[name](), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_model_is_machine_code_of_aotinductor(name: str, tmp_path: Path) -> None:
    missing = compiler_is_missing()
    if missing:
        pytest.skip(missing)
    agrees_elsewhere("aoti", CASES[name](), tmp_path)


def test_without_a_compiler_the_machine_code_is_left_out_with_a_sentence(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("magsim.learning.field_package.compiler_is_missing", lambda: "there is none.")
    file = tmp_path / "field.safetensors"
    words = [*EXPORT, f"checkpoint={workshop / 'trained'}", f"output={file}"]
    assert main([*words, "task.formats=[safetensors,aoti]"]) == 0
    assert "no AOTInductor package: there is none." in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["field.safetensors"]
