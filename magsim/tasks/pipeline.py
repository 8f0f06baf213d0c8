"""The main job: label, train, evaluate, compare learned with exact dynamics, quench a large lattice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.dynamics import EffectiveField, Quench, load_field, make_integrator
from magsim.lattice import Lattice
from magsim.observables import measure, select
from magsim.report.figures import quench_curves
from magsim.report.page import Picture, Section, Table
from magsim.runs import Run, seconds
from magsim.tasks.build import build_lattice, classical_field, plain, torch_device, torch_dtype
from magsim.tasks.data import dataset_for
from magsim.tasks.pages import publish
from magsim.tasks.simulation.memory import on_lattice
from magsim.tasks.simulation.recording import Simulation, simulate
from magsim.tasks.simulation.setup import build_integrator, build_protocol, follow
from magsim.tasks.training.errors import evaluate
from magsim.tasks.training.floors import floor_section
from magsim.tasks.training.page import data_section, errors_section, headline, trained_on, training_section
from magsim.tasks.training.trained import Trained, train
from magsim.tasks.trajectories.figures import draw
from magsim.tasks.trajectories.page import final_table, last_values
from magsim.tasks.words import MODELS, capital, electrons, listed, number_text, quantity, size, system

HEADLINE = ("nn_correlation", "mean_abs_chirality")  # of the large lattice


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=pipeline``: the whole path in one run folder; ``resume=`` goes on with the stage that was cut.

    Returns:
        final metrics of all stages.
    """
    clock = Clock()
    dataset = dataset_for(cfg, run)
    clock.lap("data")
    trained = train(cfg, run, dataset)
    clock.lap("training")
    result = evaluate(cfg, run, [trained.model], dataset, trained.split.test)
    clock.lap("evaluation")
    compared = compare_dynamics(cfg, run, trained)
    clock.lap("comparison")
    large, lattice, label = large_run(cfg, run, trained)
    clock.lap("large lattice")
    metrics = trained.metrics | result.metrics | compared.metrics | large.metrics("large") | clock.metrics
    run.summary(metrics)

    maps = draw(large, lattice, run, label, prefix="large_")
    sections = [
        Section("Learned against exact dynamics", compared.text, pictures=compared.pictures),
        errors_section(result),
        Section(
            f"{cfg.protocol.name.capitalize()} on {size(lattice.shape)} with the learned field",
            tables=(final_table(large), *maps.tables),
            pictures=(*maps.maps, *maps.series),
        ),
        training_section(run, trained),
        data_section(run, dataset, trained.split.description),
        floor_section(
            cfg, dataset, trained.model.lattice, plain(cfg.descriptor), plain(cfg.model), result.metrics
        ),
        Section(
            "Time spent", tables=(Table(("stage", "time"), [[k, seconds(v)] for k, v in clock.laps.items()]),)
        ),
    ]
    triangular = lattice.name == "triangular"
    publish(
        cfg,
        run,
        f"{capital(system(cfg))}, learned by {MODELS[cfg.model.name]}",
        sections,
        [*headline(result), *last_values(large, HEADLINE, f"{size(lattice.shape)}: ", triangular)],
        f"{capital(electrons(plain(cfg.hamiltonian)))} (energies in t). {trained_on(trained, dataset)} "
        f"{compared.verdict}",
    )
    run.say(
        f"  total {seconds(sum(clock.laps.values()))}: "
        + ", ".join(f"{k} {seconds(v)}" for k, v in clock.laps.items())
    )
    return metrics


class Clock:
    """Wall time of the stages."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.laps[stage], self._last = now - self._last, now

    @property
    def metrics(self) -> dict[str, float]:
        return {f"seconds/{stage.replace(' ', '_')}": value for stage, value in self.laps.items()}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Learned and exact quenches from the same held-out initial states."""

    text: str
    metrics: dict[str, Any]
    pictures: tuple[Picture, ...] = ()
    verdict: str = ""


def compare_dynamics(cfg: DictConfig, run: Run, trained: Trained) -> Comparison:
    """Repeat the held-out exact quenches of the dataset with the learned field, from the same initial states.

    The exact side costs nothing: its states are in the dataset. Without quenches in the data there is nothing
    to compare.
    """
    dataset = trained.dataset
    trajectories = held_out_quenches(dataset, trained.split.test)
    sampler = quench_recipe(dataset)
    if not trajectories or sampler is None:
        text = (
            "The data hold no whole quench with a known time step among the held-out trajectories: "
            "nothing to compare with."
        )
        run.say(f"  {text}")
        return Comparison(text, {})
    run.headline("Learned against exact dynamics")
    lattice = trained.model.lattice
    order = [
        np.flatnonzero((dataset.trajectory == t) & (dataset.source_names == "quench")) for t in trajectories
    ]
    order = [index[np.argsort(dataset.step[index])] for index in order]
    steps = dataset.step[order[0]]
    exact_spins = np.stack([dataset.spins[index] for index in order], axis=1)  # (frames, R, N, 3)
    names = select(
        ["nn_correlation", "mean_abs_chirality"] if lattice.dim == 2 else ["nn_correlation"], lattice
    )
    exact = measure(names, lattice, exact_spins)
    integrator = make_integrator(
        sampler["integrator"], dt=sampler["dt"], alpha=sampler["alpha"], sense=sampler["sense"]
    )
    # the exact quenches were driven with the classical terms of their own configuration
    classical = dataset.config.get("classical")
    field = learned_field(cfg, trained, lattice, classical)
    protocol = Quench(int(steps[-1]), int(steps[1] - steps[0]), len(trajectories))
    learned = simulate(
        field,
        lattice,
        integrator,
        protocol,
        names,
        int(cfg.seed),
        run,
        run.folder / "comparison.zarr",
        initial=exact_spins[0],
        identity={"model": trained.hash, "classical": classical},
        parents={"model": trained.hash, "dataset": dataset.content_hash},
        device=str(torch_device(cfg)),
        label="learned quench",
        prefix="comparison",
    )
    curves = {
        "exact": {"time": steps * integrator.step_size, **exact},
        "learned": {"time": learned.time, **learned.series},
    }
    figure = quench_curves(
        run.folder / "exact_and_learned.png", curves, names, references=lattice.name == "triangular"
    )
    run.image("exact_and_learned", figure)
    metrics: dict[str, float] = {}
    for name in names:
        ends = {"exact": float(exact[name][-1].mean()), "learned": float(learned.series[name][-1].mean())}
        metrics |= {f"comparison/{field}_final_{name}": value for field, value in ends.items()}
        told = ", ".join(f"{field} {value:.3f}" for field, value in ends.items())
        run.say(f"  {name.replace('_', ' ')} at the end: {told}")
    repeated = f"{len(trajectories)} held-out " + ("quench" if len(trajectories) == 1 else "quenches")
    caption = (
        f"{listed(names)} in {repeated} on {size(lattice.shape)}, with the exact and with the learned field "
        "from the same random states, which the model has not seen" + _spread(len(trajectories))
    )
    final = "; ".join(
        f"{quantity(name)[0]} {number_text(metrics[f'comparison/learned_final_{name}'])} (exact "
        f"{number_text(metrics[f'comparison/exact_final_{name}'])})"
        for name in names
    )
    verdict = f"Repeating {repeated}, the learned field ends at: {final}."
    return Comparison("", metrics, (Picture(figure, caption),), verdict)


def held_out_quenches(dataset: SpinDataset, test: np.ndarray) -> list[int]:
    """Quench trajectories that lie wholly in the test part and start at step 0."""
    mine = test[dataset.source_names[test] == "quench"]
    found = []
    for t in np.unique(dataset.trajectory[mine]):
        whole = np.flatnonzero((dataset.trajectory == t) & (dataset.source_names == "quench"))
        if np.isin(whole, mine).all() and len(whole) > 1 and dataset.step[whole].min() == 0:
            found.append(int(t))
    return found


def quench_recipe(dataset: SpinDataset) -> dict[str, Any] | None:
    """Integrator of the dataset's quenches, with their time step; None if it is not known."""
    sampler = dataset.config.get("sampler", {})
    recipe = sampler.get("quench", sampler if sampler.get("name") == "quench" else None)
    dt = dataset.dt or (recipe or {}).get("dt")
    return {**recipe, "dt": dt} if recipe and dt else None


def large_run(cfg: DictConfig, run: Run, trained: Trained) -> tuple[Simulation, Lattice, str]:
    """The protocol of the configuration with the learned field on ``task.large_shape`` (null: four times the
    training's)."""
    shape = cfg.task.large_shape or [4 * n for n in build_lattice(cfg).shape]
    lattice = trained.model.lattice.with_shape(list(shape))
    classical = plain(cfg.classical)
    small = load_field(trained.path, device=str(torch_device(cfg)), dtype=torch_dtype(cfg))
    terms = partial(classical_field, classical)
    field = on_lattice(cfg, small, terms, lattice, build_integrator(cfg), build_protocol(cfg), run.say)
    what = f"{cfg.protocol.name.capitalize()} on {lattice.name} {' x '.join(map(str, shape))}"
    run.headline(f"{what} with the learned field")
    identity = {"model": trained.hash, "precision": str(cfg.compute.precision), "classical": classical}
    result, _ = follow(cfg, run, field, lattice, identity, {"model": trained.hash}, prefix="large")
    return result, lattice, field.name


def learned_field(
    cfg: DictConfig, trained: Trained, lattice: Lattice, classical: Mapping[str, Any] | None
) -> EffectiveField:
    """The trained field on a lattice, plus classical terms (a node as ``cfg.classical``)."""
    field = load_field(trained.path, lattice, device=str(torch_device(cfg)), dtype=torch_dtype(cfg))
    terms = classical_field(classical, lattice) if classical else None
    return field if terms is None else field + terms


def _spread(replicas: int) -> str:
    return "; mean and standard deviation." if replicas > 1 else "."
