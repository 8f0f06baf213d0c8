"""task=benchmark: rates of labels, training and dynamics, with ratios measured in one run.

Each of ``task.parts`` is a module:

- :mod:`.labelers` -- exact labels by Green's functions beside LAPACK, and the rates for ``labeler=auto``,
- :mod:`.kpm` -- Chebyshev moments beside scipy and kwant,
- :mod:`.driven` -- labels out of equilibrium, beside dense inversion (part ``negf``),
- :mod:`.probing` -- how the error of Chebyshev labels falls with the number of their probes,
- :mod:`.electrons` -- labels, and LLG with the exact and the learned field (part ``llg``),
- :mod:`.models` -- cost of learned fields, beside the published equivariant network on ``e3nn``,
- :mod:`.training` -- samples per second of the training,
- :mod:`.classical` -- spin updates of a classical field, beside the ``spirit`` package,

and three for a GPU (they run on a CPU, too, on smaller lattices):

- :mod:`.updates` -- spin updates of classical fields on a large lattice,
- :mod:`.zoo_fields` -- the zoo on a large lattice, and a step beside an exact one (part ``fields``),
- :mod:`.label_rates` -- labels per second on the device and on the processor (part ``labels``).

:mod:`.part` says what a part is, :mod:`.timing` how a rate is measured, and on which machine;
:mod:`.page` shows the results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig

from magsim.runs import Run, write_json
from magsim.tasks.benchmark import (
    classical,
    driven,
    electrons,
    kpm,
    label_rates,
    labelers,
    models,
    page,
    probing,
    training,
    updates,
    zoo_fields,
)
from magsim.tasks.benchmark.part import Part
from magsim.tasks.benchmark.timing import machine
from magsim.tasks.build import torch_device

PARTS: dict[str, Part] = {
    "labelers": labelers,
    "kpm": kpm,
    "probing": probing,
    "llg": electrons,
    "models": models,
    "training": training,
    "classical": classical,
    "negf": driven,
    "updates": updates,
    "fields": zoo_fields,
    "labels": label_rates,
}


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=benchmark``: measure, print tables, write ``benchmark.json`` and ``report.html``.

    ``task.shapes`` are the lattices of the dynamics, ``task.label_shapes`` those of single labels;
    ``task.seconds`` is spent on each measurement. Lattices of more than ``task.exact_max_sites`` sites are
    not labelled exactly in the dynamics: their rates are extrapolated as N^-3 and marked so.

    Returns:
        flat metrics, one per rate and ratio.
    """
    device = str(torch_device(cfg))
    described = machine(device)
    run.headline("Benchmark")
    for line in page.describe(described):
        run.say(f"  {line}")
    parts = {name: PARTS[name] for name in cfg.task.parts}
    found: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    with run.progress("benchmark", sum(part.count(cfg) for part in parts.values()), "measurements") as bar:
        for name, part in parts.items():
            measured = part.measure(cfg, device, bar)
            # a part that takes long yields its result whenever it has grown: a run that is killed leaves it
            for result in measured if isinstance(measured, Iterator) else (measured,):
                found[name] = result
                write_json(run.folder / "benchmark.json", _stored(cfg, described, found))
            metrics |= part.metrics(found[name])
    page.show(cfg, run, described, parts, found)
    run.say(f"  {run.folder / 'benchmark.json'}")
    return metrics


def _stored(cfg: DictConfig, described: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What ``benchmark.json`` holds."""
    plain = {
        name: [asdict(row) for row in result] if isinstance(result, list) else asdict(result)
        for name, result in found.items()
    }
    return {
        "machine": described,
        "seconds_per_measurement": float(cfg.task.seconds),
        "learned_field": electrons.learned_name(cfg) if "llg" in found else None,
        "spirit": classical.spirit_version() if "classical" in found else None,
        **plain,
    }
