"""Memory of a run, predicted from small lattices before the large one is made."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from magsim.dynamics.committee import CommitteeField
from magsim.dynamics.effective_field import EffectiveField, LearnedField, SumField
from magsim.dynamics.integrators import Integrator
from magsim.dynamics.minimise import MEMORY
from magsim.dynamics.protocols import Protocol
from magsim.errors import ConfigError
from magsim.lattice import Cut, Lattice
from magsim.models.energy import PART_BYTES

ARRAY = 24.0  # bytes a site of spins or of a field
RECORDING = 12 * ARRAY  # a frame on its way to the disk, and Fourier transforms of observables
CLASSICAL = 6 * ARRAY  # fields of shells and neighbours' spins
UNKNOWN = 24 * ARRAY  # work of an integrator that cannot be tried without its field
PROBES = (1500, 3000)  # sites
CAREFUL = 0.8  # of the free memory
GIB = 2.0**30


class Peak(TorchDispatchMode):
    """The largest number of bytes that tensors made inside of it occupied at once.

    Attributes:
        bytes: that number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        known = self._alive | {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            if storage._cdata not in known:  # else a view, or written in place
                self._take(storage)
        return result

    def _take(self, storage: torch.UntypedStorage) -> None:
        self._alive.add(storage._cdata)
        self._now += storage.nbytes()
        self.bytes = max(self.bytes, self._now)
        weakref.finalize(storage, self._release, storage._cdata, storage.nbytes())

    def _release(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self._now -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
    return [tensor.untyped_storage() for tensor in tensors if tensor.layout == torch.strided]


@dataclass(frozen=True)
class Demand:
    """Bytes that a field needs.

    Attributes:
        tables: for each site of the lattice or window it is bound to.
        work: for each site and replica that is evaluated.
        fixed: whatever the size.
    """

    tables: float
    work: float
    fixed: float = 0.0

    def of(self, sites: int, replicas: int) -> float:
        """Bytes on a lattice or window."""
        return self.fixed + sites * (self.tables + replicas * self.work)


def demand_of(field: EffectiveField) -> Demand:
    """What evaluating a field needs, from trials on small lattices of the same crystal, on the CPU.

    Tables and the arrays that hold all sites grow with the lattice: what is between two trials tells how
    much. What models do part by part stays the same.
    """
    if isinstance(field, LearnedField):
        return _of_learned(field)
    if isinstance(field, CommitteeField):
        parts = [_of_learned(member) for member in field.members]
    elif isinstance(field, SumField):
        parts = [demand_of(term) for term in field.terms]
    else:
        return Demand(0.0, CLASSICAL)
    return Demand(
        sum(part.tables for part in parts),
        max(part.work for part in parts),
        max(part.fixed for part in parts),
    )


def _of_learned(field: LearnedField) -> Demand:
    lattice = field.lattice
    trial = LearnedField(copy.deepcopy(field.model).cpu())
    if trial.takes_voltage:
        trial.set_voltage(0.0)
    sizes, tables, work = [], [], []
    for sites in PROBES:
        small = _probe(lattice, sites)
        trial.bind(small)
        spins = torch.zeros(1, small.n_sites, 3, dtype=torch.float64)
        spins[..., 2] = 1.0
        with Peak() as peak:
            trial(spins)
        sizes.append(small.n_sites)
        tables.append(sum(buffer.nbytes for buffer in trial.model.buffers()))
        work.append(peak.bytes)
    more = sizes[1] - sizes[0]
    fixed = max(float(PART_BYTES.get(field.device.type, 0)), work[0] / 2)
    return Demand((tables[1] - tables[0]) / more, max((work[1] - work[0]) / more, ARRAY), fixed)


def _probe(lattice: Lattice, sites: int) -> Lattice:
    """A lattice of about so many sites, longest along the first axis."""
    side = max(4, round((sites / lattice.n_basis) ** (1 / lattice.dim)))
    across = [side] * (lattice.dim - 1)
    return lattice.with_shape([max(4, round(sites / lattice.n_basis / math.prod(across))), *across])


def state_bytes(integrator: Integrator, protocol: Protocol) -> float:
    """Bytes a site and replica of the state of a run: spins, field, what a step works with, recording."""
    if protocol.minimiser is not None:
        return RECORDING + (2 * MEMORY + 16) * ARRAY
    sites = 2048
    spins = torch.zeros(1, sites, 3, dtype=torch.float64)
    spins[..., 2] = 1.0
    force = torch.zeros_like(spins)
    with Peak() as peak:
        try:
            integrator.step(lambda s: (s.new_zeros(1), force), spins, force, torch.zeros_like(force))
        except ConfigError:  # one that is made for certain fields
            return RECORDING + 2 * ARRAY + UNKNOWN
    return RECORDING + 2 * ARRAY + peak.bytes / sites


def free_memory(device: torch.device) -> float:
    """Bytes that are free, of this machine or of the GPU; infinite where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return 1024.0 * float(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return math.inf


@dataclass(frozen=True)
class Plan:
    """How a field is evaluated, and the bytes that the run needs then."""

    slabs: int
    needed: float
    available: float
    per_site: float

    def __str__(self) -> str:
        cut = f", field in {self.slabs} slabs" if self.slabs > 1 else ""
        return (
            f"memory about {self.needed / GIB:.2g} GiB ({self.per_site:.0f} bytes a spin{cut}), "
            f"{self.available / GIB:.3g} GiB free"
        )


def plan(
    lattice: Lattice,
    replicas: int,
    state: float,
    demand: Demand,
    halo: int | None,
    available: float,
    slabs: int | None = None,
) -> Plan:
    """The fewest slabs with which a run fits.

    Args:
        state: bytes a site and replica, see :func:`state_bytes`.
        demand: of the field.
        halo: rows around a slab; None: the field cannot be cut.
        available: bytes that are free.
        slabs: as many; None: as few as fit into 0.8 of the free memory.

    Raises:
        ConfigError: it does not fit, in however many slabs.
    """
    base = state * lattice.n_sites * replicas

    def needs(n: int) -> float:
        sites = lattice.n_sites if n == 1 or halo is None else Cut(lattice, n, halo).window.n_sites
        return base + demand.of(sites, replicas)

    rows = lattice.shape[0]
    if slabs is not None:
        choices = [slabs]
    elif halo is None:
        choices = [1]
    else:
        choices = sorted({1, *(min(2**k, rows) for k in range(1, rows.bit_length() + 1))})
    fitting = [n for n in choices if needs(n) <= CAREFUL * available]
    if not fitting:
        least = min(choices, key=needs)
        raise ConfigError(
            "lattice.shape",
            list(lattice.shape),
            f"{replicas} times {lattice.n_sites} spins need about {needs(least) / GIB:.3g} GiB "
            f"({'in slabs' if least > 1 else 'at once'}) and {available / GIB:.3g} GiB are free; fewer "
            "replicas, compute.slabs or compute.processes need less.",
        )
    chosen = fitting[0]
    total = needs(chosen)
    return Plan(chosen, total, available, total / (lattice.n_sites * replicas))
