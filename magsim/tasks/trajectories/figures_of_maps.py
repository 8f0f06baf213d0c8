"""Maps of configurations, and what is read off them."""

from __future__ import annotations

import numpy as np

from magsim.arrays import to_numpy
from magsim.observables import (
    extended_structure_factor,
    rotation_order,
    scalar_chirality,
    structure_factor_peaks,
    sublattice_structure_factor,
    topological_charge_density,
    wall_anisotropy,
    wall_orientations,
)
from magsim.report.figures import (
    charge_map,
    chirality_map,
    histograms,
    site_map,
    spin_map,
    structure_factor_map,
    wall_histogram,
)
from magsim.report.numbers import number
from magsim.report.page import Table
from magsim.tasks.trajectories.scene import Drawn, Scene

LARGEST_MAP = 300_000  # sites; larger spin maps say nothing at the resolution of a page
BINS = 36  # directions of walls


def needs_plane(scene: Scene) -> str:
    """A two-dimensional lattice."""
    return "" if scene.lattice.dim == 2 else "it needs a two-dimensional lattice"


def needs_small_plane(scene: Scene) -> str:
    """A two-dimensional lattice whose sites can be told apart."""
    if scene.lattice.n_sites > LARGEST_MAP:
        return f"it needs at most {LARGEST_MAP} sites"
    return needs_plane(scene)


def needs_triangles(scene: Scene) -> str:
    """Triangles."""
    return "" if scene.triangles else "it needs a two-dimensional lattice with triangles"


def needs_periodic_triangles(scene: Scene) -> str:
    """Triangles without an edge, and walls that somebody measures."""
    if scene.choice.figures is None and "wall_density" not in scene.series:
        return "no wall was measured"
    if not all(scene.lattice.periodic):
        return "it needs periodic boundaries"
    return needs_triangles(scene)


def needs_electrons(scene: Scene) -> str:
    """A Hamiltonian."""
    return "" if scene.solve is not None else "it needs electrons, and this trajectory has none"


def chirality(scene: Scene) -> Drawn:
    """Chirality of every triangle at some times."""
    titles, frames = scene.snapshots
    values = scalar_chirality(scene.lattice, frames)
    file = chirality_map(scene.file("chirality_map"), scene.lattice, values, titles)
    return Drawn([scene.shown(file, "Scalar chirality of every triangle: ±0.770 in tetrahedral order.")])


def charge(scene: Scene) -> Drawn:
    """Topological charge of every triangle at some times."""
    titles, frames = scene.snapshots
    values = topological_charge_density(scene.lattice, frames)
    file = charge_map(scene.file("charge_map"), scene.lattice, values, titles)
    return Drawn([scene.shown(file, "Topological charge of every triangle (Berg and Lüscher), and its sum.")])


def spins(scene: Scene) -> Drawn:
    """Directions of the spins at the end."""
    file = spin_map(scene.file("spin_map"), scene.lattice, scene.last[scene.replica], scene.when)
    return Drawn(
        [scene.shown(file, f"Spin directions at {scene.when}: hue for the azimuth, lightness for z.")]
    )


def structure_factor(scene: Scene) -> Drawn:
    """S(q) of one replica at the end, and its peaks averaged over replicas."""
    q, intensity = extended_structure_factor(scene.lattice, scene.last[scene.replica])
    file = structure_factor_map(
        scene.file("structure_factor"), scene.lattice, q, to_numpy(intensity), scene.when
    )
    factor = sublattice_structure_factor(scene.lattice, scene.last)
    peaks = structure_factor_peaks(scene.lattice, factor)
    rows = [[p.name, _in_pi(p.q), p.wavenumber / np.pi, p.weight] for p in peaks]
    columns = ("point", "q / π (1/a)", "|q| / π", "share of the sum rule")
    table = Table(columns, rows, f"Largest peaks of S(q) at {scene.when}, mean over replicas.", digits=3)
    metrics = {"peak_weight": peaks[0].weight, "peak_wavenumber": peaks[0].wavenumber} if peaks else {}
    return Drawn([scene.shown(file, f"Static structure factor at {scene.when}.")], [table], metrics)


def _in_pi(q: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{x / np.pi:.3f}" for x in q).replace("-", "−") + ")"


def walls(scene: Scene) -> Drawn:
    """Directions of the chiral walls at some times, all replicas."""
    roses = {}
    for k in dict.fromkeys((scene.frames[(len(scene.frames) - 1) // 4], scene.frames[-1])):
        state = scene.trajectory.spins(k)
        roses[f"t = {scene.trajectory.time[k]:.4g}"] = wall_orientations(scene.lattice, state, BINS).mean(
            axis=0
        )
    file = wall_histogram(scene.file("wall_directions"), scene.lattice, roses)
    order = rotation_order(scene.lattice)
    mean = float(np.mean(wall_anisotropy(scene.lattice, scene.last)))
    words = (
        "Length of chiral domain wall by direction, over that of walls without a preferred one (dashed); "
        f"grey rays are bonds. At {scene.when}, ⟨cos {order}φ⟩ = {number(mean, 2)}."
    )
    return Drawn([scene.shown(file, words)])


def density(scene: Scene) -> Drawn:
    """Exact density of the electrons at some times: maps, histogram, extremes."""
    assert scene.solve is not None
    titles, frames = scene.snapshots
    times = scene.trajectory.time[scene.snapshot_frames]
    # one by one: the memory of a batch is that of one
    biases = [scene.bias(k) for k in scene.snapshot_frames]
    each = [None if bias is None else bias[[scene.replica]] for bias in biases]
    labels = [scene.solve(frame[None], bias) for frame, bias in zip(frames, each, strict=True)]
    values = np.stack([to_numpy(label.density)[0] for label in labels])
    drawn = Drawn()
    if scene.lattice.dim == 2:
        file = site_map(scene.file("density_map"), scene.lattice, values, "electrons per site", titles)
        words = f"Density of the electrons in the spins of the run, solved exactly ({labels[0].method})."
        drawn.pictures.append(scene.shown(file, words))
    file = histograms(
        scene.file("density_histogram"), dict(zip(titles, values, strict=True)), "electrons per site"
    )
    drawn.pictures.append(scene.shown(file, "Share of the sites by their density."))
    rows = [
        [float(t), float(v.min()), float(v.min() / 2), float(v.max()), float(v.mean()), float(v.std())]
        for t, v in zip(times, values, strict=True)
    ]
    columns = ("t", "lowest", "lowest, per spin", "highest", "mean", "standard deviation")
    drawn.tables.append(Table(columns, rows, "Electrons per site."))
    np.savez_compressed(scene.run.folder / f"{scene.prefix}density.npz", time=times, density=values)
    drawn.metrics = {"density_min": float(values[-1].min()), "density_max": float(values[-1].max())}
    return drawn
