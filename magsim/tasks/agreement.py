"""task=agreement: the exact and a learned field from the same initial states, curve by curve."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.dynamics import Drive, EffectiveField, open_trajectory
from magsim.lattice import Lattice
from magsim.observables import (
    chirality_pair_correlation,
    pair_distances,
    select,
    spin_pair_correlation,
    sublattice_structure_factor,
)
from magsim.runs import Run
from magsim.spins import transverse
from magsim.tasks.build import build_lattice, plain, torch_device
from magsim.tasks.simulation.recording import Simulation, simulate
from magsim.tasks.simulation.setup import (
    build_field,
    build_integrator,
    build_protocol,
    choose_timestep,
    measurable,
    stored_timestep,
)
from magsim.tasks.trajectories.agreement_of_drives import compare_walls
from magsim.tasks.trajectories.agreement_page import FIELDS, Compared, agreement_page

TORQUE_FRAMES = 12  # of the exact run, on which the torques of the learned field are compared


class TimedField(EffectiveField):
    """A field that remembers how long its evaluations took.

    Attributes:
        seconds: of each evaluation.
    """

    def __init__(self, field: EffectiveField) -> None:
        self._field = field
        self.n_sites, self.name = field.n_sites, field.name
        self.conservative, self.torque_scale = field.conservative, field.torque_scale
        self.takes_voltage = field.takes_voltage
        self.seconds: list[float] = []

    def set_voltage(self, voltage: float | np.ndarray) -> None:
        super().set_voltage(voltage)
        self._field.set_voltage(voltage)

    def evaluate(self, spins: Any) -> tuple[Any, Any]:
        began = time.perf_counter()
        answer = self._field(spins)
        self.seconds.append(time.perf_counter() - began)
        return answer

    def per_step(self, evaluations: int, replicas: int) -> float | None:
        """Seconds that a step of one replica takes: the median, which others on the machine move least,
        without the first evaluation, which prepares tables and code. None where nothing was left to do."""
        measured = self.seconds[1:]
        return statistics.median(measured) * evaluations / replicas if measured else None


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=agreement``: run ``protocol.replicas`` initial states with the exact field of the configuration
    and with ``checkpoint``, by the same protocol, time step and noise.

    Leaves ``exact.zarr`` and ``learned.zarr``, figures and ``report.html``.

    Returns:
        for every observable, and for the correlations and S(q) of the final states, the largest difference
        of the means over initial states beside the width of the band; the torque error on states of the exact
        run; wall time per step of either field and their ratio. Where each replica has its own voltage, they
        are compared one by one, with the velocities of their walls.

    Raises:
        ConfigError: the checkpoint or the protocol does not fit the lattice.
        RunError: a field that is not finite, or spins that lost their length.
    """
    lattice = build_lattice(cfg)
    run.headline(f"Exact and learned on {lattice.name} {' x '.join(map(str, lattice.shape))}")
    results, metrics = _both(cfg, run, lattice)
    driven = compare_walls(cfg, run, lattice, results)
    curves = _curves(cfg, results)
    final = _final_states(lattice, results) if driven is None else []
    for compared in (*curves, *final):
        metrics |= compared.metrics()
        band = f", band of the initial states {compared.band:.3g}" if compared.band else ""
        run.say(f"  {compared.words}: largest difference {compared.difference:.3g}{band}")
    exact, learned = (results[name].spins for name in FIELDS)
    metrics["agreement/overlap"] = float((exact * learned).sum(-1).mean())
    metrics["agreement/torque_error"] = _torque_error(cfg, run, lattice)
    metrics |= {} if driven is None else driven.metrics
    run.summary(metrics)
    agreement_page(cfg, run, lattice, results, curves, final, metrics, driven)
    return metrics


def _both(cfg: DictConfig, run: Run, lattice: Lattice) -> tuple[dict[str, Simulation], dict[str, float]]:
    """The runs by the name of their field; milliseconds per step of one replica, and their ratio."""
    protocol, device, seed = build_protocol(cfg), str(torch_device(cfg)), int(cfg.seed)
    asked = select(None if cfg.observables.names is None else list(cfg.observables.names), lattice)
    integrator = stored_timestep(run.folder / "exact.zarr", build_integrator(cfg))
    results, clocks = {}, {}
    for name in FIELDS:
        chosen = cfg.copy()
        chosen.checkpoint = None if name == "exact" else cfg.checkpoint
        field, identity, parents = build_field(chosen, lattice, device)
        if parents:
            run.parent("model", str(cfg.checkpoint), parents["model"])
        else:  # the learned run takes the time step of the exact one
            integrator = choose_timestep(field, integrator, protocol, lattice, seed, run, device)
        timed = TimedField(field)
        results[name] = simulate(
            timed,
            lattice,
            integrator,
            protocol,
            measurable(asked, field),
            seed,
            run,
            run.folder / f"{name}.zarr",
            every=int(cfg.observables.every),
            identity=identity,
            config=plain(cfg),
            parents=parents,
            device=device,
            label=name,
            prefix=name,
        )
        seconds = timed.per_step(integrator.evaluations, protocol.replicas)
        if seconds is not None:
            clocks[f"agreement/{name}_ms_per_step"] = 1e3 * seconds
    if len(clocks) == len(FIELDS):
        exact, learned = clocks.values()
        clocks["agreement/speedup"] = exact / learned
    return results, clocks


def _curves(cfg: DictConfig, results: Mapping[str, Simulation]) -> list[Compared]:
    """Observables against time, as long as both run: a protocol may stop by itself. Replicas of a drive that
    differ by their voltage are compared one by one."""
    exact, learned = (results[name] for name in FIELDS)
    n = min(len(exact.time), len(learned.time))
    protocol, R = build_protocol(cfg), len(exact.spins)
    apart = isinstance(protocol, Drive) and protocol.biased_apart
    groups = {f"_{r}": [r] for r in range(R)} if apart else {"": list(range(R))}
    return [
        Compared(f"{name}{end}", exact.time[:n], *(run.series[name][:n, which] for run in (exact, learned)))
        for name in exact.series
        if name in learned.series
        for end, which in groups.items()
    ]


def _final_states(lattice: Lattice, results: Mapping[str, Simulation]) -> list[Compared]:
    """Correlations against distance, and S(q)/N."""
    spins = [results[name].spins for name in FIELDS]
    measures: dict[str, Callable[[Lattice, Any], Any]] = {}
    if all(lattice.periodic):
        measures["spin_correlation"] = spin_pair_correlation
        if lattice.dim == 2 and len(lattice.triangles()):
            measures["chirality_correlation"] = chirality_pair_correlation
    found = [
        Compared(name, pair_distances(lattice), *(measure(lattice, s).T for s in spins))
        for name, measure in measures.items()
    ]
    flat = [sublattice_structure_factor(lattice, s).reshape(len(s), -1).T / lattice.n_sites for s in spins]
    return [*found, Compared("structure_factor", np.arange(lattice.n_cells), *flat)]


def _torque_error(cfg: DictConfig, run: Run, lattice: Lattice) -> float:
    """Rmse over rms of the learned torques on frames spread over the exact run."""
    field, _, _ = build_field(cfg, lattice, str(torch_device(cfg)))
    trajectory = open_trajectory(run.folder / "exact.zarr")
    chosen = np.unique(np.linspace(0, len(trajectory) - 1, TORQUE_FRAMES).round().astype(int))
    protocol = build_protocol(cfg).timed(float(trajectory.attributes["config"]["dt"]))
    wrong, square = 0.0, 0.0
    for k in chosen:
        spins = np.asarray(trajectory.spins(k))
        voltage = protocol.voltage(int(trajectory.step[k]))
        if voltage is not None:
            field.set_voltage(voltage)
        exact = transverse(np.asarray(trajectory.field(k)), spins)
        learned = transverse(field(spins)[1], spins)
        wrong += float(((learned - exact) ** 2).sum())
        square += float((exact**2).sum())
    return float(np.sqrt(wrong / square))
