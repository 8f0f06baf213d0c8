"""A model as one graph of elementary operations, energy and field together, without its Python code.

The field is a gradient: automatic differentiation runs while the graph is recorded, so that what is recorded
holds both answers and nothing of autograd. Such a graph can be compiled, exported and run elsewhere.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from magsim.models.base import Model
from magsim.spins import random_spins, transverse

# Replicas that are recorded with. A size that is met elsewhere in the model would be taken for that one.
EXAMPLES = (37, 41)


def field_graph(model: Model, replicas: int | None = None) -> GraphModule:
    """``graph(spins (B, N, 3)) -> (energy (B,), transverse field (B, N, 3))``; of a model that takes a bias
    ``graph(spins, voltage (B,))``.

    N, precision and device are those of the model, whose weights and neighbours become constants of the
    graph; it is as the model is now, and is not changed by it.

    Args:
        model: bound to the lattice.
        replicas: B; None: any, which takes longer to record.
    """

    def answer(spins: Tensor, *voltage: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            energy, field = model(spins, *voltage)
        return energy.detach(), transverse(field, spins).detach()

    training = model.training
    given = examples(model, replicas)
    mode: Literal["symbolic", "fake"] = "symbolic" if replicas is None else "fake"
    try:
        with model.recorded():
            graph = make_fx(answer, tracing_mode=mode, _allow_non_fake_inputs=True)(*given)
    finally:
        model.train(training)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph.requires_grad_(False)


def examples(model: Model, replicas: int | None = None) -> tuple[Tensor, ...]:
    """Random spins ``(B, N, 3)`` as the model takes them, and a bias if it takes one, to record or export
    with."""
    n = model.lattice.n_sites
    replicas = replicas or next(size for size in EXAMPLES if size != n)
    spins = random_spins(n, np.random.default_rng(0), (replicas,))
    made = torch.from_numpy(spins).to(model.energy_scale)
    return (made, made.new_ones(replicas)) if model.takes_voltage else (made,)
