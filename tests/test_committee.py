"""Committees: the mean of models that learned the same thing, and their disagreement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from effective_field_checks import Case, EffectiveFieldChecks
from random_models import BISPECTRUM, BP, SMALL, trained
from short_training import COMMON, SHORT

import magsim
from magsim.config import compose
from magsim.config.checks.job import check_job
from magsim.dynamics import CommitteeField, LearnedField
from magsim.dynamics.committee import spread_of
from magsim.errors import ConfigError
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import load_checkpoint, model_facts, save_model
from magsim.learning.committee import committee_facts, find_members, source_hash
from magsim.spins import random_spins, transverse
from magsim.tasks.training.trained import split_recipe


def member(seed: int) -> torch.nn.Module:
    """A random model whose weights differ from those of another seed."""
    model, generator = trained(SMALL), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * p.std(correction=0) * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return model


def committee(size: int = 3) -> CommitteeField:
    return CommitteeField([LearnedField(member(seed)) for seed in range(size)])


def save(folder: Path, seed: int, **more: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "status.json").write_text("{}")
    facts = model_facts(
        SMALL, BISPECTRUM, BP, **{"seen": [f"s{seed}", "common"], "split": {"seed": 0}, **more}
    )
    save_model(folder / "model.safetensors", member(seed), facts)
    return folder


class TestCommittee(EffectiveFieldChecks):
    @pytest.fixture
    def case(self) -> Case:
        return Case(SMALL, committee())


def test_the_spread_is_the_unbiased_standard_deviation_of_one_transverse_component() -> None:
    """Members that differ by Gaussian noise of known size in the tangent plane."""
    rng, true = np.random.default_rng(0), 0.37
    spins = random_spins(20_000, rng)
    fields = transverse(true * rng.normal(size=(3, *spins.shape)), spins)
    assert np.sqrt(np.mean(spread_of(fields) ** 2)) == pytest.approx(true, rel=0.01)


def test_field_and_spread_of_a_committee_are_those_of_its_members() -> None:
    spins = random_spins(25, np.random.default_rng(1), (2, 3))
    field = committee()
    energies, forces = zip(*(m(spins) for m in field.members), strict=True)
    np.testing.assert_allclose(field(spins)[0], np.mean(energies, axis=0), rtol=1e-12)
    np.testing.assert_allclose(field(spins)[1], np.mean(forces, axis=0), atol=1e-13)
    spread = field.spread(spins)
    assert spread.shape == (2, 3, 25)
    deviation = np.std(forces, axis=0, ddof=1)
    np.testing.assert_allclose(spread, np.sqrt((deviation**2).sum(-1) / 2), rtol=1e-12)
    np.testing.assert_allclose(field.spread(torch.tensor(spins)).numpy(), spread, rtol=1e-12)


def test_members_that_agree_have_no_spread() -> None:
    spins = random_spins(25, np.random.default_rng(1))
    twins = CommitteeField([LearnedField(member(0)), LearnedField(member(0))])
    assert twins.spread(spins).max() == 0
    assert committee().spread(spins).min() > 0


def test_members_on_different_lattices_or_a_single_one_make_no_committee() -> None:
    with pytest.raises(ValueError, match="two members"):
        CommitteeField([LearnedField(member(0))])
    other = LearnedField(trained(make_lattice("triangular", (6, 6))))
    with pytest.raises(ValueError, match="different lattices"):
        CommitteeField([LearnedField(member(0)), other])


def test_a_sweep_folder_is_a_committee_of_its_jobs_in_their_order(tmp_path: Path) -> None:
    folders = [save(tmp_path / f"{number}-abcd", seed) for number, seed in ((0, 5), (2, 6), (10, 7))]
    (tmp_path / "multirun.yaml").write_text("")
    assert find_members(tmp_path) == [folder / "model.safetensors" for folder in folders]
    assert find_members([str(folder) for folder in folders]) == find_members(tmp_path)
    spins = random_spins(25, np.random.default_rng(0))
    field = magsim.load_field(tmp_path)
    assert isinstance(field, CommitteeField)
    np.testing.assert_array_equal(
        field(spins)[1], CommitteeField([LearnedField(member(s)) for s in (5, 6, 7)])(spins)[1]
    )
    assert isinstance(magsim.load_field(folders[0]), LearnedField)


def test_what_a_committee_has_seen_is_what_any_member_has_seen(tmp_path: Path) -> None:
    a, b = save(tmp_path / "0-a", 0), save(tmp_path / "1-b", 1)
    facts = committee_facts(tmp_path)
    assert facts["seen"] == ["common", "s0", "s1"]
    assert facts["split"] == {"seed": 0}
    assert len({source_hash(tmp_path), source_hash(a), source_hash(b), source_hash([b, a])}) == 4
    assert source_hash(a) == load_checkpoint(a)[1]["hash"]
    c = save(tmp_path / "other" / "2-c", 2, split={"seed": 1})
    assert "split" not in committee_facts([a, c])


def test_members_that_learned_another_hamiltonian_are_refused(tmp_path: Path) -> None:
    a, b = (
        save(tmp_path / "0-a", 0, hamiltonian={"J": 3.0}),
        save(tmp_path / "1-b", 1, hamiltonian={"J": 6.0}),
    )
    with pytest.raises(ConfigError, match=r"hamiltonian is .*6\.0.*learn the same"):
        magsim.load_field([a, b])
    with pytest.raises(ConfigError, match="twice"):
        magsim.load_field([a, a])
    (b / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"1-b: has no model\.safetensors"):
        magsim.load_field(tmp_path)


def test_the_command_line_takes_a_list_of_checkpoints_each_of_which_must_exist(tmp_path: Path) -> None:
    a = save(tmp_path / "0-a", 0)
    check_job(compose(["task=evaluate", f"checkpoint=[{a},{a}/model.safetensors]"]))
    with pytest.raises(ConfigError, match=r"^checkpoint\[1\]=.*no such file"):
        check_job(compose(["task=evaluate", f"checkpoint=[{a},{tmp_path}/nowhere]"]))


def test_members_of_other_seeds_share_the_split_by_split_seed() -> None:
    def recipe(*overrides: str) -> dict[str, object]:
        return split_recipe(compose([*COMMON, *SHORT, *overrides]))

    assert recipe("seed=3") != recipe("seed=4")
    assert recipe("seed=3", "trainer.split_seed=0") == recipe("seed=4", "trainer.split_seed=0")
    assert recipe("seed=3") == recipe("seed=4", "trainer.split_seed=3")
