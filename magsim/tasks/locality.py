"""task=locality: how much of a torque is decided beyond a radius, measured with exact solutions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from magsim.labelers import Labeler
from magsim.labelers.locality import (
    Floor,
    central_site,
    shell_radii,
    sufficient_radius,
    summarise,
    torque_variance,
    within,
)
from magsim.report.locality import locality_figure
from magsim.report.page import Metric, Picture, Section, Table
from magsim.runs import ProgressBar, Run, seconds, write_json
from magsim.samplers import Sampling, ThermalSampler
from magsim.samplers.surroundings import FittingConfigurations, IndependentSpins, Surroundings
from magsim.spins import transverse
from magsim.tasks.build import build_labeler, plain
from magsim.tasks.electrons.states import reference_texture
from magsim.tasks.pages import publish
from magsim.tasks.training.floors import lattice_facts, remember
from magsim.tasks.words import size, system

LIMITS = (0.5, 0.3, 0.2, 0.1, 0.05)  # of the rms torque
NEGLIGIBLE = 0.2  # error of the labels over a floor: adds 2 % in square
EVERYTHING = 1e-9  # of the rms torque: floors below are rounding
FRAMES = 2  # of every thermal trajectory

MEANINGS = {
    "random": "every spin uniform on the sphere; outside all are drawn again",
    "thermal": "exact dynamics in a bath; outside another thermal state, moved and turned to fit",
    "ordered": "a texture with all spins turned by small random angles; outside they are turned anew",
}


@dataclass(frozen=True)
class Locality:
    """The floors of one kind of state.

    Attributes:
        kind: random, thermal or ordered.
        rms_torque: per component, of whole states.
        floors: by radius, 0 (only the spin itself is given) first.
        label_error: largest estimated error of the exact fields.
        facts: texture and angle, temperature, misfit.
    """

    kind: str
    rms_torque: float
    floors: tuple[Floor, ...]
    label_error: float
    facts: dict[str, Any]

    def radius_for(self, share: float) -> float | None:
        """The smallest radius from which on the floor is below this share of the rms torque."""
        return sufficient_radius(self.floors, share * self.rms_torque)

    @property
    def trusted(self) -> bool:
        """Whether the errors of the labels are no part of the floors worth mentioning."""
        # with everything inside the floor is zero, whoever solves it
        known = [f.floor for f in self.floors if f.floor > EVERYTHING * self.rms_torque]
        return self.label_error <= NEGLIGIBLE * min(known, default=np.inf)

    @property
    def label(self) -> str:
        """The kind with what tells it from others of its kind."""
        if "temperature" in self.facts:
            return f"{self.kind}, T = {self.facts['temperature']:g}"
        return f"{self.kind}, {self.facts['texture']}" if "texture" in self.facts else self.kind

    def as_json(self) -> dict[str, Any]:
        """What is stored."""
        rows = [asdict(f) | {"relative": f.floor / self.rms_torque} for f in self.floors]
        sufficient = {str(share): self.radius_for(share) for share in LIMITS}
        return {
            "rms_torque": self.rms_torque,
            "floors": rows,
            "sufficient_radius": sufficient,
            "label_error": self.label_error,
            **self.facts,
        }


def run(cfg: DictConfig, run: Run) -> dict[str, Any]:
    """Measure the floors, draw and tell them, and keep them for the pages of trained models.

    Returns:
        ``locality/<state>/floor_<radius>``, ``.../rms_torque`` and ``.../radius_for_<share>``.
    """
    labeler = build_labeler(cfg)
    results = [measure(cfg, run, labeler, kind) for kind in cfg.task.state]
    content: dict[str, Any] = {
        "lattice": lattice_facts(labeler.hamiltonian.lattice),
        "hamiltonian": plain(cfg.hamiltonian),
        "labeler": labeler.identity(),
        "seed": int(cfg.seed),
        "insides": int(cfg.task.insides),
        "outsides": int(cfg.task.outsides),
        "states": {result.kind: result.as_json() for result in results},
    }
    write_json(run.folder / "locality.json", content)
    kept = {result.kind: content["states"][result.kind] for result in results if result.trusted}
    if kept:
        path = remember({**content, "states": kept})
        run.say(f"  {', '.join(kept)} states are kept for the pages of trained models: {path}")
    _page(cfg, run, results)
    metrics: dict[str, Any] = {}
    for result in results:
        prefix = f"locality/{result.kind}"
        metrics[f"{prefix}/rms_torque"] = result.rms_torque
        metrics |= {f"{prefix}/floor_{f.radius:.3f}": f.floor for f in result.floors}
        known = {share: result.radius_for(share) for share in LIMITS}
        metrics |= {f"{prefix}/radius_for_{share:g}": r for share, r in known.items() if r is not None}
    return metrics


def measure(cfg: DictConfig, run: Run, labeler: Labeler, kind: str) -> Locality:
    """The floors of one kind of state, told as a table."""
    lattice = labeler.hamiltonian.lattice
    run.headline(f"Locality, {kind} states")
    run.say(f"  {MEANINGS[kind]}")
    ensemble, facts = _ensemble(cfg, run, labeler, kind)
    count, draws = int(cfg.task.insides), int(cfg.task.outsides)
    states = ensemble.states[:count]
    rms = float(np.sqrt(np.mean(transverse(labeler.label(states).field, states) ** 2)))
    radii = sorted(cfg.task.radii) if cfg.task.radii is not None else shell_radii(lattice)
    site, floors, errors = central_site(lattice), [], [0.0]
    misfit = []
    with run.progress(f"{kind} states", (1 + len(radii)) * count * draws, "exact solutions") as bar:
        for radius in [0.0, *map(float, radii)]:
            inside = within(lattice, site, radius)
            variances, misfits = [], []
            for index in range(count):
                others = ensemble.draw(index, inside, draws)
                if isinstance(ensemble, FittingConfigurations):
                    misfits.append(ensemble.misfit(index, inside, others))
                variance, error = torque_variance(labeler, site, inside, states[index], others)
                variances.append(variance)
                errors.append(error)
                bar.advance(draws, radius=radius)
            floors.append(summarise(radius, inside, variances))
            if misfits:
                misfit.append(float(np.mean(misfits)))
        facts["seconds"] = bar.elapsed
    if misfit:
        facts["misfit"] = misfit
    result = Locality(kind, rms, tuple(floors), max(errors), facts)
    _tell(run, result, bar)
    return result


def _ensemble(cfg: DictConfig, run: Run, labeler: Labeler, kind: str) -> tuple[Surroundings, dict[str, Any]]:
    """The states of one kind, and what is worth knowing of them."""
    n_sites, seed, count = labeler.hamiltonian.lattice.n_sites, int(cfg.seed), int(cfg.task.insides)
    if kind == "random":
        return IndependentSpins.make(n_sites, count, seed), {}
    if kind == "ordered":
        name, texture = reference_texture(cfg, labeler, cfg.task.texture, run)
        angle = float(cfg.task.angle)
        run.say(f"  {name}, turned by {angle:g}")
        ensemble = IndependentSpins.make(n_sites, count, seed, texture, angle)
        return ensemble, {"texture": name, "angle": angle}
    T = float(cfg.hamiltonian.T if cfg.task.temperature is None else cfg.task.temperature)
    every = max(1, round(int(cfg.task.burn_in) / 3))
    sampler = ThermalSampler(
        temperatures=(T,),
        trajectories=count,
        dt=None,
        burn_in=3 * every,
        record_every=every,
        steps=(FRAMES - 1) * every,
    )
    frames = []
    with run.progress(f"thermal states at T={T:g}", len(sampler), "states") as bar:
        for batch in sampler.batches(Sampling(labeler.hamiltonian.lattice, labeler, seed)):
            frames.append(batch.spins)
            bar.advance(len(batch))
    frames.reverse()  # the states that stay are the last of each trajectory
    family = np.tile(np.arange(count), FRAMES)
    states = np.concatenate(frames)
    return FittingConfigurations(labeler.hamiltonian.lattice, states, family), {"temperature": T}


def _tell(run: Run, result: Locality, bar: ProgressBar) -> None:
    run.say(f"  rms torque {result.rms_torque:.4g} per component; floor of a model that sees spins within R:")
    for f in result.floors:
        share = f.floor / result.rms_torque
        value = f"{f.floor:.4g} +- {f.error:.1g}"
        run.say(f"    R = {f.radius:5.3f} ({f.inside:3d} spins)  {value:<19} {share:.3f} of rms")
    run.say(f"  {advice(result)}")
    if not result.trusted:
        run.say(
            f"  the labels themselves may be wrong by {result.label_error:.1e}: a part of every floor, "
            "not kept for "
            "the pages of trained models; a more accurate labeler (labeler=ed) tells more"
        )
    run.say(f"  {seconds(bar.elapsed)}, {bar.rate:.3g} solutions/s")


def advice(result: Locality) -> str:
    """Which radius is enough for which relative error, in words."""
    parts = []
    for share in LIMITS:
        radius = result.radius_for(share)
        if radius is None:
            parts.append(f"below {share:g} with none of the radii measured")
            break
        parts.append(f"below {share:g} from R = {radius:.4g} on")
    return f"For {result.kind} states the floor over the rms torque is {', '.join(parts)}."


def _page(cfg: DictConfig, run: Run, results: list[Locality]) -> None:
    figure = locality_figure(
        run.folder / "locality.png",
        {r.label.replace("_", " "): (r.rms_torque, list(r.floors)) for r in results},
    )
    run.image("locality", figure)
    caption = (
        "(a) Standard deviation of the exact torque of a site, per component, when the spins further away "
        "than R are drawn again; dotted: rms torque of whole states. (b) Their ratio. Bars: one standard "
        "deviation of the statistical error. At R = 0 only the spin itself is given."
    )
    tables = [
        Table(
            ("R", "spins within R", "floor (t)", "error (t)", "floor / rms torque", "typical (t)"),
            [[f.radius, f.inside, f.floor, f.error, f.floor / r.rms_torque, f.typical] for f in r.floors],
            f"{r.kind.capitalize()} states: {MEANINGS[r.kind]}{_note(r)}. rms torque {r.rms_torque:.4g} t.",
        )
        for r in results
    ]
    explained = (
        "A model that computes the torque of a site from spins within R has at least this rmse on such "
        "states, however it is trained. An energy model whose site energies see spins within its cutoff has "
        "fields that see twice as far, since a spin is part of the site energies of its neighbours: its "
        "floor is the one at R = 2 × cutoff."
    )
    words = "\n\n".join(advice(r) for r in results)
    headline = [
        Metric(
            f"reach for a torque error of 0.3, {r.kind}",
            f"> {r.floors[-1].radius:.4g}" if r.radius_for(0.3) is None else r.radius_for(0.3),
            "a",
        )
        for r in results
    ]
    publish(
        cfg,
        run,
        f"Nearsightedness of the {system(cfg)}, {size(cfg.lattice.shape)}",
        [
            Section("Which cutoff", f"{explained}\n\n{words}", pictures=[Picture(figure, caption)]),
            Section("Floors", tables=tables),
        ],
        headline,
        summary="How much of a torque is decided by spins beyond a radius: the error floor of every model "
        "that does not see them.",
    )


def _note(result: Locality) -> str:
    if "texture" in result.facts:
        return f"; {result.facts['texture']}, angle {result.facts['angle']:g}"
    if "misfit" in result.facts:
        fits = result.facts["misfit"]
        return (
            f"; T = {result.facts['temperature']:g}, rms distance of the spins inside from those of the "
            f"other states {fits[1]:.3g} at the smallest radius, {fits[-1]:.3g} at the largest"
        )
    return ""
