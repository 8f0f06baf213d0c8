"""The root node and the registration of every schema with Hydra."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from magsim.config.schema import dynamics, labelers, learning, physics, tasks


@dataclass
class DataConfig:
    """Data from elsewhere."""

    # labels to train or evaluate on (.zarr or .npz) instead of making them; several in a list, [a.npz,b.zarr]
    path: Any = None


@dataclass
class ReferenceConfig:
    """A value from elsewhere that a run is set against."""

    quantity: str = MISSING  # an observable, or another final metric of the run such as growth_exponent
    value: float = MISSING
    tolerance: float | None = None  # largest difference that counts as reproduced; null: shown, not judged
    time: float | None = None  # of the run at which it holds; null: the end
    # mean over replicas, lowest: of the one that ends with the lowest energy, or the number of one
    replica: str = "mean"
    voltage: float | None = (
        None  # at which it holds, of that replica of a drive; another one is not set against it
    )
    label: str = ""  # words beside its line in the figures; empty: none
    source: str = MISSING  # where the value is from


@dataclass
class Config:
    """The whole configuration of one job."""

    seed: int = 0  # every random stream derives from it
    name: str = "default"  # of the run folder outputs/<task>/<name>/ and of the W&B group
    # run folder (label: the dataset, export: the file), instead of one below outputs/
    output: str | None = None
    resume: str | None = None  # a run folder to continue
    debug: bool = False  # show tracebacks
    # compare: a sweep folder, a run folder, a glob of them, or a list of these, [a,b/*]
    runs: Any = None
    # run folder or file; a list of them or a sweep folder: a committee; null in simulate: the exact field
    checkpoint: Any = None
    scale: str = MISSING  # how large an experiment is, chosen by the option of this name
    # values that a simulation is set against on its page, [{quantity: .., value: .., source: ..}, ...]
    references: list[ReferenceConfig] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    task: tasks.TaskConfig = field(default_factory=tasks.TaskConfig)
    lattice: physics.LatticeConfig = field(default_factory=physics.LatticeConfig)
    hamiltonian: physics.HamiltonianConfig = field(default_factory=physics.HamiltonianConfig)
    classical: physics.ClassicalConfig = field(default_factory=physics.ClassicalConfig)
    labeler: labelers.LabelerConfig = field(default_factory=labelers.LabelerConfig)
    sampler: physics.SamplerConfig = field(default_factory=physics.SamplerConfig)
    descriptor: learning.DescriptorConfig = field(default_factory=learning.DescriptorConfig)
    model: learning.ModelConfig = field(default_factory=learning.ModelConfig)
    trainer: learning.TrainerConfig = field(default_factory=learning.TrainerConfig)
    integrator: dynamics.IntegratorConfig = field(default_factory=dynamics.IntegratorConfig)
    protocol: dynamics.ProtocolConfig = field(default_factory=dynamics.ProtocolConfig)
    observables: dynamics.ObservablesConfig = field(default_factory=dynamics.ObservablesConfig)
    audit: dynamics.AuditConfig = field(default_factory=dynamics.AuditConfig)
    compute: tasks.ComputeConfig = field(default_factory=tasks.ComputeConfig)
    logger: tasks.LoggerConfig = field(default_factory=tasks.LoggerConfig)


# Options with keys beyond those of their group.
OPTIONS: dict[str, dict[str, type]] = {
    "task": {
        "pipeline": tasks.PipelineTask,
        "evaluate": tasks.EvaluateTask,
        "analyze": tasks.AnalyzeTask,
        "export": tasks.ExportTask,
        "benchmark": tasks.BenchmarkTask,
        "compare": tasks.CompareTask,
        "locality": tasks.LocalityTask,
        "spectrum": tasks.SpectrumTask,
        "active": tasks.ActiveTask,
    },
    "hamiltonian": {
        "sd": physics.SDConfig,
        "double_exchange": physics.SDConfig,
        "double_exchange_projected": physics.ProjectedConfig,
        "driven": physics.DrivenConfig,
        "none": physics.NoElectronsConfig,
    },
    "labeler": {
        "auto": labelers.AutoConfig,
        "greens": labelers.GreensConfig,
        "kpm": labelers.KPMConfig,
        "negf": labelers.NEGFConfig,
    },
    "sampler": {
        "random": physics.RandomSampler,
        "thermal": physics.ThermalSampler,
        "quench": physics.QuenchSampler,
        "file": physics.FileSampler,
        "mixed": physics.MixedSampler,
    },
    "descriptor": {
        "bispectrum": learning.BispectrumConfig,
        "driven": learning.DrivenConfig,
        "equivariant": learning.EquivariantDescriptorConfig,
        "raw": learning.RawConfig,
    },
    "model": {
        "linear": learning.LinearConfig,
        "bp": learning.BPConfig,
        "potential": learning.PotentialConfig,
        "equivariant": learning.EquivariantConfig,
    },
    "protocol": {
        "relax": dynamics.RelaxConfig,
        "anneal": dynamics.AnnealConfig,
        "field_sweep": dynamics.FieldSweepConfig,
        "schedule": dynamics.ScheduleConfig,
        "drive": dynamics.DriveConfig,
    },
    "logger": {"wandb": tasks.WandbConfig},
}


@cache
def register() -> None:
    """Make the schemas known to Hydra, once per process: a quarter of the time of composing otherwise."""
    store = ConfigStore.instance()
    store.store(group="schema", name="root", node=Config)
    for group, options in OPTIONS.items():
        for name, node in options.items():
            store.store(group=f"schema/{group}", name=name, node=node)
