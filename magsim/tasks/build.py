"""From configuration nodes to the objects they describe: the wiring that tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from magsim.arrays import cuda_available
from magsim.config import check, compose
from magsim.dynamics import ClassicalField, EffectiveField, ExactField
from magsim.errors import ConfigError
from magsim.hamiltonian import HAMILTONIANS, ClassicalHamiltonian, Electrons
from magsim.labelers import LABELERS, Labeler
from magsim.lattice import Lattice, make_lattice
from magsim.samplers import SAMPLERS, MixedSampler, QuenchSampler, RandomSampler, Sampler
from magsim.tasks.costs import load_costs


def plain(node: Any) -> dict[str, Any]:
    """A configuration node as a dictionary of JSON types, interpolations resolved."""
    container = OmegaConf.to_container(node, resolve=True)
    if not isinstance(container, dict):
        raise TypeError(f"expected a configuration node, got {type(container).__name__}")
    return {str(key): value for key, value in container.items()}


def build_lattice(cfg: DictConfig) -> Lattice:
    """The lattice of ``cfg.lattice``.

    Raises:
        ConfigError: see :func:`magsim.lattice.make_lattice`.
    """
    return make_lattice(cfg.lattice.name, list(cfg.lattice.shape), list(cfg.lattice.boundary))


def build_hamiltonian(cfg: DictConfig, lattice: Lattice | None = None) -> Electrons:
    """The electronic Hamiltonian of ``cfg.hamiltonian`` on ``lattice`` (default: that of the configuration).

    Raises:
        ConfigError: unknown name or parameters out of range.
    """
    return make_hamiltonian(plain(cfg.hamiltonian), lattice or build_lattice(cfg))


def make_hamiltonian(node: Mapping[str, Any], lattice: Lattice) -> Electrons:
    """The electronic Hamiltonian that a node as ``cfg.hamiltonian`` describes.

    Raises:
        ConfigError: unknown name or parameters out of range.
    """
    others = {key: value for key, value in node.items() if key not in ("name", "t")}
    name = node["name"]
    if name not in HAMILTONIANS:
        raise ConfigError("hamiltonian.name", name, f"known Hamiltonians are {', '.join(HAMILTONIANS)}.")
    hopping = tuple(float(t) for t in node["t"])
    return HAMILTONIANS[name](lattice=lattice, hopping=hopping, **others)


def labeler_device(cfg: DictConfig) -> str:
    """``cpu`` or ``cuda``; ``compute.device=auto`` takes the GPU where cupy sees one."""
    device = str(cfg.compute.device)
    return ("cuda" if cuda_available() else "cpu") if device == "auto" else device


def torch_device(cfg: DictConfig) -> torch.device:
    """Where models and dynamics run; ``compute.device=auto`` takes a GPU that torch sees.

    Raises:
        ConfigError: ``compute=cuda`` where torch sees no GPU.
    """
    device = str(cfg.compute.device)
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError(
            "compute.device", device, "torch sees no CUDA device; use compute=cpu or compute=auto."
        )
    return torch.device("cuda" if device != "cpu" and available else "cpu")


def torch_dtype(cfg: DictConfig) -> torch.dtype:
    """Precision of models: ``compute.precision``."""
    return torch.float64 if cfg.compute.precision == "float64" else torch.float32


def build_labeler(cfg: DictConfig, lattice: Lattice | None = None) -> Labeler:
    """The labeler of ``cfg.labeler`` for the Hamiltonian of the configuration.

    Raises:
        ConfigError: unknown name, or ``compute=cuda`` without cupy or GPU.
        DataError: ``labeler=auto`` cannot read the rates of this machine.
    """
    node = plain(cfg.labeler)
    name = node.pop("name")
    if name not in LABELERS:
        raise ConfigError("labeler.name", name, f"known labelers are {', '.join(LABELERS)}.")
    device = labeler_device(cfg)
    if name == "auto":
        node["costs"] = load_costs(device)
    return LABELERS[name](build_hamiltonian(cfg, lattice), device=device, **node)


def build_classical(cfg: DictConfig, lattice: Lattice | None = None) -> ClassicalField | None:
    """The field of ``cfg.classical``; None where all terms are zero.

    Raises:
        ConfigError: see :class:`magsim.hamiltonian.classical.ClassicalHamiltonian`.
    """
    return classical_field(plain(cfg.classical), lattice or build_lattice(cfg))


def classical_field(node: Mapping[str, Any], lattice: Lattice) -> ClassicalField | None:
    """The field of classical terms given by a node as ``cfg.classical``; None where all of them are zero."""
    terms = {key: value for key, value in node.items() if key != "name"}
    if not any((any(terms["heisenberg"]), terms["dm"], terms["easy_axis"], any(terms["zeeman"]))):
        return None
    return ClassicalField(ClassicalHamiltonian(lattice, **terms))


def build_sampler(cfg: DictConfig) -> Sampler:
    """The sampler of ``cfg.sampler``.

    Raises:
        ConfigError: unknown name or values out of range.
        DataError: a file sampler whose file cannot be used.
    """
    node = plain(cfg.sampler)
    name = node.pop("name")
    if name not in SAMPLERS:
        raise ConfigError("sampler.name", name, f"known samplers are {', '.join(SAMPLERS)}.")
    if name == "mixed":
        parts = {part: {k: v for k, v in node[part].items() if k != "name"} for part in ("random", "quench")}
        return MixedSampler(RandomSampler(**parts["random"]), QuenchSampler(**parts["quench"]))
    if name == "file":
        node["path"] = node["path"] or ""
    return SAMPLERS[name](**node)


def effective_field(cfg: DictConfig | Sequence[str], shape: tuple[int, ...] | None = None) -> EffectiveField:
    """The exact effective field that a configuration describes: electrons plus classical terms
    (``hamiltonian=none``: these alone).

    Args:
        cfg: as :func:`magsim.config.compose` returns it, or overrides for it (``["lattice=square"]``).
        shape: another lattice size than ``lattice.shape``.

    Returns:
        ``energy, field = f(spins)`` for ``spins`` ``(..., N, 3)``, arrays or tensors.
    """
    if not isinstance(cfg, DictConfig):
        cfg = compose(list(cfg))
        check(cfg)
    lattice = build_lattice(cfg) if shape is None else build_lattice(cfg).with_shape(shape)
    classical = build_classical(cfg, lattice)
    if cfg.hamiltonian.name == "none" and classical is not None:
        return classical
    exact = ExactField(build_labeler(cfg, lattice))
    return exact if classical is None else exact + classical
