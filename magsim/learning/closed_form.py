"""The closed form of the linear model as a Lightning module of one epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from magsim.learning.data import Batch
from magsim.learning.module import ForceFieldModule, Optimisation
from magsim.models import LinearModel
from magsim.models.linear import tangent_frame


class ClosedFormModule(ForceFieldModule):
    """Ridge regression of the torque for :class:`~magsim.models.LinearModel`: one pass, one solve,

        w = (A^T W A + ridge tr(A^T W A)/K)^-1 A^T W F ,

    A = transverse field per unit weight, W = snapshot weights.

    Args:
        ridge: regularisation relative to the mean eigenvalue of the normal matrix.
    """

    model: LinearModel

    def __init__(
        self,
        model: LinearModel,
        ridge: float,
        sources: tuple[str, ...],
        facts: Mapping[str, Any],
        states: tuple[str, ...] = (),
    ) -> None:
        super().__init__(model, Optimisation(), sources, facts, states)
        self.automatic_optimization = False
        self.ridge = ridge
        k = model.n_features
        # normal equations in float64: their condition number is the square of the design's
        self._normal = torch.zeros(k, k, dtype=torch.float64)
        self._target = torch.zeros(k, dtype=torch.float64)

    def training_step(self, batch: Batch, index: int) -> None:  # type: ignore[override]
        spins = batch["spins"]
        design = self.model.design(spins)
        target = torch.einsum("bnac,bnc->bna", tangent_frame(spins), batch["field"])
        root = batch["weight"].sqrt()[:, None, None]
        rows = (design * root[..., None]).flatten(0, 2)
        # products of one batch in its own precision, their sum in float64
        self._normal += (rows.T @ rows).double().cpu()
        self._target += (rows.T @ (target * root).flatten()).double().cpu()

    def on_validation_epoch_start(self) -> None:
        """Solve before the answer is validated."""
        super().on_validation_epoch_start()
        self.solve()

    def on_train_epoch_end(self) -> None:
        """Again, for a training without validation."""
        self.solve()

    def solve(self) -> None:
        """Weights from the normal equations, once all batches of the only epoch are in."""
        k = len(self._target)
        matrix = self._normal + self.ridge * self._normal.diagonal().mean() * torch.eye(
            k, dtype=torch.float64
        )
        weight = torch.linalg.solve(matrix, self._target)
        self.model.weight.data.copy_(weight)

    def configure_optimizers(self) -> None:
        return None
