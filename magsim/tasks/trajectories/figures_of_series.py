"""Figures against time."""

from __future__ import annotations

import numpy as np

from magsim.observables import (
    OBSERVABLES,
    amplitudes,
    binder_cumulant,
    chirality_structure_factor,
    dynamic_structure_factor,
    first_moment_length,
    fit_growth,
    radial_average,
    radial_wavenumbers,
    route,
    two_time_correlation,
)
from magsim.observables.fourier import linear_size
from magsim.report.figures import domain_growth, excitation_map, overlay, quench_curves, scaling_collapse
from magsim.report.page import Table
from magsim.tasks.simulation.samples import Sampled, read_samples
from magsim.tasks.trajectories.scene import Drawn, Scene
from magsim.tasks.words import listed

PANELS = 3  # observables in one figure
TIMES = 5  # curves of a scaling collapse
LEAST = 4  # replicas of a Binder cumulant
LEAST_TIMES = 8  # of a spectrum


def anything(_: Scene) -> str:
    """No obstacle."""
    return ""


def observables(scene: Scene) -> Drawn:
    """Every observable against time."""
    drawn = Drawn()
    names = [name for name in scene.series if np.isfinite(scene.series[name]).all()]
    apart = scene.drive is not None and scene.drive.biased_apart
    spread = f" Mean and standard deviation of {scene.replicas} replicas." if scene.replicas > 1 else ""
    spread = " One curve for each bias." if apart else spread
    for number, first in enumerate(range(0, len(names), PANELS)):
        group = names[first : first + PANELS]
        curves = {scene.label: {"time": scene.time, **{name: scene.series[name] for name in group}}}
        if apart:
            curves = {
                label: {"time": scene.time, **{name: scene.series[name][:, r] for name in group}}
                for r, label in enumerate(scene.voltage_labels)
            }
        file = quench_curves(
            scene.file(f"observables_{number + 1}"),
            curves,
            group,
            scene.choice.lines,
            points=scene.choice.points,
        )
        caption = f"{listed(group)} against time.{spread}"
        drawn.pictures.append(scene.shown(file, caption))
    return drawn


def needs_growth(scene: Scene) -> str:
    """Sizes of chiral domains at several times."""
    if "chirality_domain_size" not in scene.series:
        return "it needs chirality_domain_size in observables.names"
    return "" if (scene.time > 0).sum() > 2 else "it needs at least three measured frames"


def growth(scene: Scene) -> Drawn:
    """L(t) of the chiral domains, with its exponent where a window is given."""
    size, fit = scene.series["chirality_domain_size"], scene.choice.fit
    limit = linear_size(scene.lattice)
    file = domain_growth(scene.file("domain_growth"), {scene.label: (scene.time, size)}, fit=fit, limit=limit)
    words = (
        "Size of the chiral domains, 2π over the first moment of their structure factor, against time; the "
        "horizontal line is the side of the lattice."
    )
    if fit is None:
        return Drawn([scene.shown(file, words)])
    law = fit_growth(scene.time, size, fit)
    error = "one replica has no error"
    if law.replicas > 1:
        error = f"the error is the standard error over {law.replicas} replicas"
    words += (
        f" L ∝ tⁿ with n = {law.text} fitted to {law.points} times from {law.window[0]:.4g} to "
        f"{law.window[1]:.4g}; {error}."
    )
    metrics = {
        "growth_exponent": law.exponent,
        "growth_exponent_error": law.error,
        "growth_from": law.window[0],
        "growth_to": law.window[1],
        "growth_replicas": law.replicas,
    }
    return Drawn([scene.shown(file, words)], metrics=metrics)


def needs_chirality(scene: Scene) -> str:
    """Triangles."""
    return "" if scene.triangles else "it needs a lattice with triangles"


def collapse(scene: Scene) -> Drawn:
    """Structure factor of the chirality at several times, scaled by the size of the domains."""
    end = len(scene.frames) - 1
    chosen = sorted({round(end * 2.0**-k) for k in range(TIMES)} - {0}) or [end]
    chosen = [scene.frames[k] for k in chosen]
    spectra, sizes = [], []
    for k in chosen:
        factor = chirality_structure_factor(scene.lattice, scene.trajectory.spins(k))
        spectra.append(radial_average(scene.lattice, factor).mean(axis=0))
        sizes.append(first_moment_length(scene.lattice, factor).mean())
    times = scene.trajectory.time[chosen]
    q, size, values = radial_wavenumbers(scene.lattice), np.array(sizes), np.stack(spectra)
    file = scaling_collapse(scene.file("scaling_collapse"), q, values, size, list(times))
    words = (
        "Structure factor of the chirality, averaged over directions: (a) as it is, (b) scaled by the domain "
        "size; if one length rules, the curves are one. Dashed: the tail of sharp walls, q⁻³."
    )
    return Drawn([scene.shown(file, words)])


def needs_replicas(scene: Scene) -> str:
    """Replicas of an order parameter."""
    if scene.replicas < LEAST:
        return f"it needs protocol.replicas of at least {LEAST}"
    names = [n for n in ("magnetisation", "mean_chirality") if n in scene.series]
    return "" if names else "it needs magnetisation or mean_chirality in observables.names"


def binder(scene: Scene) -> Drawn:
    """Binder cumulants over the replicas."""
    names = [n for n in ("magnetisation", "mean_chirality") if n in scene.series]
    values = {n: binder_cumulant(scene.series[n]) for n in names}
    curves = {OBSERVABLES[n].symbol: (scene.time, values[n]) for n in names}
    file = overlay(scene.file("binder"), curves, r"time $(\hbar/t)$", "Binder cumulant $U$")
    words = (
        f"U = 1 - <m⁴>/(3 <m²>²) over {scene.replicas} replicas: 2/3 with order, without it 4/9 for the "
        "magnetisation and 0 for the chirality."
    )
    metrics = {f"binder_{name}": float(value[-1]) for name, value in values.items()}
    return Drawn([scene.shown(file, words)], metrics=metrics)


def needs_waiting(scene: Scene) -> str:
    """Waiting times."""
    return "" if scene.choice.waiting else "it needs observables.waiting, e.g. [10,40,160]"


def aging(scene: Scene) -> Drawn:
    """C(t, t_w) for every waiting time."""
    frames = np.array(scene.frames)
    times = scene.trajectory.time[frames]
    curves, rows = {}, []
    for waiting in scene.choice.waiting:
        start = int(np.argmin(np.abs(times - waiting)))
        earlier = scene.trajectory.spins(int(frames[start]))
        later = [int(k) for k in frames[start:]]
        memory = np.stack(
            [two_time_correlation(scene.lattice, scene.trajectory.spins(k), earlier) for k in later]
        )
        lag = times[start:] - times[start]
        shown = lag > 0
        curves[f"$t_w = {times[start]:.4g}$"] = (lag[shown], memory[shown])
        rows.append([float(times[start]), float(times[-1]), float(memory[-1].mean())])
    file = overlay(
        scene.file("aging"), curves, r"$t - t_w$ $(\hbar/t)$", r"$C(t, t_w)$", xscale="log", yscale="linear"
    )
    table = Table(("t_w", "t", "C(t, t_w)"), rows, "Memory at the end of the run.")
    words = "Two-time correlation of the spins: memory of the state at the waiting time."
    return Drawn([scene.shown(file, words)], [table])


def needs_equal_intervals(scene: Scene) -> str:
    """States at equal intervals of time."""
    if len(_times_of_spectrum(scene)[0]) < LEAST_TIMES:
        return f"it needs at least {LEAST_TIMES} frames, or samples, at equal intervals of time"
    return ""


def _times_of_spectrum(scene: Scene) -> tuple[np.ndarray, Sampled | None]:
    """Steps of the states that a spectrum is made of, equally spaced; none if they are not. The samples they
    are from; None: they are frames."""
    samples = read_samples(scene.trajectory.path)
    steps = scene.trajectory.step[list(scene.frames)]
    if samples is not None:
        steps = samples.step[(samples.step >= steps[0]) & (samples.step <= steps[-1])]
    if len(steps) > 2 and steps[-1] - steps[-2] != steps[1] - steps[0]:
        steps = steps[:-1]  # the end of a run off its recording stride
    return (steps if len(set(np.diff(steps))) == 1 else steps[:0]), samples


def excitations(scene: Scene) -> Drawn:
    """S(q, omega) along the path through the Brillouin zone, mean over replicas."""
    steps, samples = _times_of_spectrum(scene)
    along = route(scene.lattice)
    if samples is None:
        numbers = np.searchsorted(scene.trajectory.step, steps)
        times = scene.trajectory.time[numbers]
        states = (scene.trajectory.spins(int(k)) for k in numbers)
        values = np.stack([amplitudes(scene.lattice, spins, along) for spins in states])
    else:
        numbers = np.searchsorted(samples.step, steps)
        times, values = samples.time[numbers], samples.amplitudes[numbers].astype(np.complex128)
    interval = float(times[1] - times[0])
    omega, spectrum = dynamic_structure_factor(values, interval, connected=True)
    spectrum = spectrum.mean(axis=0)
    file = excitation_map(scene.file("excitations"), along, omega, spectrum)
    np.savez_compressed(
        scene.run.folder / f"{scene.prefix}excitations.npz",
        omega=omega,
        spectrum=spectrum,
        q=along.q,
        distance=along.distance,
    )
    words = (
        f"Dynamic structure factor of {len(times)} states from t = {times[0]:.4g} on, {interval:.4g} apart, "
        f"without what stands still; Hann window, resolution {4 * np.pi / (len(times) * interval):.2g}. Its "
        "integral over ω (of both signs) is S(q)."
    )
    return Drawn([scene.shown(file, words)])
