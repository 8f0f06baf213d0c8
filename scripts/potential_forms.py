"""What the forms of a generalised potential learn of a driven field, and why: the figure of docs/driven.md.

    python run.py -m experiment=ablation_potential data.path=[V0.zarr,V1.zarr]
    python scripts/potential_forms.py SWEEP --figure docs/potential_forms.png --curl outputs/curl.npz

SWEEP is the folder of the first command. Its test errors are drawn, and its models are asked for the curl of
some pairs of spins. That of the exact field is solved for first, on the strip of
``experiment=driven_potential``; ``--curl`` keeps it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

import magsim
from magsim.config import compose
from magsim.datasets.dataset import SpinDataset, snapshot_hashes
from magsim.datasets.pool import pool
from magsim.datasets.split import split_dataset
from magsim.datasets.states import state_classes
from magsim.dynamics import EffectiveField
from magsim.lattice import Lattice
from magsim.learning.checkpoint import load_checkpoint, load_model
from magsim.learning.metrics import torque_metrics
from magsim.models import FORMS
from magsim.models.linear import tangent_frame
from magsim.report import style
from magsim.spins import random_spins
from magsim.tasks.build import build_lattice
from magsim.tasks.comparison.entries import Entry, find_runs, read_entry
from magsim.tasks.training.errors import predict, response_errors

VOLTAGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.4)
BIAS = 1.0  # at which the curl of models is compared with the exact one
SEEDS = (0, 1)
STEP = 0.01  # angle of the finite difference; labels err by 1e-6, a pair responds by 1e-3 to 1e-1
NAMES = {"energy": "$E$ alone", "summed": "$E + G$", "sitewise": "site-wise", "direct": "direct"}
LATE = "late"  # class of state, and key of the curl of such states
GROUPS = [(name, voltage) for name in ("disordered", LATE) for voltage in (0.2, BIAS)]
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])  # S x in a tangent frame


def pair_curl(field: EffectiveField, lattice: Lattice, spins: np.ndarray, side: int = 3) -> np.ndarray:
    """``(pairs, 2, 2)`` tangential curl ``dF_i/dS_j - (dF_j/dS_i)^T`` at spins ``(N, 3)`` of all pairs in a
    block that begins a quarter of the strip away from the left lead."""
    frame = tangent_frame(torch.from_numpy(spins)).numpy()
    cells = np.array(lattice.shape) // (4, 2) + np.array([(x, y) for x in range(side) for y in range(side)])
    block = lattice.site_index(cells, np.zeros(len(cells), np.int64)).tolist()
    moved = np.tile(spins, (len(block), 2, 2, 1, 1))
    for k, j in enumerate(block):
        for a in range(2):
            for s, sign in enumerate((1, -1)):
                moved[k, a, s, j] = np.cos(STEP) * spins[j] + sign * np.sin(STEP) * frame[j, a]
    fields = np.asarray(field(moved)[1])[..., block, :]
    slope = (fields[:, :, 0] - fields[:, :, 1]) / (2 * np.sin(STEP))  # (j, a, i, 3)
    response = np.einsum("jbic,iac->ijab", slope, frame[block])
    curl = response - response.transpose(1, 0, 3, 2)
    return curl[np.triu_indices(len(block), 1)]


def parts(curl: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What commutes with the rotation, ``J C = C J``, and what anticommutes."""
    commuting = (curl - ROTATION @ curl @ ROTATION) / 2
    return commuting, curl - commuting


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def exact_curls(path: Path, late: np.ndarray) -> dict[str, np.ndarray]:
    """``(pairs, 2, 2)`` of random spins for each voltage and of late states ``(n, N, 3)`` at ``BIAS``; what
    is in the file already is not solved again."""
    stored = dict(np.load(path)) if path.exists() else {}
    for name in [*map(str, VOLTAGES), LATE]:
        if name in stored:
            continue
        bias = f"hamiltonian.voltage={BIAS if name == LATE else name}"
        cfg = compose(["experiment=driven_potential", "labeler.tolerance=1e-7", bias])
        field, lattice = magsim.effective_field(cfg), build_lattice(cfg)
        states = late if name == LATE else random_states(lattice)
        stored[name] = np.concatenate([pair_curl(field, lattice, spins) for spins in states])
        np.savez(path, **stored)
        print(f"exact curl, {name}: {[rms(part) for part in parts(stored[name])]}", flush=True)
    return stored


def random_states(lattice: Lattice) -> list[np.ndarray]:
    return [random_spins(lattice.n_sites, np.random.default_rng(seed)) for seed in SEEDS]


def runs(folders: Sequence[str]) -> dict[str, list[Entry]]:
    """Runs of each form."""
    found: dict[str, list[Entry]] = {form: [] for form in FORMS}
    for run in map(read_entry, find_runs(list(folders))):
        if run.status == "done":
            found[run.config["model.form"]].append(run)
    return {form: entries for form, entries in found.items() if entries}


def held_out(entry: Entry) -> tuple[SpinDataset, np.ndarray, np.ndarray]:
    """The data of a run, its test part, and which of these are late."""
    paths = OmegaConf.load(entry.folder / "config.yaml").data.path
    data = pool([magsim.open_dataset(path) for path in paths])
    split = split_dataset(data, **load_checkpoint(entry.folder)[1]["split"])
    return data, split.test, state_classes(data)[split.test] == LATE


def errors(entry: Entry) -> Iterator[tuple[float, float]]:
    """Relative errors of the field and of its change by the bias, for each of the groups."""
    data, test, late = held_out(entry)
    assert data.voltage is not None
    field = predict(load_model(entry.folder), data.spins[test], data.voltage[test])[1]
    for name, voltage in GROUPS:
        mine = late if name == LATE else ~late
        chosen = mine & (data.voltage[test] == voltage)
        exact, spins = data.field[test], data.spins[test]
        error = torque_metrics(exact[chosen], field[chosen], spins[chosen])["torque_error"]
        partners = np.isin(snapshot_hashes(spins), snapshot_hashes(spins[chosen])) & (data.voltage[test] == 0)
        both = chosen | partners
        response = response_errors(data, test[both], field[both])[f"response eV={voltage:g}"]
        yield error, response["torque_error"]


def learned_curl(entry: Entry, late: np.ndarray, exact: np.ndarray) -> list[float]:
    """Relative errors of both parts of the curl of late states."""
    field = magsim.load_field(entry.folder, dtype=torch.float64)
    field.set_voltage(BIAS)
    mine = np.concatenate([pair_curl(field, field.lattice, spins) for spins in late])
    pairs = zip(parts(mine), parts(exact), strict=True)
    return [rms(learned - true) / rms(true) for learned, true in pairs]


def draw(found: dict[str, list[Entry]], stored: Path, path: Path) -> None:
    """Errors of every form, of the field and of what the bias changes; the curl, exact and learned."""
    data, test, late = held_out(next(iter(found.values()))[0])
    assert data.voltage is not None
    chosen = data.spins[test[late & (data.voltage[test] == BIAS)]]
    states = chosen[:: max(1, len(chosen) // len(SEEDS))][: len(SEEDS)]
    curl = exact_curls(stored, states)
    table = {form: [list(errors(entry)) for entry in own] for form, own in found.items()}
    labels = [f"{name}\n$eV={voltage:g}$" for name, voltage in GROUPS]
    widths = {"width_ratios": [1.3, 1.3, 1.0, 0.8]}
    with style.panels(path, 1, 4, 12.4, 2.9, gridspec_kw=widths) as (_, axes):
        panels: list[Any] = list(axes[0])
        for k, words in enumerate(("transverse rmse / rms", "of $F(V) - F(0)$: rmse / rms")):
            own = {form: [[pair[k] for pair in row] for row in rows] for form, rows in table.items()}
            bars(panels[k], labels, own)
            panels[k].set(ylabel=words)
        panels[0].set_ylim(0, 1.3 * panels[0].get_ylim()[1])
        panels[0].legend(loc="upper left", ncols=2, columnspacing=0.8)
        for k, label in enumerate(("$JC = CJ$", "$JC = -CJ$")):
            y = [rms(parts(curl[str(voltage)])[k]) for voltage in VOLTAGES]
            how = {"color": style.colour(4 + k), "marker": style.MARKERS[k]}
            panels[2].plot(VOLTAGES, y, label=label, **how)
        panels[2].set(xlabel="$eV/t$", ylabel="curl of a pair, rms $(t)$", ylim=(0, None))
        panels[2].legend(loc="upper left")
        learned = {form: [learned_curl(e, states, curl[LATE]) for e in own] for form, own in found.items()}
        bars(panels[3], ["$JC = CJ$", "$JC = -CJ$"], learned)
        panels[3].axhline(1.0, color=style.GREY, linewidth=0.8)
        panels[3].set(ylabel="of the curl: rmse / rms", xlabel=f"{LATE}, $eV={BIAS:g}$")
        for index, panel in enumerate(panels):
            style.panel_letter(panel, index)


def bars(panel: Any, groups: Sequence[str], values: dict[str, list[list[float]]]) -> None:
    """One group of bars for each name, a bar for each form: the mean over its runs, with their range."""
    for k, (form, runs_of_it) in enumerate(values.items()):
        table = np.array(runs_of_it)
        mean = table.mean(axis=0)
        x = np.arange(len(groups)) + 0.2 * (k - (len(values) - 1) / 2)
        spread = np.abs(np.stack([table.min(axis=0), table.max(axis=0)]) - mean)
        panel.bar(x, mean, 0.18, yerr=spread, color=style.colour(k), label=NAMES[form], error_kw={"lw": 0.8})
        print(form, np.round(mean, 4).tolist())
    panel.set_xticks(np.arange(len(groups)), list(groups), fontsize=7.5)
    panel.grid(False, axis="x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="folders of runs or of sweeps")
    parser.add_argument("--curl", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    args = parser.parse_args()
    draw(runs(args.runs), args.curl, args.figure)


if __name__ == "__main__":
    main()
