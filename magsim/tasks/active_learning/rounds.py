"""The stages of one round of active learning. Each leaves its result in the folder of the round and is not
repeated where the result is there: that is how an interrupted run goes on."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.pool import pool, renamed, stored_pool
from magsim.datasets.states import STATES, state_classes
from magsim.datasets.store import open_dataset
from magsim.dynamics import CommitteeField, load_field
from magsim.dynamics.committee import spread_of
from magsim.errors import ConfigError
from magsim.learning.checkpoint import MODEL_FILE
from magsim.learning.metrics import torque_metrics
from magsim.runs import Run, read_json, write_json
from magsim.spins import seed_sequence, transverse
from magsim.tasks.build import build_lattice, plain, torch_device, torch_dtype
from magsim.tasks.data import paths
from magsim.tasks.labelling.dataset import label
from magsim.tasks.training.trained import train

SOURCE = "active"
PER_COMPONENT = float(np.sqrt(2 / 3))  # from one direction of the tangent plane to one Cartesian component
CHUNK = 16  # configurations that a committee is asked about at once


@dataclass(frozen=True)
class Result:
    """How good the committee of a round is on the test set.

    Attributes:
        number: of the round; 0 has learned the start alone.
        labels: exact labels it learned from.
        errors: class of states -> rmse over rms of the transverse field.
        spreads: class of states -> spread of the committee over the same rms.
        member_error: mean over members of what :attr:`error` is for the committee.
        seconds: spent on training in the session that finished it.
    """

    number: int
    labels: int
    errors: dict[str, float]
    spreads: dict[str, float]
    member_error: float
    seconds: float

    @property
    def error(self) -> float:
        """Mean over the classes of states: each counts the same, however many snapshots it has."""
        return float(np.mean(list(self.errors.values())))

    @property
    def series(self) -> dict[str, float]:
        """What is logged."""
        return {
            "active/round": self.number,
            "active/labels": self.labels,
            "active/error": self.error,
            "active/member_error": self.member_error,
            **{f"active/error_{name}": value for name, value in self.errors.items()},
            **{f"active/spread_{name}": value for name, value in self.spreads.items()},
            "active/training_seconds": self.seconds,
        }


def untyped(cfg: DictConfig, **changes: Any) -> DictConfig:
    """A configuration with other values for some of its top-level keys."""
    return OmegaConf.create({**plain(cfg), **changes})


def seed_of(seed: int, *purpose: str | int) -> int:
    """A seed for something that takes a whole number."""
    return int(seed_sequence(seed, *purpose).generate_state(1)[0])


def starting_set(cfg: DictConfig, run: Run) -> SpinDataset:
    """``task.start`` random configurations, or the dataset of ``data.path``.

    Raises:
        ConfigError: it has more labels than the budget, or another lattice.
    """
    if cfg.data.path is None:
        sampler = {"name": "random", "count": int(cfg.task.start)}
        return label(untyped(cfg, sampler=sampler), run.part("start"))
    dataset = pool([open_dataset(path) for path in paths(cfg.data.path)])
    if dataset.n_sites != build_lattice(cfg).n_sites:
        given = f"{cfg.lattice.name} {list(cfg.lattice.shape)}"
        raise ConfigError(
            "data.path", cfg.data.path, f"holds {dataset.n_sites} spins, the lattice is {given}."
        )
    if len(dataset) >= cfg.task.budget:
        raise ConfigError(
            "task.budget", cfg.task.budget, f"must be above the {len(dataset)} labels of data.path."
        )
    run.parent("dataset", dataset.path, dataset.content_hash)
    return dataset


def test_set(cfg: DictConfig, run: Run) -> SpinDataset:
    """Random configurations and exact quenches that nothing is ever learned from; they depend on
    ``task.test_seed`` alone. The quenches have the steps of the protocol and the integrator of the
    configuration, at T = 0."""
    integrator = {key: cfg.integrator[key] for key in ("dt", "alpha", "sense")}
    sampler = {
        "name": "mixed",
        "random": {"name": "random", "count": int(cfg.task.test_random)},
        "quench": {
            "name": "quench",
            "trajectories": int(cfg.task.test_quenches),
            "steps": int(cfg.protocol.steps),
            "record_every": int(cfg.protocol.record_every),
            "integrator": str(cfg.integrator.name),
            **integrator,
        },
    }
    seed = seed_of(int(cfg.task.test_seed), "active test")
    return label(untyped(cfg, sampler=sampler, seed=seed), run.part("test"))


def train_committee(cfg: DictConfig, run: Run, dataset: SpinDataset, before: Path | None) -> CommitteeField:
    """The members of a round, each trained on the whole dataset from weights of its own: random ones, or
    those that it had in the folder ``before``."""
    for k in range(int(cfg.task.members)):
        own = untyped(cfg, seed=seed_of(int(cfg.seed), "active", "member", k))
        if cfg.trainer.split_seed is None:
            own.trainer.split_seed = int(cfg.seed)  # all learn from the same snapshots
        start = None if before is None else member_file(before, k)
        train(own, run.part(f"member_{k}"), dataset, start)
    return committee_of(cfg, run.folder)


def committee_of(cfg: DictConfig, folder: Path) -> CommitteeField:
    """The trained committee of the round in ``folder``."""
    files = [member_file(folder, k) for k in range(int(cfg.task.members))]
    field = load_field(files, build_lattice(cfg), device=str(torch_device(cfg)), dtype=torch_dtype(cfg))
    assert isinstance(field, CommitteeField)
    return field


def member_file(folder: Path, k: int) -> Path:
    """The model of member ``k`` of the round in ``folder``."""
    return folder / f"member_{k}" / MODEL_FILE


def examine(
    run: Run, number: int, labels: int, committee: CommitteeField, test: SpinDataset, began: float
) -> Result:
    """Errors and spread on the test set, by class of states; kept as ``result.json``."""
    path = run.folder / "result.json"
    if path.exists():
        return Result(**read_json(path))
    fields = ask(committee, test.spins)
    mean, spread = fields.mean(0), PER_COMPONENT * spread_of(fields)
    classes = state_classes(test)
    groups = {name: classes == name for name in STATES if (classes == name).any()}

    def errors(field: np.ndarray) -> dict[str, float]:
        return {
            name: torque_metrics(test.field[mine], field[mine], test.spins[mine])["torque_error"]
            for name, mine in groups.items()
        }

    scales = {name: rms(transverse(test.field[mine], test.spins[mine])) for name, mine in groups.items()}
    result = Result(
        number=number,
        labels=labels,
        errors=errors(mean),
        spreads={name: rms(spread[mine]) / scales[name] for name, mine in groups.items()},
        member_error=float(np.mean([list(errors(field).values()) for field in fields])),
        seconds=time.monotonic() - began,
    )
    write_json(path, asdict(result))
    return result


def ask(committee: CommitteeField, spins: np.ndarray) -> np.ndarray:
    """Transverse fields of all members ``(M, n, N, 3)`` at spins ``(n, N, 3)``."""
    parts = [committee.members_evaluate(spins[k : k + CHUNK])[1] for k in range(0, len(spins), CHUNK)]
    return np.concatenate(parts, axis=1)


def enlarge(cfg: DictConfig, run: Run, dataset: SpinDataset, chosen: Path, path: Path) -> SpinDataset:
    """Label the configurations of the file ``chosen`` with the labeler of the configuration.

    Returns:
        all labels so far, as a dataset at ``path``.
    """
    sampler = {"name": "file", "path": str(chosen), "limit": None, "select": None}
    new = label(untyped(cfg, sampler=sampler), run, run.folder / "labels.zarr", learnable=False)
    return stored_pool(path, [dataset, renamed(new, SOURCE)])


def rms(values: np.ndarray, axis: Any = None) -> Any:
    """Root mean square along an axis; None: of all."""
    return np.sqrt(np.mean(np.square(values), axis=axis))
