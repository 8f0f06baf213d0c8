"""Averaged weights: what is validated and saved in place of those that the optimiser moves."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, WeightAveraging

from magsim.learning.module import ForceFieldModule


class TailAverage(WeightAveraging):
    """Mean of the weights after all steps since a fraction ``start`` of them; before, those of the last step.

    Source: Izmailov et al., Averaging weights leads to wider optima and better generalization (SWA),
    arXiv:1803.05407; here after every step and without a learning rate of its own.
    """

    def __init__(self, start: float) -> None:
        super().__init__(use_buffers=False)
        self._start = start

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object, **more: object
    ) -> None:
        assert self._average_model is not None
        assert isinstance(pl_module, ForceFieldModule)
        if trainer.global_step - 1 <= self._start * pl_module.optimisation.total_steps:
            self._average_model.n_averaged.zero_()  # these weights replace the average
        super().on_train_batch_end(trainer, pl_module, *args, **more)  # type: ignore[arg-type]


def weight_average(kind: str, decay: float, start: float) -> list[Callback]:
    """The callback of an average, if there is one.

    Args:
        kind: ``ema``: ``A <- decay A + (1 - decay) W`` after every step; ``swa``: :class:`TailAverage`;
            ``none``.
        decay: of ``ema``.
        start: of ``swa``.
    """
    if kind == "ema":
        return [EMAWeightAveraging(use_buffers=False, decay=decay)]
    return [TailAverage(start)] if kind == "swa" else []
