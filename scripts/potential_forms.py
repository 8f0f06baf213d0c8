"""What the forms of a generalised potential learn of a driven field, and why: the figure of docs/driven.md.

    python run.py -m experiment=ablation_potential data.path=[V0.zarr,V1.zarr]
    python scripts/potential_forms.py SWEEP --figure docs/potential_forms.png --curl curl.json

SWEEP is the folder of the first command, whose test errors are drawn; of runs that differ in the seed alone
the mean. ``--curl`` solves the strip of ``experiment=driven_potential`` exactly, or reads what it stored.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import magsim
from magsim.config import compose
from magsim.models import FORMS
from magsim.models.linear import tangent_frame
from magsim.report import style
from magsim.spins import random_spins
from magsim.tasks.build import build_lattice
from magsim.tasks.entries import find_runs, read_entry

VOLTAGES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.4)
STEP = 0.01  # angle of the finite difference; labels err by 1e-6, a pair responds by 1e-3 to 1e-1
NAMES = {
    "energy": "$-\\partial E/\\partial S$ alone",
    "summed": "$E$ and $G$, summed",
    "sitewise": "site-wise $e$, $g$",
    "direct": "coefficients",
}
ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])  # S x in a tangent frame


def pair_curl(voltage: float, seed: int, side: int = 3) -> np.ndarray:
    """``(pairs, 2, 2)`` tangential curl ``dF_i/dS_j - (dF_j/dS_i)^T``, exact, of all pairs in a block of
    random spins that begins a quarter of the strip away from the left lead."""
    cfg = compose(["experiment=driven_potential", "labeler.tolerance=1e-7", f"hamiltonian.voltage={voltage}"])
    field, lattice = magsim.effective_field(cfg), build_lattice(cfg)
    spins = random_spins(lattice.n_sites, np.random.default_rng(seed))
    frame = tangent_frame(torch.from_numpy(spins)).numpy()
    corner = np.array(lattice.shape) // (4, 2)
    cells = corner + np.array([(x, y) for x in range(side) for y in range(side)])
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


def parts(curl: np.ndarray) -> dict[str, float]:
    """rms of what commutes with the rotation, ``J C = C J``, of what anticommutes, and of all."""
    commuting = (curl - ROTATION @ curl @ ROTATION) / 2
    found = {"within reach": commuting, "out of reach": curl - commuting, "all": curl}
    return {name: float(np.sqrt(np.mean(part**2))) for name, part in found.items()}


def curls(path: Path, seeds: Sequence[int] = (0, 1)) -> dict[str, Any]:
    """Of several voltages; what is in the file already is not solved again."""
    stored = json.loads(path.read_text()) if path.exists() else {}
    for voltage in VOLTAGES:
        if str(voltage) not in stored:
            stored[str(voltage)] = parts(np.concatenate([pair_curl(voltage, seed) for seed in seeds]))
            path.write_text(json.dumps(stored, indent=1) + "\n")
            print(voltage, stored[str(voltage)], flush=True)
    return stored


def errors(folders: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """``errors[form][metric]`` of all runs of a sweep, the names without ``test/`` and ``/torque_error``."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in map(read_entry, find_runs(list(folders))):
        for key, value in run.metrics.items():
            if key.startswith("test/") and key.endswith("/torque_error") and "eV=" in key:
                name = key.removeprefix("test/").removesuffix("/torque_error")
                found.setdefault(run.config["model.form"], {}).setdefault(name, []).append(value)
    return {form: found[form] for form in FORMS if form in found}


def draw(found: dict[str, dict[str, list[float]]], curl: dict[str, Any], path: Path) -> None:
    """Errors of each form against the bias; the two parts of the exact curl."""
    with style.panels(path, 1, 3, 9.6, 3.0) as (_, axes):
        for panel, start, title in (
            (axes[0, 0], "eV=", "transverse rmse / rms"),
            (axes[0, 1], "response eV=", "of the change by the bias, rmse / rms"),
        ):
            for k, (form, metrics) in enumerate(found.items()):
                own = {float(n.removeprefix(start)): v for n, v in metrics.items() if n.startswith(start)}
                x = sorted(own)
                y = [np.mean(own[voltage]) for voltage in x]
                line = {"color": style.colour(k), "marker": style.MARKERS[k], "label": NAMES[form]}
                panel.plot(x, y, **line)
                for voltage in x:
                    panel.plot([voltage] * len(own[voltage]), own[voltage], ".", color=style.colour(k), ms=2)
            panel.set(xlabel="$eV/t$", ylabel=title, ylim=(0, None))
        axes[0, 0].legend(loc="lower left")
        x = sorted(map(float, curl))
        for k, (name, label) in enumerate(
            {"within reach": "$JC = CJ$: within reach", "out of reach": "$JC = -CJ$: out of reach"}.items()
        ):
            y = [curl[str(voltage)][name] for voltage in x]
            axes[0, 2].plot(x, y, color=style.colour(k), marker=style.MARKERS[k], label=label)
        axes[0, 2].set(xlabel="$eV/t$", ylabel="curl of a pair, rms $(t)$", ylim=(0, None))
        axes[0, 2].legend(loc="upper left")
        for index in range(3):
            style.panel_letter(axes[0, index], index)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", help="folders of runs or of sweeps")
    parser.add_argument("--curl", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    curl = curls(args.curl)
    found = errors(args.runs) if args.runs else {}
    for form, metrics in found.items():
        print(form, {name: round(float(np.mean(v)), 4) for name, v in sorted(metrics.items())})
    if args.figure:
        draw(found, curl, args.figure)


if __name__ == "__main__":
    main()
