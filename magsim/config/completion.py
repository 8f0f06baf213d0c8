"""Values that follow from others where the configuration leaves them open."""

from __future__ import annotations

from omegaconf import DictConfig

LARGE = 4  # side of the pipeline's large lattice over that of the training lattice


def complete(cfg: DictConfig) -> DictConfig:
    """Fill in, in place, what null stands for: ``task.large_shape`` is four times ``lattice.shape``.

    Call it after :func:`~magsim.config.check`; the run folder then stores the numbers that were used.
    """
    if cfg.task.name == "pipeline" and cfg.task.large_shape is None:
        cfg.task.large_shape = [LARGE * n for n in cfg.lattice.shape]
    return cfg
