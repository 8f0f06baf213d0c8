"""A simulation as a configuration describes it: field, protocol, integrator and its time step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from magsim.dynamics import (
    EffectiveField,
    Integrator,
    Protocol,
    initial_spins,
    load_field,
    make_integrator,
    make_protocol,
    open_trajectory,
    suggest_timestep,
)
from magsim.dynamics.llg import largest_torque
from magsim.errors import ConfigError
from magsim.lattice import Lattice
from magsim.learning.committee import source_hash
from magsim.observables import select
from magsim.runs import Run
from magsim.tasks.build import (
    build_classical,
    build_hamiltonian,
    build_labeler,
    classical_field,
    effective_field,
    plain,
    torch_device,
    torch_dtype,
)
from magsim.tasks.simulation.memory import divided, on_lattice
from magsim.tasks.simulation.recording import Simulation, simulate
from magsim.tasks.simulation.samples import Samples
from magsim.tasks.simulation.series import Watcher

TRAJECTORY = "trajectory.zarr"
# The largest torque among some hundred random spins is about this many times the rms per component; a model
# that learned too little to show such torques must not choose a step by its own.
TAIL = 5.0
PARTS = 10  # suggested steps from state to state where steps are adaptive


def follow(
    cfg: DictConfig,
    run: Run,
    field: EffectiveField,
    lattice: Lattice,
    identity: Mapping[str, Any],
    parents: Mapping[str, str],
    prefix: str = "simulate",
    watches: Sequence[Watcher] = (),
) -> tuple[Simulation, float]:
    """The protocol of the configuration with a field on a lattice; into ``trajectory.zarr`` of the run.

    Args:
        identity, parents: of the trajectory, see :func:`build_field`.
        prefix: of the logged metrics.
        watches: see :func:`simulate`.

    Returns:
        what was measured; the time step, if it was not given that of an interrupted run or the suggested one.
    """
    path, seed, device = run.folder / TRAJECTORY, int(cfg.seed), str(torch_device(cfg))
    protocol = build_protocol(cfg)
    integrator = stored_timestep(path, build_integrator(cfg))
    integrator = choose_timestep(field, integrator, protocol, lattice, seed, run, device)
    names = None if cfg.observables.names is None else list(cfg.observables.names)
    stride = cfg.observables.sample_every
    result = simulate(
        field,
        lattice,
        integrator,
        protocol,
        measurable(select(names, lattice), field),
        seed,
        run,
        path,
        every=int(cfg.observables.every),
        identity=identity,
        config=plain(cfg),
        parents=parents,
        device=device,
        label=protocol.name,
        prefix=prefix,
        watchers=watches,
        samples=None if stride is None else Samples(path, lattice, int(stride)),
        processes=int(cfg.compute.processes),
        steps=str(cfg.compute.steps),
    )
    run.artifact("trajectory", path, result.content_hash)
    return result, integrator.step_size


def measurable(names: Sequence[str], field: EffectiveField) -> tuple[str, ...]:
    """The observables that a field allows: one that is no gradient has no energy."""
    return tuple(name for name in names if field.conservative or name != "energy")


def build_field(
    cfg: DictConfig,
    lattice: Lattice,
    device: str = "cpu",
    say: Callable[[str], None] = lambda text: None,
) -> tuple[EffectiveField, dict[str, Any], dict[str, str]]:
    """The field that a simulation runs with: learned if there is a checkpoint, else exact; plus classical
    terms.

    Args:
        say: gets one line about the memory of a large lattice.

    Returns:
        the field; what determines it (JSON types), for the key of the trajectory; its parents, kind -> hash.

    Raises:
        ConfigError: no such checkpoint, or one of another kind of lattice.
    """
    classical = plain(cfg.classical) if build_classical(cfg, lattice) is not None else None
    if cfg.hamiltonian.name == "none":
        return divided(cfg, effective_field(cfg, lattice.shape), lattice), {"classical": classical}, {}
    if cfg.checkpoint is None:
        labeler = build_labeler(cfg, lattice)
        node = {k: v for k, v in plain(cfg.hamiltonian).items() if k != "name"}
        kind = type(labeler.hamiltonian).__name__
        parts = {"hamiltonian": node, "kind": kind, "labeler": labeler.identity(), "classical": classical}
        return effective_field(cfg, lattice.shape), parts, {}
    small = load_field(cfg.checkpoint, device=device, dtype=torch_dtype(cfg))
    if small.lattice.name != lattice.name:
        raise ConfigError(
            "checkpoint",
            str(cfg.checkpoint),
            f"trained on lattice {small.lattice.name}; lattice.name={lattice.name} does not fit.",
        )
    terms = partial(classical_field, plain(cfg.classical))
    field = on_lattice(cfg, small, terms, lattice, build_integrator(cfg), build_protocol(cfg), say)
    model = source_hash(cfg.checkpoint)
    identity: dict[str, Any] = {"model": model, "precision": str(cfg.compute.precision)}
    identity["classical"] = classical
    strip: Any = build_hamiltonian(cfg, lattice) if cfg.hamiltonian.name == "driven" else None
    if strip is not None and field.takes_voltage:  # a drive changes it in its first step
        field.set_voltage(strip.voltage)
        identity["voltage"] = float(strip.voltage)
    return field, identity, {"model": model}


def build_protocol(cfg: DictConfig) -> Protocol:
    """The protocol of ``cfg.protocol``.

    Raises:
        ConfigError: unknown name, or a value out of range.
    """
    return make_protocol(**plain(cfg.protocol))


def build_integrator(cfg: DictConfig) -> Integrator:
    """The integrator of ``cfg.integrator``; its time step may still be None.

    Raises:
        ConfigError: unknown name, or a value out of range.
    """
    return make_integrator(**plain(cfg.integrator))


def choose_timestep(
    field: EffectiveField,
    integrator: Integrator,
    protocol: Protocol,
    lattice: Lattice,
    seed: int,
    run: Run,
    device: str = "cpu",
) -> Integrator:
    """The integrator with a time step: its own, or the one that the torques of random spins suggest.

    Random spins, whatever the initial state: near equilibrium torques vanish, and a step chosen there is too
    long for what thermal motion or a wall does later.

    Raises:
        ConfigError: there is no torque to choose a step by.
    """
    if protocol.minimiser is not None:
        run.say(f"  minimiser {protocol.minimiser}: times count its steps")
        return replace(integrator, dt=1.0)
    if integrator.dt is not None:
        run.say(f"  time step {integrator.dt:g}, integrator {integrator.name}, damping {integrator.alpha:g}")
        return integrator
    spins = torch.from_numpy(
        initial_spins(replace(protocol, initial="random", replicas=1), lattice, seed)
    ).to(device)
    _, force = field(spins)
    if protocol.strongest is not None:
        force = force + torch.tensor(protocol.strongest).to(force)
    floor = TAIL * field.torque_scale
    warmest = replace(integrator, T=protocol.warmest(integrator.T))
    suggested = suggest_timestep(force, spins, warmest, torque_floor=floor)
    if integrator.tolerance is not None:
        suggested *= PARTS
    torque = max(float(largest_torque(spins, force).max()), floor)
    # two digits: what is printed is what is used, and the last bits of the torque do not matter
    chosen = replace(integrator, dt=float(f"{suggested:.2g}"))
    run.say(
        f"  time step {chosen.dt:g} suggested from the largest torque {torque:.3g} of random spins, "
        f"integrator {integrator.name}, damping {integrator.alpha:g}"
    )
    return chosen


def stored_timestep(path: Path, integrator: Integrator) -> Integrator:
    """The suggested time step of the run that continues: not to be suggested anew."""
    if integrator.dt is not None or not path.exists():
        return integrator
    return replace(integrator, dt=float(open_trajectory(path).attributes["config"]["dt"]))
