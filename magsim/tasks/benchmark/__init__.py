"""task=benchmark: rates of labels, training and dynamics, with ratios measured in one run.

- :mod:`.timing` -- how a rate is measured, and on which machine,
- :mod:`.electrons` -- labels, and LLG with the exact and the learned field,
- :mod:`.training` -- samples per second of the training,
- :mod:`.classical` -- spin updates of a classical field, beside the ``spirit`` package,
- :mod:`.tables` -- tables, figures, report page.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig

from magsim.runs import Run, write_json
from magsim.tasks.benchmark import classical, electrons, tables, training
from magsim.tasks.benchmark.timing import machine
from magsim.tasks.build import torch_device


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=benchmark``: measure, print tables, write ``benchmark.json`` and ``report.html``.

    ``task.shapes`` are the lattices, ``task.seconds`` is spent on each measurement, lattices of more than
    ``task.exact_max_sites`` sites are not labelled exactly: their exact rates are extrapolated as N^-3 and
    marked so.

    Returns:
        flat metrics, one per rate and ratio.
    """
    device = str(torch_device(cfg))
    described = machine(device)
    run.headline("Benchmark")
    for line in tables.describe(described):
        run.say(f"  {line}")
    count = len(cfg.task.shapes)
    with run.progress("benchmark", 2 * count + 1 + classical.measurements(), "measurements") as bar:
        llg = electrons.measure(cfg, device, bar)
        samples = training.measure(cfg, device, bar)
        spins = classical.measure(float(cfg.task.seconds), device, bar)
    result = {
        "machine": described,
        "learned_field": electrons.learned_name(cfg),
        "seconds_per_measurement": float(cfg.task.seconds),
        "llg": [asdict(row) for row in llg],
        "training": asdict(samples),
        "classical": [asdict(row) for row in spins],
        "spirit": classical.spirit_version(),
    }
    write_json(run.folder / "benchmark.json", result)
    tables.show(cfg, run, described, llg, samples, spins)
    run.say(f"  {run.folder / 'benchmark.json'}")
    return {**electrons.metrics(llg), **training.metrics(samples), **classical.metrics(spins)}
