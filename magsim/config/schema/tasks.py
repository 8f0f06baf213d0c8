"""Tasks, compute and loggers."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class TaskConfig:
    """A task; those that need keys of their own inherit from this."""

    name: str = MISSING


@dataclass
class PipelineTask(TaskConfig):
    """label, train, evaluate, simulate, report; the last run follows ``protocol``."""

    large_shape: list[int] | None = MISSING  # of the run with the trained field; null: 4 x lattice.shape


@dataclass
class EvaluateTask(TaskConfig):
    """Errors of a trained field on labels it has not seen."""

    split: str = MISSING  # test, validation, train or all


@dataclass
class AnalyzeTask(TaskConfig):
    """Observables, figures and files for other programs, of a stored trajectory."""

    path: str | None = MISSING  # the trajectory, or the folder of the run that made it
    times: list[float] | None = MISSING  # frames between two times
    replica: int = MISSING  # whose frames go into files and film
    export: list[str] = MISSING  # files of the frames for other programs: ovf, spirit, xyz, vtk
    precision: str = MISSING  # of numbers in these files: text, or binary (xyz is always text)
    film: str | None = MISSING  # gif or mp4
    film_of: str = MISSING  # chirality, charge or spins


@dataclass
class ExportTask(TaskConfig):
    """A trained field as one file with its history, as packages for torch alone, into the zoo."""

    formats: list[str] = MISSING  # safetensors, pt2 (torch.export), aoti (AOTInductor machine code)
    shape: list[int] | None = MISSING  # lattice of the packages pt2 and aoti; null: that of the training
    measured: list[str] = MISSING  # runs that measured the errors of this model; empty: its own training
    source: list[str] | None = MISSING  # of the data, and their licence; null: known from their content
    weights: str = MISSING  # float32 or float16, of what was learned; the file is half as large
    zoo: str | None = MISSING  # a name: also into magsim/zoo, with an entry in its manifest


@dataclass
class BenchmarkTask(TaskConfig):
    """Rates of labels, training and dynamics."""

    parts: list[str] = MISSING  # of magsim.tasks.benchmark: what is measured
    shapes: list[list[int]] = MISSING  # lattices of the dynamics
    models: list[str] = MISSING  # whose cost is measured: options of model, or presets that train one
    label_shapes: list[list[int]] = MISSING  # lattices of single labels by Green's functions
    eigh_max_sites: int = MISSING  # larger lattices are not diagonalised beside them
    seconds: float = MISSING  # spent on each measurement
    exact_max_sites: int = MISSING  # larger lattices are not labelled exactly


@dataclass
class CompareTask(TaskConfig):
    """One table and overlay plots over finished runs."""

    metrics: list[str] = MISSING  # series to draw; empty: all


@dataclass
class LocalityTask(TaskConfig):
    """How much of a torque spins beyond a radius decide: the error floor of every model of that radius."""

    state: list[str] = MISSING  # any of random, thermal, ordered
    radii: list[float] | None = MISSING  # in nearest-neighbour distances
    insides: int = MISSING  # surroundings that stay, for each radius
    outsides: int = MISSING  # draws of the rest for each of them
    texture: str | None = MISSING  # of the ordered state
    angle: float = MISSING  # radians by which ordered spins are turned at random
    temperature: float | None = MISSING  # of the spins in thermal states
    burn_in: int = MISSING  # steps of exact dynamics before a thermal state


@dataclass
class SpectrumTask(TaskConfig):
    """Density of states, whole and local, and the bands of a periodic texture."""

    texture: str | None = MISSING  # a reference texture, or random
    path: str | None = MISSING  # a file whose last snapshot is taken instead
    eta: float = MISSING  # width of a level in the densities of states
    energies: list[float] = MISSING  # where local densities of states are mapped, besides mu
    mesh: int | None = MISSING  # wavevectors along each axis of the magnetic zone


@dataclass
class ActiveTask(TaskConfig):
    """Active learning: run, choose, label, train, until a target or a budget is reached."""

    strategy: str = MISSING  # committee, random or fresh
    members: int = MISSING  # models of the committee
    warm_start: bool = MISSING  # train on from the weights of the round before
    start: int = MISSING  # random configurations labelled first
    trajectories: int = MISSING  # runs with the committee in each round, instead of protocol.replicas
    chosen: int = MISSING  # configurations labelled in each round
    separation: int = MISSING  # least number of steps between two chosen from one run
    window_share: float = MISSING  # largest part of a round's choices from one time window
    relative_floor: float | None = MISSING  # of the score, as trainer.relative_floor of the loss
    rounds: int = MISSING  # after the first training
    budget: int = MISSING  # labels to learn from, the start included
    target: float | None = MISSING  # torque error, mean over the classes of states of the test set
    max_minutes: float | None = MISSING  # of this session
    test_random: int = MISSING  # random configurations of the test set
    test_quenches: int = MISSING  # exact quenches of the test set
    test_seed: int = MISSING  # of the test set


@dataclass
class SlurmConfig:
    """What each worker asks of SLURM."""

    queue: str | None = MISSING  # partition; null: the default one
    account: str | None = MISSING  # null: the default one
    walltime: str = MISSING  # hours:minutes:seconds; a worker that reaches it is replaced
    cores: int = MISSING  # of each worker
    memory: str = MISSING  # of each worker
    directives: list[str] = MISSING  # further lines for #SBATCH, e.g. [--gres=gpu:1]


@dataclass
class ComputeConfig:
    """Where and how precisely to compute."""

    device: str = MISSING  # auto: a GPU if there is one; cpu or cuda
    precision: str = MISSING  # of models, float32 or float64; labels and spins are always float64
    threads: int | None = MISSING  # null: what the libraries choose
    cost_seconds: float = MISSING  # spent on timing a trained field on ten thousand sites; 0: not timed
    # pieces in which a learned field is evaluated, so that memory suffices: a number, or auto: as few as fit
    slabs: str = MISSING
    processes: int = MISSING  # that simulate one lattice together, a slab each: on CPUs, or a GPU for each
    # how steps of a simulation are done: auto; eager: one operation of torch after the other; on a GPU graph:
    # recorded as a CUDA graph, fused: compiled by torch.compile
    steps: str = MISSING
    workers: int = MISSING  # processes that share the labels; 1: this one
    cluster: str = MISSING  # where workers run: local, slurm or the address of a dask scheduler
    slurm: SlurmConfig = field(default_factory=SlurmConfig)


@dataclass
class LoggerConfig:
    """Who records metrics besides the files of the run folder."""

    name: str = MISSING


@dataclass
class WandbConfig(LoggerConfig):
    """Weights & Biases."""

    project: str = MISSING  # the W&B project
    entity: str | None = MISSING  # W&B user or team; null: the default of the login
    mode: str = MISSING  # auto: online with a login, else offline
    artifact_limit_mb: int = MISSING  # larger artifacts are recorded by reference
