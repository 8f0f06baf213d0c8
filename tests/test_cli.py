"""Wrong configurations stop at once with one sentence: key, value, what is allowed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from magsim.config import check, compose
from magsim.errors import ConfigError
from magsim.tasks.cli import main

STRIP = "hamiltonian=driven labeler=negf lattice=square lattice.boundary=[open,periodic]"
# what a driven strip refuses: more of the command line, the key that the message starts with, words
DRIVEN = [
    ("lattice.boundary=[periodic,open]", "lattice.boundary=['periodic', 'open']", "open along x"),
    ("lattice=triangular", "lattice.name=triangular", "square lattice"),
    ("lattice.shape=[1,6]", "lattice.shape=[1, 6]", "at least 2 columns"),
    ("hamiltonian.t=[1,0.2]", "hamiltonian.t=[1.0, 0.2]", "nearest neighbours only"),
    ("hamiltonian.mu=null hamiltonian.filling=0.5", "hamiltonian.filling=0.5", "give mu"),
    ("hamiltonian.gamma=0", "hamiltonian.gamma=0.0", "positive"),
    ("hamiltonian.gamma_bath=-0.1", "hamiltonian.gamma_bath=-0.1", "zero or positive"),
    ("hamiltonian.leads=wide", "hamiltonian.leads=wide", "semi_infinite"),
    ("hamiltonian.split=left", "hamiltonian.split=left", "symmetric, right"),
    ("hamiltonian.mu_L=-1", "hamiltonian.mu_R=null", "both or none"),
    ("hamiltonian.lead_moment_L=[1,1]", "hamiltonian.lead_moment_L=[1.0, 1.0]", "three numbers"),
    ("hamiltonian.lead_moment_R=[1,1,0]", "hamiltonian.lead_moment_R=[1.0, 1.0, 0.0]", "at most 1"),
    ("task=spectrum", "hamiltonian.name=driven", "closed systems"),
    ("task=locality task.state=[ordered]", "task.texture=null", "name one"),
    ("labeler=ed", "labeler.name=ed", "only labeler=negf"),
    ("labeler=greens", "labeler.name=greens", "only labeler=negf"),
    ("labeler=kpm", "labeler.name=kpm", "only labeler=negf"),
    ("labeler=auto", "labeler.name=auto", "only labeler=negf"),
    ("labeler.tolerance=0", "labeler.tolerance=0.0", "above 0 and below 0.1"),
]

CLASSICAL = "task=simulate hamiltonian=none classical=heisenberg"

# command line -> key that the message starts with, words it must hold
WRONG: dict[str, tuple[str, str]] = {
    # unknown keys and options, wherever
    "sede=1": ("sede=1", "Did you mean seed?"),
    "+extra=1": ("extra=1", "unknown key"),
    "lattice.shap=[6,6]": ("lattice.shap=[6,6]", "Did you mean shape?"),
    "+sampler.random.cout=3": ("sampler.random.cout=3", "Did you mean count?"),
    "hamiltonian=double_exchange_projected hamiltonian.J=2": ("hamiltonian.J=2", "unknown key"),
    "~trainer.lr": ("trainer.lr", "cannot be removed"),
    "lattice=triangle": ("lattice=triangle", "Did you mean triangular?"),
    "experiment=tetraedral": ("experiment=tetraedral", "Did you mean tetrahedral?"),
    "task=labels": ("task=labels", "pipeline"),
    "latice=square": ("latice=square", "Did you mean lattice?"),
    "labeler.name=kmp": ("labeler.name=kmp", "Did you mean kpm?"),
    "protocol.name=anneal": ("protocol.name=anneal", "choose protocol=anneal"),
    "experiment=smoke sampler=thermal": ("sampler=thermal", "cannot be combined with experiment=smoke"),
    "lattice=null": ("lattice=null", "triangular"),
    # types and syntax
    "seed=one": ("seed=one", "whole number"),
    "seed=1.5": ("seed=1.5", "whole number"),
    "lattice.shape=6": ("lattice.shape=6", "list of whole numbers"),
    "hamiltonian.t=[[1]]": ("hamiltonian.t=[[1]]", "list of numbers"),
    "descriptor.bispectrum=maybe": ("descriptor.bispectrum=maybe", "true or false"),
    "lattice.shape=[6,6": ("lattice.shape=[6,6", "cannot be read"),
    "task=label,train": ("task=label,train", "add -m"),
    "task=compare runs=5": ("runs=5", "must be a text or a list of texts"),
    "name=${nowhere}": ("name=${nowhere}", "cannot be resolved"),
    # ranges
    "lattice.shape=[6,0]": ("lattice.shape=[6, 0]", "positive whole numbers"),
    "lattice.shape=[6,6,6]": ("lattice.shape=[6, 6, 6]", "2 positive"),
    "lattice.boundary=[periodic]": ("lattice.boundary=['periodic']", "'periodic' or 'open'"),
    "lattice.boundary=[periodic,closed]": ("lattice.boundary", "'periodic' or 'open'"),
    "hamiltonian.T=-0.1": ("hamiltonian.T=-0.1", "zero or positive"),
    "hamiltonian.mu=null": ("hamiltonian.mu=null", "exactly one of mu and filling"),
    "hamiltonian.filling=0.25": ("hamiltonian.filling=0.25", "hamiltonian.mu=null"),
    "hamiltonian.mu=null hamiltonian.filling=1.2": ("hamiltonian.filling=1.2", "between 0 and 1"),
    "hamiltonian.J=.nan": ("hamiltonian.J=", "number"),
    "integrator.dt=0": ("integrator.dt=0.0", "positive"),
    "integrator.alpha=-1": ("integrator.alpha=-1.0", "zero or positive"),
    "integrator.sense=0": ("integrator.sense=0", "1 or -1"),
    "integrator.T=0.1 integrator.alpha=0": ("integrator.T=0.1", "damping"),
    "protocol.steps=0": ("protocol.steps=0", "positive"),
    "protocol.record_every=100000": ("protocol.record_every=100000", "at most protocol.steps"),
    "protocol.initial=spriral": ("protocol.initial=spriral", "random"),
    "trainer.patience=3 trainer.validation_fraction=0": ("trainer.patience=3", "validation_fraction=0"),
    "trainer.average=sma": ("trainer.average=sma", "ema, swa, none"),
    "trainer.precision=16": ("trainer.precision=16", "bf16-mixed"),
    "trainer.precision=16-mixed compute=cpu": ("trainer.precision=16-mixed", "needs a CUDA device"),
    "trainer.precision=bf16-mixed compute.precision=float64": ("trainer.precision=bf16-mixed", "float32"),
    "trainer=ddp model=linear": ("trainer.devices=2", "must be 1 with model=linear"),
    "trainer=ddp trainer.batch_size=1": ("trainer.devices=2", "at most trainer.batch_size=1"),
    "trainer.energy_weight=0.1 model=linear": ("trainer.energy_weight=0.1", "closed form"),
    "trainer.energy_weight=0.1 model=equivariant model.output=torque": (
        "trainer.energy_weight=0.1",
        "must be 0 with model.output=torque",
    ),
    "trainer.energy_weight=0.1 model=potential lattice=square lattice.boundary=[open,open]": (
        "trainer.energy_weight=0.1",
        "must be 0 with model.form=sitewise, whose field is the gradient of no energy",
    ),
    "model=potential lattice=square": ("model.position_input=True", "leads at both ends of x"),
    "model=potential model.form=global": ("model.form=global", "energy, summed, sitewise, direct"),
    "model=potential model.form=summed model.summed_energy=false": ("model.summed_energy=False", "summed"),
    "descriptor.point_group=C4": ("descriptor.point_group=C4", "lattice, mirror_y"),
    "trainer.energy_weight=0.1 trainer.batch_size=1": ("trainer.energy_weight=0.1", "at least 2"),
    "trainer.max_snapshots=0": ("trainer.max_snapshots=0", "must be positive"),
    "trainer.test_fraction=0.95": ("trainer.test_fraction=0.95", "leaves nothing to train on"),
    "trainer.gamma=1.5": ("trainer.gamma=1.5", "from 0 to 1"),
    "sampler.random.count=0": ("sampler.random.count=0", "at least 1"),
    "sampler=thermal sampler.temperatures=[]": ("sampler.temperatures=[]", "positive temperatures"),
    "labeler.batch_size=0": ("labeler.batch_size=0", "positive"),
    **{f"{STRIP} {keys}": (key, words) for keys, key, words in DRIVEN},
    "labeler=negf": ("labeler.name=negf", "hamiltonian=driven only"),
    "labeler=kpm labeler.probes=color": ("labeler.probes=color", "Did you mean colour?"),
    "labeler=kpm labeler.columns=1": ("labeler.columns=1", "one for each spin"),
    "labeler=kpm labeler.repeats=1": ("labeler.repeats=1", "2 or more"),
    "labeler=kpm labeler.moments=33": ("labeler.moments=33", "even"),
    "labeler=kpm labeler.jackson=true": ("labeler.moments=null", "needs a number"),
    "labeler=kpm labeler.tolerance=0": ("labeler.tolerance=0.0", "above 0 and below 0.1"),
    "labeler=kpm labeler.seed=-1": ("labeler.seed=-1", "zero or positive"),
    "labeler=greens labeler.tolerance=0": ("labeler.tolerance=0.0", "above 0 and below 0.1"),
    "labeler=greens labeler.precision=float32": ("labeler.precision=float32", "complex64"),
    "labeler=greens labeler.smearing=0": ("labeler.smearing=0.0", "from 1e-06"),
    "labeler=auto labeler.tolerance=1": ("labeler.tolerance=1.0", "above 0 and below 0.1"),
    "task=locality task.state=[cold]": ("task.state=['cold']", "thermal"),
    "task=locality task.radii=[100]": ("task.radii=[100.0]", "half the lattice"),
    "task=locality task.outsides=1": ("task.outsides=1", "at least 2"),
    "task=spectrum task.eta=0": ("task.eta=0.0", "positive"),
    "task=spectrum task.texture=spiral": ("task.texture=spiral", "random"),
    "labeler=kpm hamiltonian=double_exchange_projected": ("labeler.probes=colour", "must be identity"),
    "compute.steps=cudagraph": ("compute.steps=cudagraph", "auto, eager, graph, fused"),
    "task=train data.path=. compute.steps=eager": ("compute.steps=eager", "task=simulate"),
    "task=simulate compute.steps=graph": ("compute.steps=graph", "exact electrons"),
    f"{CLASSICAL} compute=cpu compute.steps=graph": ("compute.steps=graph", "compute.device=cpu gives none"),
    f"{CLASSICAL} integrator=midpoint compute.steps=graph": ("compute.steps=graph", "until it converges"),
    f"{CLASSICAL} integrator.tolerance=1e-3 compute.steps=fused": ("compute.steps=fused", "tolerance"),
    f"{CLASSICAL} compute.processes=2 compute.steps=graph": ("compute.steps=graph", "several processes"),
    f"{CLASSICAL} protocol=relax protocol.method=cg compute.steps=graph": (
        "compute.steps=graph",
        "method=cg",
    ),
    "task=simulate checkpoint=. compute.slabs=4 compute.steps=graph": ("compute.steps=graph", "slabs"),
    "compute.workers=0": ("compute.workers=0", "positive"),
    "compute.cluster=pbs": ("compute.cluster=pbs", "tcp://host:8786"),
    "compute.cluster=tcp://host:port": ("compute.cluster=tcp://host:port", "tcp://host:8786"),
    "compute.cluster=slurm compute.slurm.memory=lots": ("compute.slurm.memory=lots", "4GB"),
    "compute.cluster=slurm compute.slurm.walltime=soon": ("compute.slurm.walltime=soon", "01:00:00"),
    "compute.slurm.cores=0": ("compute.slurm.cores=0", "positive"),
    "name=a/b": ("name=a/b", "letters, digits"),
    "hamiltonian.t=[0,0]": ("hamiltonian.t=[0.0, 0.0]", "must not be zero"),
    "descriptor.cutoff=0.5": ("descriptor.cutoff=0.5", "at least 1"),
    "descriptor.bond_cutoff=0.9": ("descriptor.bond_cutoff=0.9", "at least 1"),
    "model=equivariant descriptor.lmax=3": ("descriptor.lmax=3", "from 1 to 2"),
    "model=equivariant model.layers=0": ("model.layers=0", "positive"),
    "model=equivariant model.output=spin": ("model.output=spin", "energy, torque"),
    "model=equivariant descriptor=bispectrum": ("descriptor.name=bispectrum", "descriptor=equivariant"),
    # sizes
    "lattice.shape=[1000000,1000000]": ("lattice.shape=[1000000, 1000000]", "this machine has"),
    "task=simulate lattice.shape=[1000000,1000000]": ("lattice.shape=[1000000, 1000000]", "GiB"),
    "task=benchmark task.label_shapes=[[9,9],[1000000,1000000]]": (
        "task.label_shapes[1]=[1000000, 1000000]",
        "GiB",
    ),
    "lattice=square lattice.shape=[1,12]": ("lattice.shape=[1, 12]", "lattice.boundary=open"),
    "lattice=square lattice.shape=[2,12] hamiltonian.t=[1,0,0.1]": ("lattice.shape=[2, 12]", "length 2"),
    "task=simulate lattice.shape=[2,12] classical.heisenberg=[1,0,1]": (
        "lattice.shape=[2, 12]",
        "classical.heisenberg=[1.0, 0.0, 1.0]",
    ),
    "task.large_shape=[1,2] classical.dm=0.1": ("task.large_shape=[1, 2]", "classical.dm=0.1"),
    # choices that exclude each other
    "task.large_shape=[2,2]": ("descriptor.cutoff=2.0", "task.large_shape=[2, 2]"),
    "descriptor.references=0 descriptor.bispectrum=true": ("descriptor.references=0", "at least 1"),
    "descriptor.cutoff=6": ("descriptor.cutoff=6.0", "half the shortest periodic side"),
    "protocol=anneal integrator.T=0.1": ("integrator.T=0.1", "protocol=anneal sets the temperature"),
    "lattice=chain descriptor.cutoff=2 observables.names=[mean_chirality]": (
        "observables.names=mean_chirality",
        "two-dimensional",
    ),
    "observables.names=[magnetization]": ("observables.names=magnetization", "Did you mean magnetisation?"),
    "lattice=square classical.dm=1 classical.dm_kind=z": ("classical.dm_kind=z", "chain"),
    "lattice=square task=simulate protocol.initial=tetrahedral": ("lattice.name=square", "triangular"),
    # files
    "task=train data.path=nowhere.npz": ("data.path=nowhere.npz", "no such file"),
    "sampler=file": ("sampler.path=null", "needs a file"),
    "sampler=file sampler.path=nowhere.npz": ("sampler.path=nowhere.npz", "no such file"),
    "task=simulate checkpoint=nowhere": ("checkpoint=nowhere", "no such file"),
    "task=evaluate": ("checkpoint=null", "needs a run folder"),
    "task=compare": ("runs=null", "sweep folder"),
    "task=compare runs=[nowhere,neither/*]": ("runs=nowhere", "matches nothing"),
    "task=compare runs=nowhere/*": ("runs=nowhere/*", "matches nothing"),
    "resume=nowhere": ("resume=nowhere", "must be a run folder"),
}


@pytest.mark.parametrize("line", list(WRONG)[::2])
def test_a_wrong_configuration_is_refused_with_one_sentence_and_exit_code_2(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path / "outputs"))
    key, words = WRONG[line]
    assert main(line.split(" ")) == 2
    out, err = capsys.readouterr()
    assert err.startswith(key)
    assert words in err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert not (tmp_path / "outputs").exists(), "nothing is written before the checks"


@pytest.mark.parametrize("line", list(WRONG)[1::2])
def test_a_wrong_configuration_is_refused_from_python(line: str, tmp_path: Path) -> None:
    """The other half of the list, without the command line around it (half the time)."""
    key, words = WRONG[line]
    with pytest.raises(ConfigError) as refused:
        check(compose(line.split(" ")))
    assert str(refused.value).startswith(key)
    assert words in str(refused.value)


def test_flags_may_stand_between_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed=7", "--cfg", "job", "name=between"]) == 0
    out = capsys.readouterr().out
    assert "seed: 7" in out
    assert "name: between" in out
    assert main(["lattice=square", "-m", "sede=1,2"]) == 2, "the sweep starts, and finds the wrong key"
    assert capsys.readouterr().err.startswith("sede=")


def test_narrow_lattices_are_allowed_where_no_bond_returns_to_its_site() -> None:
    for line in (
        "task=label lattice=square lattice.shape=[1,12] lattice.boundary=[open,periodic]",
        "task=label lattice=square lattice.shape=[3,3]",
        "task=label lattice=square lattice.shape=[4,4] hamiltonian.t=[1,0,0.1]",
        "task=label lattice=honeycomb lattice.shape=[2,2]",
        "task=simulate checkpoint=. lattice.shape=[2,2]",
        "task=simulate checkpoint=. lattice.shape=[1024,1024]",
    ):
        check(compose(line.split(" ")))


@pytest.mark.parametrize("name", ["square", "triangular", "honeycomb", "kagome"])
def test_the_check_of_bonds_to_the_own_image_agrees_with_the_hopping_matrix(name: str) -> None:
    """Refused are the boxes in which a hopping amplitude lands on the diagonal of the matrix."""
    from itertools import product

    import numpy as np

    from magsim.config.checks.size import check_size
    from magsim.hamiltonian.electronic import SDHamiltonian
    from magsim.lattice import make_lattice

    cfg = compose([f"lattice={name}", "task=label", "lattice.boundary=[periodic,open]"])
    for *shape, shells in product((1, 2, 3, 5), (1, 2, 3, 5), (1, 2, 3)):
        lattice = make_lattice(name, shape, ["periodic", "open"])
        matrix = SDHamiltonian(lattice=lattice, hopping=(1.0,) * shells, mu=0.0).hopping_matrix.toarray()
        returns = bool(np.diag(matrix).any())
        cfg.lattice.shape, cfg.hamiltonian.t = shape, [1.0] * shells
        refused = False
        try:
            check_size(cfg)
        except ConfigError:
            refused = True
        assert refused == returns, (shape, shells)


def test_cuda_needs_torch_and_for_labels_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any machine: a driver and a torch that see a GPU, but no CuPy."""
    import torch

    monkeypatch.setattr("magsim.config.checks.compute.driver_sees_a_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ConfigError, match=r"compute\.device=cuda: cupy is not installed"):
        check(compose(["compute=cuda"]))
    check(compose(["compute=cuda", "task=simulate", "checkpoint=."]))


def test_sixteen_bits_need_a_gpu_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from magsim.config.checks import learning

    job = ["trainer.precision=16-mixed", "compute.device=auto"]
    monkeypatch.setattr(learning, "driver_sees_a_gpu", lambda: True)
    check(compose(job))
    monkeypatch.setattr(learning, "driver_sees_a_gpu", lambda: False)
    with pytest.raises(ConfigError, match=r"^trainer\.precision=16-mixed: needs a CUDA device"):
        check(compose(job))


def test_steps_are_recorded_or_compiled_where_a_gpu_and_its_tools_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from magsim.config.checks import steps

    job = [*CLASSICAL.split(), "compute.device=auto"]
    check(compose([*job, "compute.steps=eager"]))
    monkeypatch.setattr(steps, "driver_sees_a_gpu", lambda: False)
    with pytest.raises(ConfigError, match=r"^compute\.steps=graph: needs a CUDA GPU that torch can use"):
        check(compose([*job, "compute.steps=graph"]))
    monkeypatch.setattr(steps, "driver_sees_a_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(steps, "which", lambda name: "/usr/bin/gcc")
    monkeypatch.setattr(steps, "find_spec", lambda name: object())
    for kind in ("graph", "fused"):
        check(compose([*job, f"compute.steps={kind}"]))
    monkeypatch.setattr(steps, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"^compute\.steps=fused: torch\.compile needs a C compiler"):
        check(compose([*job, "compute.steps=fused"]))
    monkeypatch.setattr(steps, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^compute\.steps=fused: torch\.compile needs triton"):
        check(compose([*job, "compute.steps=fused"]))
    check(compose([*job, "compute.steps=graph"]))


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["integrator.dt=-1", "debug=true"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_sweep_that_cannot_be_composed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAGSIM_OUTPUTS", str(tmp_path))
    assert main(["-m", "sede=1,2"]) == 2
    assert capsys.readouterr().err.startswith("sede=")
    assert not list(tmp_path.rglob("*.yaml"))
