"""Trainings of seconds, on labels that a power spectrum holds exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from magsim.config import compose, to_flat
from magsim.datasets.store import open_dataset
from magsim.lattice import make_lattice
from magsim.learning.checkpoint import load_checkpoint
from magsim.learning.metrics import torque_metrics
from magsim.runs import open_run
from magsim.spins import random_spins
from magsim.tasks.training import trained as training

LATTICE = make_lattice("triangular", (6, 6))
COMMON = ("task=train", "logger=csv", "compute=cpu", "lattice.shape=[6,6]")
SHORT = (
    "descriptor.cutoff=1.0",
    "descriptor.references=2",
    "trainer.max_epochs=4",
    "trainer.max_minutes=null",
    "trainer.parity_every=null",
)


def bilinear_biquadratic(spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``E = sum_<ij> [S_i.S_j + 0.5 (S_i.S_j)^2]``: four-spin terms that a power spectrum holds exactly."""
    shell = LATTICE.shells(1)[0]
    s = torch.tensor(spins, requires_grad=True)
    bond = (s[:, shell.i] * s[:, shell.j]).sum(-1)
    energy = 0.5 * (bond + 0.5 * bond**2).sum(-1)
    (gradient,) = torch.autograd.grad(energy.sum(), s)
    return energy.detach().numpy(), -gradient.numpy()


def make_synthetic(folder: Path) -> Path:
    """48 random snapshots in 16 trajectories."""
    path = folder / "synthetic.npz"
    spins = random_spins(36, np.random.default_rng(0), (48,))
    energy, field = bilinear_biquadratic(spins)
    np.savez(
        path,
        spins=spins,
        field=field,
        energy=energy,
        shape=np.array([6, 6]),
        trajectory=np.repeat(np.arange(16), 3),
        step=np.tile(np.arange(3), 16),
    )
    return path


def fit(folder: Path, data: Path, *overrides: str) -> training.Trained:
    """Training alone, without figures and report."""
    known = SHORT if "model=equivariant" not in overrides else [o for o in SHORT if "references" not in o]
    given = [*COMMON, *known, f"data.path={data}", *overrides]
    cfg = compose(given)
    with open_run(cfg, "train", flat=to_flat(cfg), overrides=given, folder=folder) as run:
        return training.train(cfg, run, open_dataset(data))


def error(trained: training.Trained) -> float:
    """Transverse rmse over rms on the held-out trajectories."""
    index = trained.split.test
    spins, field = trained.dataset.spins[index], trained.dataset.field[index]
    predicted = trained.model(torch.tensor(spins).to(trained.model.mean))[1]
    return torque_metrics(field, predicted.detach().double().numpy(), spins)["torque_error"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "model.safetensors")[0]


def assert_equal_weights(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
