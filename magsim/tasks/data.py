"""The data of a training or an evaluation: where they come from, on which lattice, from which electrons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from magsim.datasets.dataset import SpinDataset
from magsim.datasets.pool import pool
from magsim.datasets.store import open_dataset
from magsim.errors import ConfigError, DataError
from magsim.lattice import Lattice, make_lattice
from magsim.runs import Run
from magsim.tasks.build import plain
from magsim.tasks.labelling.dataset import label
from magsim.tasks.labelling.report import draw


def dataset_for(cfg: DictConfig, run: Run) -> SpinDataset:
    """The data of ``data.path``, else the dataset that the configuration describes (labelled if need be)."""
    run.headline("Data")
    dataset = (
        pool([open_dataset(path) for path in paths(cfg.data.path)]) if cfg.data.path else label(cfg, run)
    )
    run.parent("dataset", dataset.path, dataset.content_hash)
    draw(dataset, run)
    return dataset


def paths(given: Any) -> list[str]:
    """The one path or the list of them that ``data.path`` holds."""
    return [given] if isinstance(given, str) else [str(path) for path in given]


def data_lattice(cfg: DictConfig, dataset: SpinDataset, run: Run | None = None) -> Lattice:
    """The lattice of a dataset. What the file does not say is taken from ``cfg.lattice``; its size wins over
    the configuration's.

    Raises:
        ConfigError: the file is of another kind of lattice.
        DataError: its number of spins fits no lattice of the configuration.
    """
    known = dataset.lattice or {}
    name = known.get("name") or cfg.lattice.name
    if name != cfg.lattice.name and cfg.data.path:
        raise ConfigError(
            "lattice.name",
            cfg.lattice.name,
            f"the data of data.path={cfg.data.path} are on the {name} lattice.",
        )
    shape = list(known.get("shape") or cfg.lattice.shape)
    lattice = make_lattice(name, shape, known.get("boundary") or list(cfg.lattice.boundary))
    if lattice.n_sites != dataset.n_sites:
        raise DataError(
            dataset.path,
            f"holds {dataset.n_sites} spins; lattice={name} lattice.shape={shape} has {lattice.n_sites}.",
        )
    if run is not None and shape != list(cfg.lattice.shape):
        run.say(
            f"  lattice {name} {shape}: the size of the data, not lattice.shape={list(cfg.lattice.shape)}"
        )
    return lattice


def electrons(cfg: DictConfig, dataset: SpinDataset, run: Run) -> dict[str, Any]:
    """The Hamiltonian behind the labels: what the dataset says, else (a bare ``.npz``) that of the
    configuration. A difference is told, since the configuration's then plays no part."""
    known = dict(dataset.config.get("hamiltonian") or {})
    if not known:
        return plain(cfg.hamiltonian)
    tell_difference(run, known, plain(cfg.hamiltonian), "the data were labelled")
    return known


def tell_difference(run: Run, known: Mapping[str, Any], configured: Mapping[str, Any], what: str) -> None:
    """One line where a stored Hamiltonian is not the configured one."""
    other = [key for key in known if key != "name" and known[key] != configured.get(key)]
    if other:
        stored = ", ".join(f"{key}={known[key]}" for key in other)
        given = ", ".join(f"{key}={configured.get(key)}" for key in other)
        run.say(f"  {what} with {stored}; {given} of the configuration's hamiltonian is not used")
