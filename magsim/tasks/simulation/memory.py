"""A learned field on a lattice of any size: as a whole, or in as many slabs as the memory asks for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from omegaconf import DictConfig

from magsim.dynamics import ClassicalField, CommitteeField, EffectiveField, Integrator, LearnedField, Protocol
from magsim.dynamics.memory import Demand, Plan, demand_of, free_memory, plan, state_bytes
from magsim.dynamics.pieces import SlabField, piece_of
from magsim.errors import ConfigError
from magsim.lattice import Lattice

SMALL = 10_000  # spins of all replicas, whose memory nobody needs to know beforehand


def on_lattice(
    cfg: DictConfig,
    field: LearnedField | CommitteeField,
    terms: Callable[[Lattice], ClassicalField | None],
    lattice: Lattice,
    integrator: Integrator,
    protocol: Protocol,
    say: Callable[[str], None],
) -> EffectiveField:
    """The field on a lattice, plus classical terms; ``compute.slabs`` says in how many pieces.

    Args:
        field: on any lattice of the same crystal, which it leaves.
        terms: classical terms on a lattice.
        integrator, protocol: of the run, whose memory counts, too.
        say: gets one line about the memory of a large run.

    Raises:
        ConfigError: the run does not fit into memory, or the field cannot be cut.
    """
    if cfg.compute.processes > 1:
        classical = terms(field.lattice)
        return divided(cfg, field if classical is None else field + classical, lattice)
    asked = None if str(cfg.compute.slabs) == "auto" else int(cfg.compute.slabs)
    slabs = asked or 1
    if lattice.n_sites * protocol.replicas > SMALL:
        chosen = _plan(field, lattice, integrator, protocol, asked)
        say(f"  {chosen}")
        slabs = chosen.slabs
    if slabs > 1:
        classical = terms(field.lattice)
        return SlabField(field if classical is None else field + classical, lattice, slabs)
    field.bind(lattice)
    classical = terms(lattice)
    return field if classical is None else field + classical


def divided(cfg: DictConfig, field: EffectiveField, lattice: Lattice) -> EffectiveField:
    """The field in a slab for each of ``compute.processes``; itself for one process.

    Raises:
        ConfigError: it cannot be cut, or the lattice has fewer rows than processes.
    """
    processes = int(cfg.compute.processes)
    return field if processes == 1 else SlabField(field, lattice, processes, "compute.processes")


def _plan(
    field: LearnedField | CommitteeField,
    lattice: Lattice,
    integrator: Integrator,
    protocol: Protocol,
    asked: int | None,
) -> Plan:
    try:
        halo = piece_of(field).halo
    except ConfigError:
        halo = None
    demand: Demand = demand_of(field)
    device = torch.device(field.device)
    state = state_bytes(integrator, protocol)
    return plan(lattice, protocol.replicas, state, demand, halo, free_memory(device), asked)
