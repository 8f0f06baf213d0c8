"""The dataset of a configuration, made once: its key, and what fills it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from omegaconf import DictConfig

from magsim.datasets.dataset import FORMAT_VERSION, UNITS, SpinDataset
from magsim.datasets.parts import PartStore
from magsim.datasets.store import open_dataset
from magsim.datasets.writer import DatasetWriter, open_writer
from magsim.dynamics import ClassicalField
from magsim.errors import ConfigError
from magsim.labelers import AutoLabeler
from magsim.runs import Run, dataset_folder
from magsim.samplers import Sampler
from magsim.tasks.build import (
    build_classical,
    build_labeler,
    build_lattice,
    build_sampler,
    labeler_device,
    plain,
)
from magsim.tasks.labelling.fill import Counting, fill_here, one_by_one, take_parts
from magsim.tasks.labelling.lock import exclusive

KEY_DIGITS = 16


def label(cfg: DictConfig, run: Run, path: Path | None = None, *, learnable: bool = True) -> SpinDataset:
    """The dataset that a configuration describes: reused if complete, resumed if unfinished, else made.

    Args:
        cfg: lattice, hamiltonian, labeler, sampler, classical, compute and seed are read.
        run: for progress.
        path: where to put it; None: ``outputs/datasets/<key>``.
        learnable: whether something is to be learned from it, see
            :func:`magsim.datasets.validation.check_learnable`.

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
            _fill(writer, cfg, sampler, classical, run)
            writer.finish()
        PartStore(path).clear()
    return open_dataset(path, learnable=learnable)


def dataset_key(cfg: DictConfig, sampler: Sampler, classical: ClassicalField | None) -> str:
    """sha256 of everything that determines the content of a dataset, and of nothing else.

    Device, batch size, threads and workers are not in it; the seed is not if the configurations come from a
    file, which enters by its content; classical terms are only if the configurations come from the dynamics.
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
    writer: DatasetWriter, cfg: DictConfig, sampler: Sampler, classical: ClassicalField | None, run: Run
) -> None:
    """Label what is missing, here or with workers."""
    take_parts(writer, sampler)
    if len(writer):
        run.say(
            f"Dataset {writer.path} is unfinished: resuming after {len(writer)} of {len(sampler)} snapshots."
        )
    labeler = build_labeler(cfg)
    if isinstance(labeler, AutoLabeler):
        run.say(f"  {labeler.reason}")
    if cfg.compute.workers > 1 or cfg.compute.cluster != "local":
        from magsim.tasks.labelling.foreman import fill_with_workers  # dask takes a second

        fill_with_workers(writer, cfg, sampler, run)
    else:
        counting = Counting(one_by_one(labeler, labeler_device(cfg)))
        fill_here(writer, cfg, sampler, counting, classical, run)
