"""Models on disk: what is stored comes back, and what is not a model is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from random_models import BISPECTRUM, BP, LINEAR, trained

import magsim
from magsim.dynamics import LearnedField
from magsim.errors import ConfigError, DataError
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import load_checkpoint, load_model, model_facts, save_model
from magsim.learning.model_file import weights_hash, write_model_file
from magsim.models import EnergyModel, LinearModel
from magsim.spins import random_spins


class TestFiles:
    lattice = make_lattice("triangular", (6, 6))

    @pytest.fixture(params=[BP, LINEAR], ids=["bp", "linear"])
    def saved(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[EnergyModel, Path, str]:
        model = trained(self.lattice, request.param, torch.float32)
        facts = model_facts(self.lattice, BISPECTRUM, request.param, dataset="abc")
        digest = save_model(tmp_path / "model.safetensors", model, facts)
        return model, tmp_path / "model.safetensors", digest

    def test_a_saved_model_comes_back_bit_by_bit(self, saved: tuple[EnergyModel, Path, str]) -> None:
        model, path, digest = saved
        again = load_model(path)
        assert again.state_dict().keys() == model.state_dict().keys()
        for name, tensor in model.state_dict().items():
            assert torch.equal(again.state_dict()[name], tensor), name
        spins = torch.tensor(random_spins(36, np.random.default_rng(0), (3,)), dtype=torch.float32)
        for mine, theirs in zip(model(spins), again(spins), strict=True):
            assert torch.equal(mine, theirs)
        assert load_checkpoint(path)[1]["hash"] == digest
        assert not again.training
        assert sorted(file.name for file in path.parent.iterdir()) == ["model.safetensors"]

    def test_the_statistics_are_in_the_file(self, saved: tuple[EnergyModel, Path, str]) -> None:
        model, path, _ = saved
        weights, _ = load_checkpoint(path)
        for name in ("mean", "scale", "energy_scale", "energy_shift"):
            assert torch.equal(weights[name], getattr(model, name))
        assert float(weights["scale"].std()) > 0

    def test_the_file_is_a_json_header_and_numbers(self, saved: tuple[EnergyModel, Path, str]) -> None:
        """Read here without any library, as one may in ten years."""
        model, path, _ = saved
        raw = path.read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header, numbers = json.loads(raw[8 : 8 + size]), raw[8 + size :]
        facts = json.loads(header.pop("__metadata__")["magsim"])
        assert (facts["lattice"]["name"], facts["model"]["name"]) == (
            "triangular",
            "linear" if isinstance(model, LinearModel) else "bp",
        )
        for name, tensor in model.state_dict().items():
            begin, end = header[name]["data_offsets"]
            dtype = {"F32": "<f4", "F64": "<f8"}[header[name]["dtype"]]
            stored = np.frombuffer(numbers[begin:end], dtype).reshape(header[name]["shape"])
            np.testing.assert_array_equal(stored, tensor.numpy())

    def test_another_precision_can_be_asked_for(self, saved: tuple[EnergyModel, Path, str]) -> None:
        model, path, _ = saved
        spins = random_spins(36, np.random.default_rng(0))
        fine = magsim.load_field(path, dtype=torch.float64)
        assert fine.dtype == torch.float64
        energy, field = LearnedField(model)(spins)
        np.testing.assert_allclose(fine(spins)[1], field, atol=1e-5)
        assert fine(spins)[0] == pytest.approx(energy, abs=1e-3)

    def test_load_field_takes_a_file_or_its_folder_and_another_size(
        self, saved: tuple[EnergyModel, Path, str]
    ) -> None:
        _, path, _ = saved
        spins = random_spins(64, np.random.default_rng(0), (2, 3))
        fields = [
            magsim.load_field(path, shape=(8, 8)),
            magsim.load_field(str(path.parent), lattice=self.lattice.with_shape((8, 8))),
        ]
        answers = [field(spins) for field in fields]
        np.testing.assert_array_equal(answers[0][1], answers[1][1])
        energy, field = answers[0]
        assert (energy.shape, field.shape) == ((2, 3), (2, 3, 64, 3))
        tensor_energy, tensor_field = fields[0](torch.tensor(spins))
        np.testing.assert_array_equal(tensor_field.numpy(), field)
        np.testing.assert_array_equal(tensor_energy.numpy(), energy)

    def test_another_kind_of_lattice_is_refused(self, saved: tuple[EnergyModel, Path, str]) -> None:
        with pytest.raises(ConfigError, match=r"trained on lattice triangular; lattice\.name=square"):
            magsim.load_field(saved[1], lattice=make_lattice("square", (6, 6)))

    def test_a_lattice_smaller_than_twice_the_cutoff_is_refused(
        self, saved: tuple[EnergyModel, Path, str]
    ) -> None:
        with pytest.raises(ConfigError, match=r"half the .*periodic side"):
            magsim.load_field(saved[1], shape=(3, 3))

    def test_a_missing_checkpoint_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"has no model\.safetensors"):
            magsim.load_field(tmp_path)
        with pytest.raises(ConfigError, match="does not exist"):
            magsim.load_field(tmp_path / "nowhere")

    def test_a_corrupt_checkpoint_is_refused(
        self, saved: tuple[EnergyModel, Path, str], tmp_path: Path
    ) -> None:
        good = saved[1].read_bytes()
        weights, facts = load_checkpoint(saved[1])
        nameless = {k: v for k, v in facts["descriptor"].items() if k != "name"}

        def written(weights: dict[str, torch.Tensor] = weights, **changes: Any) -> bytes:
            changed = {k: v for k, v in (facts | {"hash": None} | changes).items() if v is not None}
            write_model_file(tmp_path / "other", weights, {"hash": weights_hash(weights), **changed})
            return (tmp_path / "other").read_bytes()

        def foreign(metadata: dict[str, str] | None) -> bytes:
            return safetensors.torch.save({"a": torch.zeros(3)}, metadata)

        bad = {
            "truncated": good[: len(good) // 2],
            "without its last byte": good[:-1],
            "with a flipped bit in the last weight": good[:-1] + bytes([good[-1] ^ 1]),
            "no model file": b"spins, field\n1, 2\n",
            "empty": b"",
            "of another program": foreign(None),
            "of another program with words": foreign({"format": "pt"}),
            "with facts that are no JSON": foreign({"magsim": "{"}),
            "with facts of another kind": foreign({"magsim": "3"}),
            "of another format": written(format_version=99),
            "without a lattice": written(lattice=None),
            "without a hash": written(hash="none"),
            "without statistics": written({k: v for k, v in weights.items() if k != "energy_scale"}),
            "with keys of another version": written(model=facts["model"] | {"depth": 3}),
            "with a model of another program": written(model={"name": "forest"}),
            "with a descriptor without a name": written(descriptor=nameless),
            "without a weight": written({k: v for k, v in weights.items() if "orbits_of" not in k}),
            "with other weights": written(weights | {"scale": torch.ones(7)}),
        }
        path = tmp_path / "bad.safetensors"
        for name, content in bad.items():
            path.write_bytes(content)
            with pytest.raises(DataError) as refusal:
                magsim.load_field(path)
            assert str(refusal.value).startswith(f"{path}: "), name
            assert "\n" not in str(refusal.value), name

    def test_a_pickle_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple:
                return (Path(tmp_path / "sprung").touch, ())

        torch.save({"magsim": Trap(), "state_dict": {}}, tmp_path / "trap.ckpt")
        (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Trap(), protocol=2))
        for name in ("trap.ckpt", "plain.ckpt"):
            with pytest.raises(DataError, match="not a readable"):
                magsim.load_field(tmp_path / name)
        assert not (tmp_path / "sprung").exists()
