"""A network on invariants whose first layer is set by the conditions of its site."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from magsim.models.bp import ACTIVATIONS, SLOPES

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

    def forward(self, invariants: Tensor, conditions: Tensor) -> Tensor:
        """``(B, n, outputs)`` of invariants ``(B, n, K)`` and conditions ``(B or 1, X, C)`` of the X columns,
        n/X sites each."""
        x = self.first(invariants)
        if self.modulation is not None:
            by_column = x.unflatten(1, (conditions.shape[1], -1))
            scale, shift = self.modulation(conditions)[:, :, None].chunk(2, dim=-1)
            x = (by_column + by_column * scale + shift).flatten(1, 2)
        return self.rest(x)

    def gradients(
        self, raw: Tensor, mean: Tensor, factor: Tensor, conditions: Tensor, units: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Outputs, and their derivatives by invariants that are not normalised; both with a graph.

        Args:
            raw: ``(B, n, K)``, with a graph; the network takes ``(raw - mean) factor``.
            mean: ``(K,)``.
            factor: ``(B or 1, 1, K)``.
            conditions: ``(B or 1, X, C)`` of the columns, n/X sites each.
            units: ``(B or 1, 1, 1)`` by which the derivatives of each output are multiplied.

        Returns:
            ``(B, n, outputs)`` and ``(B, outputs, n, K)``.
        """
        with torch.enable_grad():
            answers = self((raw - mean) * factor, conditions)
            found = [
                torch.autograd.grad(answers[..., k].sum(), raw, create_graph=True)[0]
                for k in range(answers.shape[-1])
            ]
        return answers, torch.stack([u * slope for u, slope in zip(units, found, strict=True)], dim=1)

    @torch.no_grad()
    def slopes(
        self, raw: Tensor, mean: Tensor, factor: Tensor, conditions: Tensor, units: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The same without a graph, by hand; sites are the last axis of the memory, so that every step is a
        product of matrices or goes along rows."""
        weight = self.first.weight * factor
        x = weight @ raw.transpose(1, 2) + (self.first.bias[:, None] - weight @ mean[:, None])
        size, stretch = (conditions.shape[1], -1), None
        if self.modulation is not None:
            scale, shift = self.modulation(conditions).transpose(1, 2)[..., None].chunk(2, dim=1)
            stretch = 1 + scale
            x = torch.addcmul(shift, x.unflatten(2, size), stretch).flatten(2)
        passed = [x]
        for layer in self.rest:
            if isinstance(layer, nn.Linear):
                passed.append(layer.weight @ passed[-1] + layer.bias[:, None])
            else:
                passed.append(layer(passed[-1]))
        *layers, last = self.rest
        assert isinstance(last, nn.Linear)
        # back, (B, width, outputs, n)
        x = torch.stack(torch.broadcast_tensors(*units), dim=2) * last.weight.T[..., None]
        for layer, before, after in zip(layers[::-1], passed[-3::-1], passed[-2:0:-1], strict=True):
            if isinstance(layer, nn.Linear):
                x = (layer.weight.T @ x.flatten(2)).unflatten(2, x.shape[2:])
            else:
                x = x * SLOPES[type(layer)](torch.ones_like(before), before, after)[:, :, None]
        if stretch is not None:
            x = (x.unflatten(3, size) * stretch[:, :, None]).flatten(3)
        found = (weight.transpose(1, 2) @ x.flatten(2)).unflatten(2, x.shape[2:])
        return passed[-1].transpose(1, 2), found.permute(0, 2, 3, 1)
