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

import magsim
from magsim.config import compose
from magsim.dynamics import EffectiveField
from magsim.lattice import Lattice
from magsim.models import FORMS
from magsim.models.linear import tangent_frame
from magsim.report import style
from magsim.spins import random_spins
from magsim.tasks.build import build_lattice
from magsim.tasks.entries import Entry, find_runs, read_entry

VOLTAGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.4)
BIAS = 1.0  # at which the curl of models is compared with the exact one
SEEDS = (0, 1)
STEP = 0.01  # angle of the finite difference; labels err by 1e-6, a pair responds by 1e-3 to 1e-1
NAMES = {"energy": "$E$ alone", "summed": "$E + G$", "sitewise": "site-wise", "direct": "direct"}
GROUPS = {"eV=0": "all, $eV=0$", "eV=0.2": "all, 0.2", "eV=1": "all, 1", "quench": "quench, 1"}
RESPONSES = {"response eV=0.2": "0.2", "response eV=1": "1"}
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])  # S x in a tangent frame


def pair_curl(field: EffectiveField, lattice: Lattice, seed: int, side: int = 3) -> np.ndarray:
    """``(pairs, 2, 2)`` tangential curl ``dF_i/dS_j - (dF_j/dS_i)^T`` of all pairs in a block of random spins
    that begins a quarter of the strip away from the left lead."""
    spins = random_spins(lattice.n_sites, np.random.default_rng(seed))
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


def exact_curls(path: Path) -> dict[float, np.ndarray]:
    """``(pairs, 2, 2)`` for each voltage; what is in the file already is not solved again."""
    stored = dict(np.load(path)) if path.exists() else {}
    for voltage in VOLTAGES:
        if str(voltage) in stored:
            continue
        bias = f"hamiltonian.voltage={voltage}"
        cfg = compose(["experiment=driven_potential", "labeler.tolerance=1e-7", bias])
        field, lattice = magsim.effective_field(cfg), build_lattice(cfg)
        stored[str(voltage)] = np.concatenate([pair_curl(field, lattice, seed) for seed in SEEDS])
        np.savez(path, **stored)
        print(f"exact curl at eV = {voltage}: {[rms(part) for part in parts(stored[str(voltage)])]}")
    return {float(name): curl for name, curl in stored.items()}


def runs(folders: Sequence[str]) -> dict[str, list[Entry]]:
    """Runs of each form."""
    found: dict[str, list[Entry]] = {form: [] for form in FORMS}
    for run in map(read_entry, find_runs(list(folders))):
        found[run.config["model.form"]].append(run)
    return {form: entries for form, entries in found.items() if entries}


def learned_curl(entry: Entry, exact: np.ndarray) -> Iterator[float]:
    """Relative errors of both parts of the curl of a model."""
    field = magsim.load_field(entry.folder, dtype=torch.float64)
    field.set_voltage(BIAS)
    mine = np.concatenate([pair_curl(field, field.lattice, seed) for seed in SEEDS])
    for learned, true in zip(parts(mine), parts(exact), strict=True):
        yield rms(learned - true) / rms(true)


def draw(found: dict[str, list[Entry]], curl: dict[float, np.ndarray], path: Path) -> None:
    """Errors of every form, of the field and of what the bias changes; the curl, exact and learned."""
    widths = {"width_ratios": [1.5, 0.8, 1.1, 0.9]}
    with style.panels(path, 1, 4, 11.0, 2.9, gridspec_kw=widths) as (_, axes):
        panels: list[Any] = list(axes[0])
        for panel, groups in ((panels[0], GROUPS), (panels[1], RESPONSES)):
            bars(panel, groups, {f: [of_metrics(e, groups) for e in own] for f, own in found.items()})
        panels[0].set(ylabel="transverse rmse / rms")
        panels[1].set(ylabel="of $F(V) - F(0)$", xlabel="$eV/t$")
        panels[0].legend(loc="upper left", ncols=2, columnspacing=0.8)
        panels[0].set_ylim(0, 1.25 * panels[0].get_ylim()[1])
        for k, label in enumerate(("$JC = CJ$", "$JC = -CJ$")):
            y = [rms(parts(curl[voltage])[k]) for voltage in sorted(curl)]
            how = {"color": style.colour(4 + k), "marker": style.MARKERS[k]}
            panels[2].plot(sorted(curl), y, label=label, **how)
        panels[2].set(xlabel="$eV/t$", ylabel="exact curl of a pair, rms $(t)$", ylim=(0, None))
        panels[2].legend(loc="upper left")
        learned = {form: [list(learned_curl(e, curl[BIAS])) for e in own] for form, own in found.items()}
        bars(panels[3], {"": "$JC = CJ$", " ": "$JC = -CJ$"}, learned)
        panels[3].axhline(1.0, color=style.GREY, linewidth=0.8)
        panels[3].set(ylabel=f"error of the curl, $eV={BIAS:g}$")
        for index, panel in enumerate(panels):
            style.panel_letter(panel, index)


def of_metrics(entry: Entry, groups: dict[str, str]) -> list[float]:
    return [float(entry.metrics[f"test/{name}/torque_error"]) for name in groups]


def bars(panel: Any, groups: dict[str, str], values: dict[str, list[list[float]]]) -> None:
    """One group of bars for each name, a bar for each form: the mean over its runs, with their range."""
    for k, (form, runs_of_it) in enumerate(values.items()):
        table = np.array(runs_of_it)
        mean = table.mean(axis=0)
        x = np.arange(len(groups)) + 0.2 * (k - (len(values) - 1) / 2)
        spread = np.abs(np.stack([table.min(axis=0), table.max(axis=0)]) - mean)
        panel.bar(x, mean, 0.18, yerr=spread, color=style.colour(k), label=NAMES[form], error_kw={"lw": 0.8})
        print(form, {name: round(float(value), 4) for name, value in zip(groups.values(), mean, strict=True)})
    panel.set_xticks(np.arange(len(groups)), list(groups.values()))
    panel.grid(False, axis="x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="folders of runs or of sweeps")
    parser.add_argument("--curl", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    args = parser.parse_args()
    draw(runs(args.runs), exact_curls(args.curl), args.figure)


if __name__ == "__main__":
    main()
