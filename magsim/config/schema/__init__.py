"""Shapes of the configuration: one dataclass for the root and for every option with keys of its own.

Values live in ``conf/*/*.yaml``, shapes and types here. A group whose options share their keys has one
dataclass, which the root names as the type of that node. Where options differ, each has its own dataclass
that inherits from the one of the group; it is registered as ``schema/<group>/<option>`` and pulled in by the
defaults list of the option. So a key that no dataclass has is an error wherever it is written: on the
command line, in a group file, in an experiment file.
"""

from __future__ import annotations

from magsim.config.schema.dynamics import IntegratorConfig, ObservablesConfig, ProtocolConfig
from magsim.config.schema.labelers import LabelerConfig
from magsim.config.schema.learning import DescriptorConfig, ModelConfig, TrainerConfig
from magsim.config.schema.physics import (
    ClassicalConfig,
    HamiltonianConfig,
    LatticeConfig,
    SamplerConfig,
)
from magsim.config.schema.root import Config, register
from magsim.config.schema.tasks import ComputeConfig, LoggerConfig, TaskConfig

__all__ = [
    "ClassicalConfig",
    "ComputeConfig",
    "Config",
    "DescriptorConfig",
    "HamiltonianConfig",
    "IntegratorConfig",
    "LabelerConfig",
    "LatticeConfig",
    "LoggerConfig",
    "ModelConfig",
    "ObservablesConfig",
    "ProtocolConfig",
    "SamplerConfig",
    "TaskConfig",
    "TrainerConfig",
    "register",
]
