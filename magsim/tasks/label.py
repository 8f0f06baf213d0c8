"""Exact labels for the configurations of a sampler, in a dataset that is made once."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.dynamics import ClassicalField
from magsim.errors import ConfigError, RunError
from magsim.labelers import Labeler, Labels
from magsim.learning.dataset import FORMAT_VERSION, UNITS, SpinDataset
from magsim.learning.store import open_dataset
from magsim.learning.writer import DatasetWriter, open_writer
from magsim.runs import Run, dataset_folder, seconds
from magsim.samplers import Sampler, SpinBatch
from magsim.spins import transverse
from magsim.tasks.build import (
    build_classical,
    build_labeler,
    build_lattice,
    build_sampler,
    labeler_device,
    plain,
)
from magsim.tasks.lock import exclusive

KEY_DIGITS = 16
BATCH = {"cpu": 16, "cuda": 64}  # snapshots per commit unless labeler.batch_size says


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """``task=label``: make the dataset (or find that it exists) and describe it.

    Returns:
        final metrics, see :func:`describe`.
    """
    path = Path(cfg.output).expanduser() if cfg.output else None
    dataset = label(cfg, run, path, learnable=False)  # energies of ordered states are wanted too
    metrics = describe(dataset)
    for line in table(metrics, dataset.sources):
        run.say(line)
    draw(dataset, run)
    run.artifact("dataset", dataset.path, dataset.content_hash)
    return metrics


def label(cfg: DictConfig, run: Run, path: Path | None = None, *, learnable: bool = True) -> SpinDataset:
    """The dataset that a configuration describes: reused if complete, resumed if unfinished, else made.

    Args:
        cfg: lattice, hamiltonian, labeler, sampler, classical, compute and seed are read.
        run: for progress.
        path: where to put it; None: ``outputs/datasets/<key>``.
        learnable: whether something is to be learned from it, see
            :func:`magsim.learning.validation.check_learnable`.

    Raises:
        ConfigError, DataError: the configurations do not fit, or ``path`` holds something else.
        RunError: a label is not finite, or the dynamics failed.
    """
    if path is not None and path.suffix == ".npz":
        raise ConfigError("output", str(path), "a dataset is a folder (a Zarr store), e.g. labels.zarr.")
    lattice = build_lattice(cfg)
    sampler = build_sampler(cfg)
    sampler.check(lattice)
    classical = build_classical(cfg, lattice) if sampler.uses_dynamics else None
    key = dataset_key(cfg, sampler, classical)
    path = (path or dataset_folder(key[:KEY_DIGITS])).resolve()
    with exclusive(path, lambda: run.say(f"Another job is labelling {path}; waiting for it.")):
        writer = open_writer(
            path,
            key=key,
            n_sites=lattice.n_sites,
            lattice={"name": lattice.name, "shape": list(lattice.shape), "boundary": list(lattice.boundary)},
            sources=sampler.sources,
            config=plain(cfg),
            units={**UNITS, "energy": energy_unit(cfg)},
        )
        if writer.complete:
            run.say(f"Dataset {path} exists: {len(writer)} snapshots are reused.")
            run.summary({"label/reused": True})
        else:
            if len(writer):
                run.say(
                    f"Dataset {path} is unfinished: resuming after {len(writer)} of {len(sampler)} snapshots."
                )
            labeler = _Counting(build_labeler(cfg, lattice))
            _fill(writer, cfg, sampler, labeler, classical, run)
            writer.finish()
    return open_dataset(path, learnable=learnable)


def dataset_key(cfg: DictConfig, sampler: Sampler, classical: ClassicalField | None) -> str:
    """sha256 of everything that determines the content of a dataset, and of nothing else.

    Device, batch size and threads are not in it; the seed is not if the configurations come from a file,
    which enters by its content; classical terms are only if the configurations come from the dynamics.
    """
    fingerprint = sampler.fingerprint()
    labeler = build_labeler(cfg)
    content = {
        "format_version": FORMAT_VERSION,
        "lattice": plain(cfg.lattice),
        "hamiltonian": {k: v for k, v in plain(cfg.hamiltonian).items() if k != "name"},
        "kind": type(labeler.hamiltonian).__name__,
        "labeler": labeler.identity(),
        "sampler": plain(cfg.sampler) if fingerprint is None else fingerprint,
        "seed": int(cfg.seed) if fingerprint is None else None,
        "classical": plain(cfg.classical) if classical is not None else None,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def energy_unit(cfg: DictConfig) -> str:
    """What ``energy`` is: it depends on the ensemble."""
    what = "grand potential Omega" if cfg.hamiltonian.mu is not None else "free energy F = Omega + mu N_e"
    return f"t, total of the lattice, {what}"


def _fill(
    writer: DatasetWriter,
    cfg: DictConfig,
    sampler: Sampler,
    labeler: _Counting,
    classical: ClassicalField | None,
    run: Run,
) -> None:
    """Label what is missing, one commit for each batch."""
    batches = sampler.batches(
        build_lattice(cfg),
        labeler,
        int(cfg.seed),
        batch_size=cfg.labeler.batch_size or BATCH[labeler_device(cfg)],
        start=len(writer),
        recorded=writer.spins,
        classical=classical,
    )
    start = time.monotonic()
    with run.progress("label", len(sampler), "snapshots", done=len(writer)) as bar:
        for batch in batches:
            labels = batch.labels or labeler.label(batch.spins)
            if batch.dt is not None and writer.attributes.get("dt") is None:
                writer.note(dt=batch.dt)
            _append(writer, batch, labels, sampler.sources.index(batch.source))
            torque = _rms(transverse(labels.field, batch.spins))
            bar.advance(len(batch), source=batch.source, torque=torque)
            run.log({"label/snapshots": len(writer), f"label/rms_torque_{batch.source}": torque}, len(writer))
    elapsed = max(time.monotonic() - start, 1e-9)
    run.say(f"  {labeler.count} exact solutions, {labeler.count / elapsed:.3g}/s, in {seconds(elapsed)}")
    run.summary(
        {"label/labels_per_second": labeler.count / elapsed, "label/seconds": elapsed, "label/reused": False}
    )


def _append(writer: DatasetWriter, batch: SpinBatch, labels: Labels, source: int) -> None:
    count = len(batch)
    known = {name: getattr(labels, name) for name in ("energy", "field", "density", "mu", "error")}
    known = {name: values for name, values in known.items() if values is not None}
    for name, values in {**known, **labels.extra}.items():
        bad = ~np.isfinite(values).reshape(count, -1).all(axis=1)
        if bad.any():
            raise RunError(f"the {name} of snapshot {len(writer) + int(bad.argmax())} is not finite.")
    if len(writer) == 0:
        writer.note(method=labels.method)
    writer.append(
        extra=labels.extra,
        **known,
        spins=batch.spins,
        wall_time=np.full(count, labels.wall_time / count),
        trajectory=batch.trajectory,
        step=batch.step,
        source=np.full(count, source),
    )


def describe(dataset: SpinDataset) -> dict[str, Any]:
    """Flat metrics of a dataset: sizes, hashes, rms field and torque per component, by source, and error."""
    torque = transverse(dataset.field, dataset.spins)
    metrics: dict[str, Any] = {
        "label/snapshots": len(dataset),
        "label/sites": dataset.n_sites,
        "label/path": str(dataset.path),
        "label/key": dataset.key,
        "label/content_hash": dataset.content_hash,
        "label/rms_field": _rms(dataset.field),
        "label/rms_torque": _rms(torque),
    }
    if dataset.error is not None:
        metrics["label/max_error"] = float(dataset.error.max())
    for code, name in enumerate(dataset.sources):
        mine = dataset.source == code
        if mine.any():
            metrics[f"label/snapshots_{name}"] = int(mine.sum())
            metrics[f"label/trajectories_{name}"] = len(np.unique(dataset.trajectory[mine]))
            metrics[f"label/rms_torque_{name}"] = _rms(torque[mine])
    return metrics


def table(metrics: dict[str, Any], sources: tuple[str, ...]) -> list[str]:
    """The metrics of :func:`describe` as lines to read."""
    lines = [
        f"  {metrics['label/path']}",
        f"  {metrics['label/snapshots']} snapshots of {metrics['label/sites']} spins",
    ]
    for name in sources:
        if f"label/snapshots_{name}" in metrics:
            lines.append(
                f"  {name}: {metrics[f'label/snapshots_{name}']} snapshots of "
                f"{metrics[f'label/trajectories_{name}']} trajectories, rms torque "
                f"{metrics[f'label/rms_torque_{name}']:.4g} per component"
            )
    error = f", error at most {metrics['label/max_error']:.1e}" if "label/max_error" in metrics else ""
    lines.append(f"  rms field {metrics['label/rms_field']:.4g} per component{error}")
    return lines


def draw(dataset: SpinDataset, run: Run) -> None:
    """The figure of what the data cover: torques and energies by source."""
    from magsim.report.figures import dataset_overview

    torque = np.linalg.norm(transverse(dataset.field, dataset.spins), axis=-1)
    present = [(code, name) for code, name in enumerate(dataset.sources) if (dataset.source == code).any()]
    torques = {name: torque[dataset.source == code] for code, name in present}
    if not any((values > 0).any() for values in torques.values()):
        return  # perfectly ordered states: nothing to show on a logarithmic axis
    energies = None
    if dataset.energy is not None:
        energies = {name: dataset.energy[dataset.source == code] / dataset.n_sites for code, name in present}
    run.image("dataset", dataset_overview(run.folder / "dataset.png", torques, energies))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


class _Counting:
    """A labeler that counts the configurations it solved."""

    def __init__(self, labeler: Labeler) -> None:
        self.hamiltonian = labeler.hamiltonian
        self.count = 0
        self._labeler = labeler

    def identity(self) -> dict[str, Any]:
        return self._labeler.identity()

    def label(self, spins: Any) -> Labels:
        self.count += len(spins)
        return self._labeler.label(spins)
