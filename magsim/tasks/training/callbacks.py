"""Lightning callbacks that talk to the run: progress, parity, a time budget that keeps the schedule whole.

With several processes the first one talks, and decides for all.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from magsim.learning.module import ForceFieldModule
from magsim.runs import Run, seconds


class Progress(Callback):
    """A progress bar over all batches of all epochs, with the current errors."""

    def __init__(self, run: Run, epochs: int) -> None:
        self._run, self._epochs = run, epochs

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        batches = int(trainer.num_training_batches)
        total = self._epochs * batches
        self._shown: dict[str, float] = {}
        self._bar = self._run.progress(
            "train", total, "steps", done=trainer.current_epoch * batches
        ).__enter__()

    @rank_zero_only
    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
        self._bar.total = (trainer.max_epochs or self._epochs) * int(trainer.num_training_batches)
        self._bar.advance(1, epoch=trainer.current_epoch + 1, **self._shown)

    @rank_zero_only
    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Errors change here alone; to look at them makes a GPU wait."""
        self._shown = {
            "torque error " + name.rpartition("/")[2]: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/torque_error/")
        }

    @rank_zero_only
    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._bar.__exit__(None, None, None)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_bar"):
            self._bar.__exit__(type(exception), exception, None)


class EpochBudget(Callback):
    """Shortens the training, and its learning-rate schedule with it, if it would not end in time.

    Without it a slow machine would cut the schedule where the learning rate is still high. Every epoch the
    plan is made again, up to the epochs that were asked for. On a machine that is fast enough nothing
    changes, and equal seeds give equal results.

    Args:
        run: is told when the plan changes.
        budget: seconds for this session.
    """

    def __init__(self, run: Run, budget: float) -> None:
        self._run, self._budget = run, budget

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._start, self._first_epoch = time.monotonic(), trainer.current_epoch
        self._asked = trainer.max_epochs or 1

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        elapsed = time.monotonic() - self._start
        done = trainer.current_epoch + 1 - self._first_epoch
        affordable = self._first_epoch + max(done, int(self._budget / elapsed * done))
        planned = trainer.max_epochs
        plan = int(trainer.strategy.broadcast(min(self._asked, affordable)))
        if plan == planned:
            return
        self._run.say(
            f"  {plan} of {self._asked} epochs fit into trainer.max_minutes={self._budget / 60:g} at "
            f"{seconds(elapsed / done)} each (planned before: {planned})"
        )
        trainer.fit_loop.max_epochs = plan
        steps = plan * int(trainer.num_training_batches)
        module.optimisation = replace(module.optimisation, total_steps=steps)  # type: ignore[type-var]


class Parity(Callback):
    """Every so many epochs a figure of predicted against exact torques of the validation part.

    ``parity.png`` in the run folder is the newest one; the logger keeps them all. Of several processes the
    first shows its share.

    Args:
        run: takes the figure.
        every: epochs.
    """

    def __init__(self, run: Run, every: int) -> None:
        self._run, self._every = run, every

    @rank_zero_only
    def on_validation_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, ForceFieldModule)
        module.kept = [] if (trainer.current_epoch + 1) % self._every == 0 else None

    @rank_zero_only
    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        from magsim.report.figures import torque_parity

        assert isinstance(module, ForceFieldModule)
        if not module.kept:
            return
        exact, predicted = (torch.cat(part).numpy() for part in zip(*module.kept, strict=True))
        title = f"validation, epoch {trainer.current_epoch + 1}"
        path = torque_parity(self._run.folder / "parity.png", {title: (exact, predicted)})
        self._run.image("parity", path, title)
        module.kept = None
