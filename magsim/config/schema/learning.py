"""Descriptor, model and trainer."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class DescriptorConfig:
    """How a spin neighbourhood becomes invariants."""

    name: str = MISSING
    cutoff: float = MISSING  # radius of the neighbourhood, in lattice constants


@dataclass
class BispectrumConfig(DescriptorConfig):
    """Bonds and chiralities in irreps of the site point group and their invariants."""

    bond_cutoff: float | None = MISSING  # longest bond among the neighbours; null: the cutoff
    chirality_cutoff: float = MISSING  # longest side of triangles with a chirality; 0: no chiralities
    body_order: int | None = MISSING  # most spins that an invariant couples (a bond counts 2); null: no limit
    references: int | None = MISSING  # reference combinations per irrep; 0: power spectrum alone; null: all
    channels: int | None = MISSING  # learned mixtures of the copies of each irrep, in place of references
    bispectrum: bool = MISSING  # triple products of reference irreps
    bispectrum_references: int | None = MISSING  # references per irrep in triple products; null: all copies
    prune: float | None = (
        MISSING  # leave out what others give to this fraction of its deviation; null: nothing
    )
    time_reversal: bool = MISSING  # keep only invariants even under S -> -S
    point_group: str = MISSING  # imposed: lattice, that of a site; mirror_y, what a current along x leaves


@dataclass
class DrivenConfig(BispectrumConfig):
    """The same for a strip with a current along x, which neither time reversal nor the mirror of x leaves."""


@dataclass
class RawConfig(DescriptorConfig):
    """Bonds and chiralities as they are, the inputs of published networks, for comparison."""

    pair_cutoff: float = MISSING  # radius of the neighbours whose bonds with each other are taken
    chiralities: bool = MISSING  # also S_0 . (S_j x S_k) of neighbouring members of each shell


@dataclass
class EquivariantDescriptorConfig(DescriptorConfig):
    """Spin irreps of the neighbours in irreps of the site point group, and their power spectrum."""

    lmax: int = MISSING  # largest spin irrep: 1 (vectors) or 2 (also quadrupoles)


@dataclass
class ModelConfig:
    """What turns invariants into an energy."""

    name: str = MISSING


@dataclass
class LinearConfig(ModelConfig):
    """Ridge regression on the invariants."""

    ridge: float = MISSING
    max_snapshots: int | None = MISSING  # drawn at random from the training part; null: all


@dataclass
class BPConfig(ModelConfig):
    """One network for all sites; the energies are summed."""

    hidden: list[int] = MISSING  # widths of the hidden layers
    activation: str = MISSING  # silu, gelu, tanh, softplus or relu


@dataclass
class PotentialConfig(ModelConfig):
    """Fields of driven magnets, which need not be gradients: potentials of the environments of sites."""

    form: str = MISSING  # energy, summed (E and G), sitewise (derivatives by the centre spin) or direct
    summed_energy: bool = MISSING  # sitewise and direct are added to -dE/dS of a summed energy
    hidden: list[int] = MISSING  # widths of the hidden layers of each network
    activation: str = MISSING  # silu, gelu, tanh, softplus or relu
    position_input: bool = MISSING  # distances to both leads
    voltage_input: bool = MISSING  # one model for a range of voltages; at V=0 its field is a gradient


@dataclass
class EquivariantConfig(ModelConfig):
    """Message passing between sites with spin irreps; what a site sees in each layer is in the descriptor."""

    layers: int = MISSING  # messages between neighbours; site energies reach layers * cutoff
    channels: int = MISSING  # of each spin irrep
    hidden: list[int] = MISSING  # widths of the network of each layer, from invariants to scalars
    activation: str = MISSING  # silu, gelu, tanh, softplus or relu
    pseudo: bool = MISSING  # also channels of the other time parity, as S_i x S_j (even vector)
    output: str = MISSING  # energy (field = -dE/dS) or torque (the field itself, which conserves nothing)


@dataclass
class TrainerConfig:
    """The optimisation, its budget and the split of the data (by trajectory)."""

    max_epochs: int = MISSING  # passes over the training part
    min_steps: int | None = (
        MISSING  # an epoch is several passes where max_epochs make fewer steps than this; null: one pass
    )
    max_minutes: float | None = MISSING  # wall clock; null: no limit
    batch_size: int = MISSING
    optimizer: str = MISSING  # adamw; soap: adamw along the eigenvectors of the gradients' covariances
    lr: float = MISSING  # peak learning rate
    weight_decay: float = MISSING  # decoupled: weights shrink by lr * weight_decay a step
    lr_schedule: str = MISSING
    warmup: int = MISSING  # steps of linear warm-up
    patience: int | None = MISSING  # epochs without progress before stopping; null: never
    average: str = MISSING  # of the weights, what is validated and saved: ema, swa or none
    ema: float = MISSING  # decay of average=ema, per step
    swa_start: float = MISSING  # average=swa is the mean of all weights after this fraction of the steps
    precision: str = MISSING  # of the steps: 32 (that of compute.precision), bf16-mixed or 16-mixed (CUDA)
    gamma: float = MISSING  # weight of the torque in the loss
    # weight of the energy in the loss: differences of the energy within a batch, in units of their spread
    energy_weight: float = MISSING
    # errors count relative to the torque of their own snapshot, down to this fraction of the typical torque;
    # null: all snapshots weigh the same
    relative_floor: float | None = MISSING
    balance: bool = MISSING  # every epoch draws the classes of state equally often
    # of the trajectories; chooses the best epoch; 0: none, the model is what stands at the last epoch
    validation_fraction: float = MISSING
    test_fraction: float = MISSING  # of the trajectories; seen by nothing but the evaluation; 0: none
    split_seed: int | None = MISSING  # of the split; null: seed. The members of a committee share it
    max_snapshots: int | None = MISSING  # of the training part, classes of state in turn; null: all
    grad_clip: float | None = MISSING  # largest norm of the gradient; null: no clipping
    # trained model to begin with, run folder or file, of the same kind; learned channels: or smaller cutoffs
    start: str | None = MISSING
    parity_every: int | None = MISSING  # epochs between figures of predicted against exact torques
    devices: int = MISSING  # processes (CPU) or GPUs that share every batch
