"""Figures show what they claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from magsim import observables as obs
from magsim.errors import ConfigError
from magsim.lattice import make_lattice
from magsim.report import figures as fig
from magsim.report import style
from magsim.report.geometry import brillouin_zone, images, window
from magsim.report.maps import direction_colours
from magsim.report.torques import torque_errors
from magsim.spins import normalise, random_spins, tetrahedral

PNG = b"\x89PNG\r\n\x1a\n"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", ["triangular", "square", "honeycomb"])
def test_map_covers_one_period_exactly_once(name: str) -> None:
    lattice = make_lattice(name, [6, 8])
    view = window(lattice)
    assert view.width * view.height == pytest.approx(lattice.n_cells * abs(np.linalg.det(lattice.vectors)))
    corners = lattice.triangle_corners(lattice.triangulation())
    polygons, origin = images(lattice, corners, view)
    points = rng().uniform([view.left, view.bottom], [view.right, view.top], size=(500, 2))
    a, b, c = (polygons[None, :, k] for k in range(3))

    def side(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        r = points[:, None]
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (
            r[..., 0] - p[..., 0]
        )

    inside = (side(a, b) > 0) & (side(b, c) > 0) & (side(c, a) > 0)
    np.testing.assert_array_equal(inside.sum(axis=1), 1)
    assert set(origin) == set(range(len(corners)))


def test_open_lattice_is_drawn_where_it_is() -> None:
    lattice = make_lattice("triangular", [5, 4], "open")
    view = window(lattice)
    polygons, origin = images(lattice, lattice.triangle_corners(lattice.triangles()), view)
    assert len(polygons) == len(lattice.triangles())
    np.testing.assert_array_equal(origin, np.arange(len(polygons)))
    assert view.left < polygons[..., 0].min()
    assert polygons[..., 0].max() < view.right


def test_brillouin_zone_of_the_triangular_lattice_is_its_hexagon() -> None:
    lattice = make_lattice("triangular", [6, 6])
    corners, names = brillouin_zone(lattice)
    assert len(corners) == 6
    np.testing.assert_allclose(names["K"], [4 * np.pi / 3, 0], atol=1e-9)
    np.testing.assert_allclose(names["M"], [np.pi, np.pi / np.sqrt(3)], atol=1e-9)


@pytest.mark.parametrize("name", ["triangular", "square", "honeycomb", "kagome"])
def test_brillouin_zone_has_the_area_of_the_reciprocal_cell(name: str) -> None:
    lattice = make_lattice(name, [4, 4])
    corners, _ = brillouin_zone(lattice)
    x, y = corners.T
    area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    assert area == pytest.approx(abs(np.linalg.det(lattice.reciprocal)))


def test_square_zone_has_x_on_the_edge_and_m_at_the_corner() -> None:
    corners, names = brillouin_zone(make_lattice("square", [4, 4]))
    assert len(corners) == 4
    np.testing.assert_allclose(np.abs(names["M"]), np.pi)
    np.testing.assert_allclose(sorted(np.abs(names["X"])), [0, np.pi], atol=1e-9)


def test_colours_of_the_axes_are_white_black_and_red() -> None:
    colours = direction_colours(np.array([[0, 0, 1.0], [0, 0, -1], [1, 0, 0], [-0.5, np.sqrt(0.75), 0]]))
    np.testing.assert_allclose(colours[0], 1)
    np.testing.assert_allclose(colours[1], 0)
    assert colours[2].argmax() == 0
    assert colours[2, 1] == pytest.approx(colours[2, 2])
    assert colours[3].argmax() == 1  # a third of a turn further: green


def test_maps_of_a_chain_are_refused() -> None:
    with pytest.raises(ConfigError, match="two-dimensional"):
        fig.spin_map("never.png", make_lattice("chain", [4]), np.zeros((4, 3)))


def test_chirality_map_shows_the_two_domains_in_opposite_colours(tmp_path: Path) -> None:
    from matplotlib.image import imread

    lattice = make_lattice("triangular", [12, 12])
    colours = []
    for sign in (1, -1):
        chirality = obs.scalar_chirality(lattice, sign * tetrahedral(lattice))
        image = imread(fig.chirality_map(tmp_path / f"{sign}.png", lattice, chirality))
        middle = image[image.shape[0] // 2 - 40 : image.shape[0] // 2 + 40, 200:280, :3]
        assert np.ptp(middle, axis=(0, 1)).max() < 0.02  # one colour, no seams
        colours.append(middle.mean(axis=(0, 1)))
    # chirality is that of the last sign
    red, blue = colours[::-1] if chirality[0] > 0 else colours
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_relative_torque_error_of_a_scaled_field_is_the_missing_part() -> None:
    exact = rng().normal(size=(50, 3))
    rmse, rms, relative = torque_errors(exact, 0.7 * exact)
    assert relative == pytest.approx(0.3)
    assert rmse == pytest.approx(0.3 * rms)
    assert np.isnan(torque_errors(np.zeros((4, 3)), exact[:4])[2])


def quench() -> dict[str, np.ndarray]:
    time = np.linspace(0, 10, 21)
    noise = 0.01 * rng().normal(size=(21, 3))
    return {
        "time": time,
        "mean_abs_chirality": 0.77 - 0.4 * np.exp(-time)[:, None] + noise,
        "nn_correlation": -0.33 + 0.3 * np.exp(-time)[:, None] + noise,
    }


def draw_parity(path: Path) -> Path:
    exact = rng().normal(size=(400, 3))
    return fig.torque_parity(path, {"random": (exact, 0.9 * exact), "quench": (0.1 * exact, 0.1 * exact)})


def draw_training(path: Path) -> Path:
    epoch = np.arange(5)
    loss = np.exp(-epoch)
    sparse = np.where(epoch % 2, np.nan, loss)
    return fig.training_curves(
        path, epoch, {"training": loss, "validation": sparse}, {"random": loss}, loss, 3
    )


def draw_quench(path: Path) -> Path:
    return fig.quench_curves(path, {"exact": quench(), "learned": quench()}, references=True)


def draw_growth(path: Path) -> Path:
    time = np.linspace(0, 50, 40)
    return fig.domain_growth(path, {"exact": (time, 2 + time[:, None] * np.ones(3))}, fit=(5, 50))


def draw_growth_of_many(path: Path) -> Path:
    time = np.linspace(1, 50, 40)
    runs = {name: (time, time[:, None] ** [0.5, 0.55]) for name in ("exact", "learned")}
    return fig.domain_growth(path, runs, guides={}, fit=(5, 50), limit=40)


def draw_collapse(path: Path) -> Path:
    q, length = np.linspace(0, 3, 40), np.array([2.0, 4.0, 8.0])
    spectra = length[:, None] ** 2 / (1 + (q * length[:, None]) ** 2) ** 1.5
    return fig.scaling_collapse(path, q, spectra, length, [1.0, 2.0, 4.0])


def draw_excitations(path: Path) -> Path:
    lattice = make_lattice("square", [6, 6])
    along = obs.route(lattice)
    frames = random_spins(36, rng(), (20,))
    omega, spectrum = obs.dynamic_structure_factor(obs.amplitudes(lattice, frames, along), 0.5)
    return fig.excitation_map(path, along, omega, spectrum, {"theory": along.distance})


def draw_rose(path: Path) -> Path:
    lattice = make_lattice("triangular", [12, 12])
    return fig.wall_histogram(path, lattice, {"early": np.ones(18), "late": np.arange(18.0)})


def draw_no_walls(path: Path) -> Path:
    return fig.wall_histogram(path, make_lattice("kagome", [12, 12]), np.zeros(18))


def draw_charge(path: Path) -> Path:
    lattice = make_lattice("square", [8, 8])
    spins = random_spins(64, rng(), (2,))
    return fig.charge_map(path, lattice, obs.topological_charge_density(lattice, spins), ["start", "end"])


def draw_density(path: Path) -> Path:
    lattice = make_lattice("honeycomb", [6, 6])
    return fig.site_map(path, lattice, rng().random((2, lattice.n_sites)), "electrons per site")


def draw_dataset(path: Path) -> Path:
    torque = np.abs(rng().normal(size=500))
    return fig.dataset_overview(path, {"random": torque, "perfect order": 0 * torque}, {"random": torque})


def draw_overlay(path: Path) -> Path:
    curves = {f"run {k}": (np.arange(1, 5), k + np.arange(1.0, 5)) for k in range(10)}
    return fig.overlay(path, curves, "sites", "time per step (s)", "log", "log")


def draw_bars(path: Path) -> Path:
    values = {"exact": [1.0, 2.0], "learned": [3.0, float("nan")]}
    return fig.bars(path, ["12x12", "24x24"], values, "steps per second", log=True)


def draw_spins(path: Path) -> Path:
    lattice = make_lattice("kagome", [4, 4])
    return fig.spin_map(path, lattice, random_spins(lattice.n_sites, rng(), (2,)), ["start", "end"])


def draw_spectrum(path: Path) -> Path:
    lattice = make_lattice("triangular", [6, 6])
    return fig.structure_factor_map(
        path, lattice, *obs.extended_structure_factor(lattice, tetrahedral(lattice))
    )


def draw_powder(path: Path) -> Path:
    lattice = make_lattice("cubic", [4, 4, 4])
    q, spectrum = obs.extended_structure_factor(lattice, random_spins(64, rng()))
    return fig.structure_factor_map(path, lattice, q, spectrum)


def draw_chain_spectrum(path: Path) -> Path:
    lattice = make_lattice("chain", [16])
    q, spectrum = obs.extended_structure_factor(lattice, random_spins(16, rng()))
    return fig.structure_factor_map(path, lattice, q, spectrum)


def draw_chirality(path: Path) -> Path:
    lattice = make_lattice("kagome", [4, 6])
    spins = random_spins(lattice.n_sites, rng(), (3,))
    return fig.chirality_map(path, lattice, obs.scalar_chirality(lattice, spins), ["a", "b", "c"])


ALL_FIGURES = [value for key, value in list(globals().items()) if key.startswith("draw_")]


@pytest.mark.parametrize("draw", ALL_FIGURES, ids=lambda f: f.__name__)
def test_figure_is_written_without_warnings_and_leaves_the_style_alone(
    draw: Callable[[Path], Path], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    path = tmp_path / "new folder" / "figure.png"
    assert draw(path) == path
    assert path.read_bytes()[:8] == PNG
    assert path.stat().st_size > 3000
    assert dict(mpl.rcParams) == before
    assert [str(w.message) for w in recwarn if not issubclass(w.category, DeprecationWarning)] == []


def test_large_lattices_are_drawn_by_nearest_triangle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.image import imread

    lattice = make_lattice("triangular", [12, 12])
    spins = normalise(tetrahedral(lattice) + 0.5 * random_spins(144, rng()))
    chirality = obs.scalar_chirality(lattice, spins)
    exact = imread(fig.chirality_map(tmp_path / "polygons.png", lattice, chirality))
    monkeypatch.setattr("magsim.report.triangles.MAX_POLYGONS", 0)
    fast = imread(fig.chirality_map(tmp_path / "pixels.png", lattice, chirality))
    assert exact.shape == fast.shape
    assert np.abs(exact - fast).mean() < 0.01  # only edges differ


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.62, 1.02), (0.018, 0.021), (3e-5, 8e-5), (0.5, 4.0), (2.0, 90.0), (1e-6, 3e-1), (900.0, 150_000.0)],
)
def test_every_log_axis_has_two_numbers_to_read_it_by(tmp_path: Path, low: float, high: float) -> None:
    with style.panels(tmp_path / "a.png", 1, 1, 3.0, 2.5) as (_, axes):
        axes[0, 0].plot([1, 2], [low, high])
        axes[0, 0].set(yscale="log", ylim=(low, high))
    ticks = axes[0, 0].yaxis.get_major_ticks()
    inside = [t.label1.get_text() for t in ticks if low <= t.get_loc() <= high]
    assert len([text for text in inside if text]) >= 2
    assert not any("e-" in text or "e+" in text for text in inside)
