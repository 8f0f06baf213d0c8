"""A network on invariants whose first layer is set by the conditions of its site."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from magsim.models.bp import ACTIVATIONS

WIDTH = 24  # of the layer between conditions and the first layer


class ConditionedNetwork(nn.Module):
    """``MLP(q; c)`` with first layer ``a((W q + b) (1 + s(c)) + t(c))``: scale and shift of every unit depend
    on the conditions (Perez et al., arXiv:1709.07871).

    Args:
        inputs: K.
        conditions: C; 0: a plain MLP.
        hidden: widths of the hidden layers.
        outputs: numbers that a site gives.
        activation: one of ``ACTIVATIONS``.
        start: standard deviation of the outputs of the last layer at the start, about.
    """

    def __init__(
        self,
        inputs: int,
        conditions: int,
        hidden: Sequence[int],
        outputs: int,
        activation: str,
        start: float = 0.1,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden[0])
        self.modulation: nn.Module | None = None
        if conditions:
            last = nn.Linear(WIDTH, 2 * hidden[0])
            nn.init.normal_(last.weight, std=0.3 / WIDTH**0.5)
            nn.init.zeros_(last.bias)
            self.modulation = nn.Sequential(nn.Linear(conditions, WIDTH), nn.Tanh(), last)
        layers: list[nn.Module] = [ACTIVATIONS[activation]()]
        for width, wider in pairwise(hidden):
            layers += [nn.Linear(width, wider), ACTIVATIONS[activation]()]
        final = nn.Linear(hidden[-1], outputs)
        nn.init.normal_(final.weight, std=start / hidden[-1] ** 0.5)
        nn.init.zeros_(final.bias)
        self.rest = nn.Sequential(*layers, final)

    def forward(self, invariants: Tensor, conditions: Tensor, column: Tensor) -> Tensor:
        """``(B, n, outputs)`` of invariants ``(B, n, K)``, conditions ``(B or 1, X, C)`` of the columns and
        the column ``(n,)`` of each site."""
        x = self.first(invariants)
        if self.modulation is not None:
            scale, shift = self.modulation(conditions).index_select(1, column).chunk(2, dim=-1)
            x = x + x * scale + shift
        return self.rest(x)

    def gradients(
        self, invariants: Tensor, conditions: Tensor, column: Tensor, graph: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Outputs ``(B, n, outputs)``, and for each of them its derivatives ``(B, n, K)`` by the invariants.

        Args:
            graph: whether both can be differentiated by the weights; and by the invariants, if these have a
                graph.
        """
        with torch.enable_grad():
            leaf = invariants if graph and invariants.requires_grad else invariants.detach()
            leaf = leaf if leaf.requires_grad else leaf.requires_grad_(True)
            answers = self(leaf, conditions, column)
            found = [
                torch.autograd.grad(answers[..., k].sum(), leaf, create_graph=graph, retain_graph=True)[0]
                for k in range(answers.shape[-1])
            ]
        return (answers, found) if graph else (answers.detach(), found)
