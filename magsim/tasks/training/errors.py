"""Errors of a trained field on exact labels it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset, snapshot_hashes
from magsim.datasets.states import groups
from magsim.learning.metrics import energy_metrics, flatten, torque_metrics
from magsim.models import Model
from magsim.runs import Run
from magsim.spins import transverse
from magsim.tasks.training.model_cost import model_cost

BATCH = 16


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions on some snapshots.

    Attributes:
        index: ``(n,)`` snapshots of the dataset.
        energy, field: ``(n,)`` and ``(n, N, 3)`` predictions.
        metrics: flat, ``test/<source or class of state>/torque_error`` and so on, and ``cost/us_per_site``.
        figures: name -> path.
        members: ``(M, n, N, 3)`` fields of the members of a committee; None for a single model.
    """

    index: np.ndarray
    energy: np.ndarray
    field: np.ndarray
    metrics: dict[str, Any]
    figures: dict[str, Any]
    members: np.ndarray | None = None


def predict(
    model: Model, spins: np.ndarray, voltage: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Energy ``(n,)`` and field ``(n, N, 3)`` of spins ``(n, N, 3)``, as float64 arrays.

    Args:
        voltage: ``(n,)`` bias, for the models that take one; None: not known.
    """
    energies, fields = [], []
    inputs = torch.tensor(spins).to(model.energy_scale)
    bias = None if voltage is None else torch.tensor(voltage).to(inputs)
    for k, part in enumerate(inputs.split(BATCH)):
        own = None if bias is None else bias[k * BATCH : (k + 1) * BATCH]
        energy, field = model(part, **model.given(own))
        energies.append(energy.detach().double().cpu().numpy())
        fields.append(field.detach().double().cpu().numpy())
    return np.concatenate(energies), np.concatenate(fields)


def evaluate(
    cfg: DictConfig, run: Run, models: Sequence[Model], dataset: SpinDataset, index: np.ndarray
) -> Evaluation:
    """Errors per source and class of state on the snapshots ``index``, with the parity figure of the torque;
    of several models those of their mean.

    Without snapshots (a final fit on everything) there are no errors and no figure.
    """
    from magsim.report.figures import torque_parity

    run.headline("Evaluation")
    if not len(index):
        run.say("  nothing was held out (trainer.test_fraction=0): no test errors")
        nothing = np.empty((0, dataset.n_sites, 3))
        return Evaluation(index, np.empty(0), nothing, _cost(cfg, run, models), {})
    spins, exact = dataset.spins[index], dataset.field[index]
    voltage = None if dataset.voltage is None else dataset.voltage[index]
    energies, fields = zip(*(predict(model, spins, voltage) for model in models), strict=True)
    energy, field = np.mean(energies, axis=0), np.mean(fields, axis=0)
    nested: dict[str, dict[str, float]] = {}
    panels = {}
    found = {name: mask[index] for name, mask in groups(dataset).items()}
    for name, mine in {**found, "all": np.ones(len(index), dtype=bool)}.items():
        if not mine.any():
            continue
        nested[name] = torque_metrics(exact[mine], field[mine], spins[mine])
        if dataset.energy is not None and all(model.conservative for model in models):
            nested[name] |= energy_metrics(dataset.energy[index][mine], energy[mine], dataset.n_sites)
        if name in dataset.sources:
            panels[name] = tuple(transverse(f[mine], spins[mine]) for f in (exact, field))
        if name != "all":
            m = nested[name]
            run.say(
                f"  {name}: {int(mine.sum())} snapshots, torque rmse {m['torque_rmse']:.4g} of rms "
                f"{m['torque_rms']:.4g}: relative error {m['torque_error']:.3f}"
            )
    for name, errors in response_errors(dataset, index, field).items():
        nested[name] = errors
        run.say(f"  {name}: relative error of what the bias changes {errors['torque_error']:.3f}")
    metrics = {f"test/{key}": value for key, value in flatten(nested).items()} | _cost(cfg, run, models)
    parity = torque_parity(run.folder / "torque_parity.png", panels)
    run.image("torque_parity", parity)
    members = np.stack(fields) if len(models) > 1 else None
    return Evaluation(index, energy, field, metrics, {"torque_parity": parity}, members)


def response_errors(
    dataset: SpinDataset, index: np.ndarray, field: np.ndarray
) -> dict[str, dict[str, float]]:
    """Errors of ``F(V) - F(0)``, what a bias changes in the field of the same spins.

    Args:
        dataset: of several voltages, zero among them; of any other there are no such errors.
        index: ``(n,)`` its snapshots.
        field: ``(n, N, 3)`` predicted for them.

    Returns:
        ``{"response eV=0.2": torque metrics}``.
    """
    if dataset.voltage is None:
        return {}
    voltage, spins = dataset.voltage[index], dataset.spins[index]
    digests = snapshot_hashes(spins)
    undriven = {digest: k for k, digest in enumerate(digests) if voltage[k] == 0}
    found = {}
    for V in np.unique(voltage[voltage != 0]):
        there = [k for k in np.flatnonzero(voltage == V) if digests[k] in undriven]
        if there:
            zero = [undriven[digests[k]] for k in there]
            change = (dataset.field[index][there] - dataset.field[index][zero], field[there] - field[zero])
            found[f"response eV={V:g}"] = torque_metrics(*change, spins[there])
    return found


def _cost(cfg: DictConfig, run: Run, models: Sequence[Model]) -> dict[str, float]:
    """Microseconds per site, those of all members of a committee; nothing with ``compute.cost_seconds=0``."""
    if not cfg.compute.cost_seconds:
        return {}
    costs = [model_cost(model, float(cfg.compute.cost_seconds)) for model in models]
    for cost in costs:
        run.say(f"  cost: {cost}")
    return {"cost/us_per_site": sum(cost.microseconds_per_site for cost in costs)}
