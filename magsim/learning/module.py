"""The Lightning module: gradient descent on the torque, errors by source and class of state."""

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
from magsim.learning.losses import energy_loss, field_loss
from magsim.learning.soap import Soap
from magsim.models import Model
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
        energy_weight: of the energy in the loss, beside the torque's.
    """

    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: str = "cosine"
    warmup: int = 20
    total_steps: int = 1000
    gamma: float = 1.0
    optimizer: str = "adamw"
    energy_weight: float = 0.0

    def factor(self, step: int) -> float:
        """Learning rate over ``lr`` at a step."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        if self.schedule == "constant":
            return warm
        return warm * 0.5 * (1 + math.cos(math.pi * min(step / max(self.total_steps, 1), 1.0)))


class ForceFieldModule(pl.LightningModule):
    """Trains a :class:`~magsim.models.Model` on exact fields, and on energies where they have a weight.

    Logged: ``train/loss``, ``val/loss``, ``val/torque_error`` (transverse rmse over rms, the mean over
    sources: the monitor) and the same per source and class of state, ``val/torque_error/<source or state>``.
    What validation sums is summed over all processes.

    Args:
        model: what to train, with its statistics set.
        optimisation: how.
        sources: names of the first columns of ``batch["groups"]``.
        facts: stored in the checkpoint: what builds the model again, and where its data came from.
        states: names of its further columns: classes of state.
        energy_spread: see :func:`magsim.learning.losses.energy_loss`.

    Attributes:
        kept: exact and predicted torques ``(n, N, 3)`` of this validation; None: they are not kept.
    """

    def __init__(
        self,
        model: Model,
        optimisation: Optimisation,
        sources: tuple[str, ...],
        facts: Mapping[str, Any],
        states: tuple[str, ...] = (),
        energy_spread: float | None = None,
    ) -> None:
        super().__init__()
        self.model, self.optimisation, self.sources, self.states = model, optimisation, sources, states
        self.facts, self.energy_spread = dict(facts), energy_spread
        self.kept: list[tuple[Tensor, Tensor]] | None = None

    def loss(self, batch: Batch, energy: Tensor, field: Tensor) -> Tensor:
        """Of a prediction for a batch: the torque, and the energy differences if they have a weight."""
        o = self.optimisation
        loss = field_loss(field, batch["field"], batch["spins"], batch["weight"], o.gamma)
        if o.energy_weight:
            loss = loss + o.energy_weight * energy_loss(energy, batch["energy"], self.energy_spread or 1.0)
        return loss

    def predicted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Energies and fields of a batch, at its voltages if the model takes them."""
        return self.model(batch["spins"], **self.model.given(batch.get("voltage")))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = self.loss(batch, *self.predicted(batch))
        size = len(batch["spins"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        self.log("train/lr", rate, on_step=False, on_epoch=True, batch_size=1)
        return loss

    def on_validation_epoch_start(self) -> None:
        rows = len(self.sources) + len(self.states)
        self._squares = torch.zeros(rows, 2, device=self.device)
        self._losses = torch.zeros(2, device=self.device)  # their sum, their number

    def validation_step(self, batch: Batch, index: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # as the model will be used
            energy, field = self.predicted(batch)
        count = batch["groups"][:, : len(self.sources)].sum()  # every snapshot has one source
        loss = self.loss(batch, energy, field)
        self._losses = self._losses + torch.stack([count * loss, count])
        target = transverse(batch["field"], batch["spins"])
        error = transverse(field, batch["spins"]) - target
        pairs = torch.stack([error.pow(2).mean(dim=(1, 2)), target.pow(2).mean(dim=(1, 2))], dim=-1)
        self._squares = self._squares + batch["groups"].T @ pairs
        if self.kept is not None:
            self.kept.append((target.cpu(), (target + error).cpu()))

    def on_validation_epoch_end(self) -> None:
        total, count = self._everywhere(self._losses)
        squares = zip((*self.sources, *self.states), self._everywhere(self._squares), strict=True)
        errors = {name: (s[0] / s[1]).sqrt() for name, s in squares if s[1] != 0}
        for name, error in errors.items():
            if not torch.isfinite(error):
                raise RunError(
                    f"Training diverged in epoch {self.current_epoch + 1}: the error on {name} is "
                    f"{float(error)}. Earlier weights are kept; a smaller trainer.lr may help."
                )
        self.log("val/loss", total / count)
        for name, error in errors.items():
            self.log(f"val/torque_error/{name}", error)
        monitor = [error for name, error in errors.items() if name in self.sources]
        self.log("val/torque_error", torch.stack(monitor).mean())

    def _everywhere(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        return self.trainer.strategy.reduce(value, reduce_op="sum")

    def configure_optimizers(self) -> Any:
        o = self.optimisation
        kind: Any = OPTIMIZERS[o.optimizer]
        optimizer = kind(self.model.parameters(), lr=o.lr, weight_decay=o.weight_decay)
        # looked up at every step, so that a schedule that was shortened takes effect
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.optimisation.factor(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["magsim"] = {**self.facts, "total_steps": self.optimisation.total_steps}
