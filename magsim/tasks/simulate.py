"""task=simulate: spin dynamics with the exact or a learned field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from magsim.dynamics import Protocol, open_trajectory
from magsim.errors import ConfigError
from magsim.learning.committee import committee_facts
from magsim.runs import Run
from magsim.tasks.build import build_lattice, plain, torch_device
from magsim.tasks.data import tell_difference
from magsim.tasks.simulation.audit import audit_section, tell, watchers
from magsim.tasks.simulation.setup import TRAJECTORY, build_field, build_protocol, follow
from magsim.tasks.trajectories.page import simulation_page


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=simulate``: evolve with the field of ``cfg.checkpoint`` (null: exact) plus classical terms.

    Leaves ``trajectory.zarr``, series, figures and ``report.html`` in the run folder; ``resume=`` continues
    from the last complete frame.

    Returns:
        final metrics.

    Raises:
        ConfigError: the field, the protocol or an observable does not fit the lattice, or a resumed run
            would change its schedule.
        RunError: a field that is not finite, or spins that lost their length.
    """
    lattice, protocol = build_lattice(cfg), build_protocol(cfg)
    _check_continuation(run.folder / TRAJECTORY, run, protocol)
    device = str(torch_device(cfg))
    field, identity, parents = build_field(cfg, lattice, device, run.say)
    if parents:
        run.parent("model", str(cfg.checkpoint), parents["model"])
        trained = committee_facts(cfg.checkpoint).get("hamiltonian", {})
        tell_difference(run, trained, plain(cfg.hamiltonian), "the model was trained")
    run.headline(f"{protocol.name.capitalize()} on {lattice.name} {' x '.join(map(str, lattice.shape))}")
    run.say(f"  field {field.name}, {lattice.n_sites} spins, replicas {protocol.replicas}, state on {device}")
    watches = watchers(cfg, run, lattice, field)
    result, dt = follow(cfg, run, field, lattice, identity, parents, watches=watches)
    tell(run, watches)
    metrics = {"simulate/dt": dt, "simulate/sites": lattice.n_sites, **result.metrics("simulate")}
    for watch in watches:
        metrics |= watch.metrics()
    run.summary(metrics)
    return simulation_page(cfg, run, lattice, result, field.name, metrics, audit_section(run, watches))


def _check_continuation(path: Path, run: Run, protocol: Protocol) -> None:
    if not path.exists():
        return
    if not run.resumed:
        raise ConfigError(
            "output", str(run.folder), "holds a trajectory already; resume=<that folder> continues it."
        )
    stored = open_trajectory(path).attributes["config"]["protocol"]["steps"]
    if protocol.depends_on_steps and stored != protocol.steps:
        what = f"the schedule of {protocol.name} spans the whole run"
        raise ConfigError("protocol.steps", protocol.steps, f"{what}; a resumed run keeps {stored}.")
