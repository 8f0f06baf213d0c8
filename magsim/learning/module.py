"""Lightning modules: gradient descent on the torque, and the closed form of the linear model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from magsim.errors import RunError
from magsim.learning.data import Batch
from magsim.learning.losses import field_loss
from magsim.learning.soap import Soap
from magsim.models import LinearModel, Model
from magsim.models.linear import tangent_frame
from magsim.spins import transverse

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adamw": torch.optim.AdamW, "soap": Soap}


@dataclass(frozen=True)
class Optimisation:
    """How weights are optimised.

    Attributes:
        lr: peak learning rate.
        weight_decay: decoupled, per step and learning rate.
        schedule: ``cosine`` (to zero at ``total_steps``) or ``constant``.
        warmup: steps of linear warm-up.
        total_steps: length of the schedule.
        gamma: weight of the torque in the loss.
        optimizer: one of :data:`OPTIMIZERS`.
    """

    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: str = "cosine"
    warmup: int = 20
    total_steps: int = 1000
    gamma: float = 1.0
    optimizer: str = "adamw"

    def factor(self, step: int) -> float:
        """Learning rate over ``lr`` at a step."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        if self.schedule == "constant":
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * min(step / max(self.total_steps, 1), 1.0)))


class ForceFieldModule(pl.LightningModule):
    """Trains an :class:`~magsim.models.Model` on exact fields.

    Logged: ``train/loss``, ``val/loss``, ``val/torque_error`` (transverse rmse over rms, the mean over
    sources: the monitor) and the same per source and class of state, ``val/torque_error/<source or state>``.

    Args:
        model: what to train, with its statistics set.
        optimisation: how.
        sources: names of the first columns of ``batch["groups"]``.
        facts: stored in the checkpoint: what builds the model again, and where its data came from.
        states: names of its further columns: classes of state.
    """

    def __init__(
        self,
        model: Model,
        optimisation: Optimisation,
        sources: tuple[str, ...],
        facts: Mapping[str, Any],
        states: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.model, self.optimisation, self.sources, self.states = model, optimisation, sources, states
        self.facts = dict(facts)
        self._squares = torch.zeros(())

    def training_step(self, batch: Batch, index: int) -> Tensor:
        _, field = self.model(batch["spins"])
        loss = field_loss(field, batch["field"], batch["spins"], batch["weight"], self.optimisation.gamma)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["spins"]))
        self.log("train/lr", self.optimizers().param_groups[0]["lr"], on_step=False, on_epoch=True)  # type: ignore[union-attr]
        return loss

    def on_validation_epoch_start(self) -> None:
        self._squares = torch.zeros(len(self.sources) + len(self.states), 2, device=self.device)

    def validation_step(self, batch: Batch, index: int) -> None:
        _, field = self.model(batch["spins"])
        loss = field_loss(field, batch["field"], batch["spins"], batch["weight"], self.optimisation.gamma)
        self.log("val/loss", loss, batch_size=len(batch["spins"]))
        target = transverse(batch["field"], batch["spins"])
        error = transverse(field, batch["spins"]) - target
        pairs = torch.stack([error.pow(2).mean(dim=(1, 2)), target.pow(2).mean(dim=(1, 2))], dim=-1)
        self._squares = self._squares + batch["groups"].T @ pairs

    def on_validation_epoch_end(self) -> None:
        squares = dict(zip((*self.sources, *self.states), self._squares, strict=True))
        errors = {name: (s[0] / s[1]).sqrt() for name, s in squares.items() if s[1] != 0}
        for name, error in errors.items():
            if not torch.isfinite(error):
                raise RunError(
                    f"Training diverged in epoch {self.current_epoch + 1}: the error on {name} is "
                    f"{float(error)}. Earlier weights are kept; a smaller trainer.lr may help."
                )
        for name, error in errors.items():
            self.log(f"val/torque_error/{name}", error)
        monitor = [error for name, error in errors.items() if name in self.sources]
        self.log("val/torque_error", torch.stack(monitor).mean())

    def configure_optimizers(self) -> Any:
        o = self.optimisation
        kind: Any = OPTIMIZERS[o.optimizer]
        optimizer = kind(self.model.parameters(), lr=o.lr, weight_decay=o.weight_decay)
        # looked up at every step, so that a schedule that was shortened takes effect
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.optimisation.factor(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["magsim"] = {**self.facts, "total_steps": self.optimisation.total_steps}


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
