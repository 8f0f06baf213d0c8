"""The table of learned fields and what they cost."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from magsim.report.page import Metric, Section, Table
from magsim.runs import Run
from magsim.tasks.benchmark import models


def section(cfg: DictConfig, run: Run, result: models.Result) -> Section:
    """For the report page."""
    return Section(
        "Learned fields",
        f"Energy and field of one replica, {result.precision}, all cores, the fastest of several "
        "evaluations. Published: the equivariant network of arXiv:2305.03804 "
        f"({result.published}); merged: with all neighbours in one product. Of bandwidth: share of the "
        f"rate of a copy ({result.limits.bandwidth / 1e9:.3g} GB/s), counting what every kernel reads "
        "and writes, above 1 where caches serve. Of arithmetic: share of the rate of matrix products "
        f"({result.limits.operations / 1e9:.3g} Gflop/s, float32), counting dense products alone.",
        tables=(_table(result.rows),),
    )


def cards(result: models.Result) -> list[Metric]:
    """How much cheaper each model is."""
    return [
        Metric(f"published over {row.name}, {row.sites} sites", row.ratio)
        for row in result.rows
        if row.ratio is not None and not row.name.startswith(models.PUBLISHED)
    ]


def _table(rows: Sequence[models.Row]) -> Table:
    columns = (
        "model",
        "weights",
        "sites",
        "µs/site",
        "10⁶ sites/s",
        "published/model",
        "of bandwidth",
        "of arithmetic",
    )
    cells = [
        [r.name, r.weights, r.sites, r.microseconds, 1 / r.microseconds, r.ratio, r.bandwidth, r.arithmetic]
        for r in rows
    ]
    return Table(columns, cells, "Learned fields: energy and field")
